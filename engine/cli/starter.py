"""A configuration out of the shipped catalogue: chosen providers, and routes over the models that fit together best."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .terminal import Problem, nearest

if TYPE_CHECKING:
    from engine.schema import ProviderDoc

#: What a chat may ask of a model; the more of it two models share, the better one stands in for the other.
_ABILITIES = ("tools", "vision", "json_schema")
#: Of how many of the first provider's models one is chosen.
_NEWEST = 6
_SURFACES = frozenset({"completions", "embeddings", "rerank", "images", "audio", "moderations"})
#: A word in capitals in an address: the catalogue's way to say "yours goes here".
_PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9_-])[A-Z]{5,}(?![A-Za-z0-9_-])")
_CATEGORIES = ("cloud", "gateway", "local", "specialized")

_ROUTE = """\
# yaml-language-server: $schema=../schemas/route.schema.json
{comment}
version: 1
kind: route
name: {name}
step: {step}
"""
_FALLBACK = """
# Clients say `model: chat`. The targets are tried in this order; one whose secret is not set, or that cannot take a
# request (an image, a long text), is passed over."""
_ALONE = """
# Clients say `model: {name}`. No fallback on purpose: {why}."""
_WHY = {
    "embeddings": "vectors of two models do not compare",
    "rerank": "scores of two models do not compare",
}
_TEST = """\
# yaml-language-server: $schema=../../schemas/test.schema.json

# A test says what routing must do with one request. It needs no network.
version: 1
kind: test
name: {title}
request: {{model: chat}}
{faults}expect: {{attempts: [{attempts}], outcome: served}}
"""


def parsed(names: Sequence[str]) -> list[str]:
    """Provider names out of ``a,b`` and repeated options, each once. Raises :class:`Problem` for an unknown one."""
    from engine.runtime.catalogue import catalogue_names

    wanted = list(dict.fromkeys(name.strip() for part in names for name in part.split(",") if name.strip()))
    known = catalogue_names()
    for name in wanted:
        if name not in known:
            raise Problem(f'the catalogue has no provider "{name}"', nearest(name, known), *_by_category())
    return wanted


def _by_category() -> list[str]:
    from engine.runtime.catalogue import catalogue_graph

    providers = sorted(catalogue_graph().providers.items())
    return [
        f"{category}: {', '.join(name for name, provider in providers if provider.category == category)}"
        for category in _CATEGORIES
    ]


def load(names: Sequence[str]) -> dict[str, tuple[str, ProviderDoc]]:
    """The catalogue's text and declaration of each of these providers, in this order."""
    from engine.documents import load_text
    from engine.runtime.catalogue import catalogue_text
    from engine.schema import ProviderDoc, validate

    found = {}
    for name in names:
        text = catalogue_text(name) or ""
        documents, _ = load_text(text, f"{name}.yaml")
        model, wrong = validate(documents[0])
        if not isinstance(model, ProviderDoc):
            raise Problem(
                f'the catalogue\'s file of "{name}" is broken: {wrong[0].summary}', "mend it, or leave it out"
            )
        found[name] = (text, model)
    return found


def policies(providers: Mapping[str, ProviderDoc]) -> dict[str, str]:
    """File name -> text of the routes over these providers, and of a test."""
    files = {}
    chat = chat_targets(providers)
    if chat:
        step = chat[0] if len(chat) == 1 else f"{{fallback: [{', '.join(chat)}]}}"
        comment = _FALLBACK if len(chat) > 1 else "\n# Clients say `model: chat`."
        files["policies/chat.yaml"] = _ROUTE.format(comment=comment, name="chat", step=step)
        files["policies/tests/chat.yaml"] = _test(chat)
    for name, why in _WHY.items():
        target = next(
            (f"{provider}/{key}" for provider, doc in providers.items() for key in _models(doc, name)),
            None,
        )
        if target is not None:
            comment = _ALONE.format(name=name, why=why)
            files[f"policies/{name}.yaml"] = _ROUTE.format(comment=comment, name=name, step=target)
    return files


def _test(chat: Sequence[str]) -> str:
    if len(chat) == 1:
        return _TEST.format(title=f"chat reaches {chat[0]}", faults="", attempts=chat[0])
    provider = chat[0].split("/")[0]
    faults = f'faults: [{{target: "{provider}/*", outcome: rate_limited}}]\n'
    return _TEST.format(title="chat falls over when the first is busy", faults=faults, attempts=", ".join(chat[:2]))


def _models(doc: ProviderDoc, surface: str) -> list[str]:
    """The provider's models for a surface, in the order of its file."""
    if surface == "chat":
        return [name for name, model in doc.models.items() if not _SURFACES & set(model.supports)]
    return [name for name, model in doc.models.items() if surface in model.supports]


def chat_targets(providers: Mapping[str, ProviderDoc]) -> list[str]:
    """One chat model of each provider that has any: the later ones lose little of what the first can, and cost alike.

    The first provider's is one of its newest (the catalogue's files begin with those) that take tools, if any does.
    """
    chats = {name: models for name, doc in providers.items() if (models := _models(doc, "chat"))}
    if not chats:
        return []
    name = next(iter(chats))
    first, leads = providers[name], chats.pop(name)
    leads = ([key for key in leads if "tools" in first.models[key].supports] or leads)[:_NEWEST]
    choices = []
    for lead in leads:
        stands = {other: _closest(first, lead, providers[other], models) for other, models in chats.items()}
        lost = sum(_lost(first, lead, providers[other], key) for other, key in stands.items())
        choices.append((lost, [f"{name}/{lead}", *(f"{other}/{key}" for other, key in stands.items())]))
    return min(choices, key=lambda choice: choice[0])[1]


def _closest(lead: ProviderDoc, one: str, other: ProviderDoc, models: Sequence[str]) -> str:
    """The model of ``other`` that loses least of what model ``one`` can; of equals, the one that costs most alike."""

    def price(doc: ProviderDoc, key: str) -> float:
        price = doc.models[key].price
        return float(price.output) if price is not None and price.output else 0.0

    wanted = price(lead, one)
    return min(models, key=lambda key: (_lost(lead, one, other, key), abs(price(other, key) - wanted)))


def _lost(lead: ProviderDoc, one: str, other: ProviderDoc, two: str) -> int:
    """How much of what model ``one`` can ``two`` cannot."""
    a, b = lead.models[one], other.models[two]
    missing = sum(ability in a.supports and ability not in b.supports for ability in _ABILITIES)
    smaller = a.context_window is not None and b.context_window is not None and b.context_window < a.context_window
    return missing + smaller


def to_do(providers: Mapping[str, ProviderDoc]) -> list[str]:
    """What is left to do by hand, a line each: addresses to fill in, secrets to set."""
    lines = []
    for name, doc in providers.items():
        words = dict.fromkeys(_PLACEHOLDER.findall(doc.base_url or ""))
        lines += [f"replace {word} in providers.d/{name}.yaml by your own" for word in words]
        secret = doc.auth.secret_refs[0] if doc.auth.secret_refs else None
        if secret is not None and secret.env is not None:
            lines.append(f"set {secret.env} to your key for {name}")
        elif doc.auth.scheme not in ("none", "caller"):
            lines.append(f"{name} signs in with this machine's own credentials (auth.scheme: {doc.auth.scheme})")
    return lines
