"""How providers are asked whether they work: what is declared, and whether it can be asked so."""

from __future__ import annotations

from collections.abc import Iterator

from engine.dialects import dialects
from engine.graph import Probe
from engine.schema import ProviderDoc
from engine.units import parse_duration

from ..work import Finding, Owner

_SURFACES = frozenset({"chat", "completions", "embeddings", "rerank", "images", "audio", "moderations"})


def lowered(model: ProviderDoc) -> Probe | None:
    """The probe of this provider; ``None`` where it is not asked."""
    said = model.health
    if said is None or said.probe == "off":
        return None
    return Probe(said.probe, parse_duration(said.every), parse_duration(said.timeout), said.model)


def check(model: ProviderDoc, owner: Owner) -> Iterator[Finding]:
    """Why it cannot be asked as declared, if so."""
    said = model.health
    if said is None or said.probe == "off":
        return
    path, name = ("health", "probe"), model.name
    if model.transport == "queue":
        yield _finding(
            owner, path, f'behind provider "{name}" are people, who are not to be disturbed', "remove `health`"
        )
    elif model.auth.scheme == "caller":
        hint = "remove `health`; its state is known from traffic"
        yield _finding(owner, path, f'only the callers of provider "{name}" have a key to ask it with', hint)
    elif said.model is not None and said.model not in model.models:
        summary = f'provider "{name}" declares no model "{said.model}" to ask'
        hint = f"declare it under `models`; there are {', '.join(sorted(model.models)) or 'none'}"
        yield _finding(owner, ("health", "model"), summary, hint, "not declared")
    elif said.probe == "models":
        known = dialects().get(model.dialect)
        if model.transport == "process" or (known is not None and known.discovery is None):
            what = "a program" if model.transport == "process" else f"the dialect {model.dialect}"
            hint = "use `probe: chat`, which is paid for like any other request, or remove `health`"
            yield _finding(owner, path, f"{what} has no list of models to ask for", hint)
    elif not any(said.probe in _kinds(model, entry) for entry in ([said.model] if said.model else model.models)):
        hint = f"declare one that supports `{said.probe}`, or name another probe"
        yield _finding(owner, path, f'no {said.probe} model of provider "{name}" is there to ask', hint)


def _kinds(model: ProviderDoc, entry: str) -> frozenset[str]:
    supports = frozenset(model.models[entry].supports)
    return supports if supports & _SURFACES else frozenset({"chat"})


def _finding(
    owner: Owner, path: tuple[str, ...], summary: str, hint: str, label: str = "cannot be asked so"
) -> Finding:
    return Finding("P419", owner, path, summary, label=label, hint=hint)
