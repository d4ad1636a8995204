"""The endpoints about providers: which there are, whether they work, what they offer."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from engine.dialects.discovery import FoundModel
from engine.exchange import OutcomeClass, Verdict
from engine.executor.clients import ProviderClient
from engine.executor.intake import BadRequestError
from engine.executor.probe import GIVEN, Mode, Probed, cheapest, discover, probe, remedy
from engine.graph import Auth, Graph, Provider, SecretRef, Target
from engine.runtime.catalogue import catalogue_graph

from .asked import Answer, Asked, json_answer

if TYPE_CHECKING:
    from engine.runtime import Engine

_MODES: Mapping[str, Mode] = {"text": "text", "embedding": "embedding"}


async def providers(asked: Asked) -> Answer:
    """Every provider, of the configuration and of the catalogue: category, capabilities, models, health."""
    graph, shipped = asked.graph, await asyncio.to_thread(catalogue_graph)
    rows = [_row(asked, graph, provider, True) for _, provider in sorted(graph.providers.items())]
    rows += [
        _row(asked, shipped, provider, False)
        for name, provider in sorted(shipped.providers.items())
        if name not in graph.providers
    ]
    return json_answer({"providers": rows})


def _row(asked: Asked, graph: Graph, provider: Provider, declared: bool) -> dict[str, Any]:
    targets = [target for target in graph.targets.values() if target.provider.name == provider.name]
    engine: Engine = asked.engine
    ready = declared and engine.snapshot.clients.credential(provider.name)
    return {
        "id": provider.name,
        "category": provider.category,
        "dialect": provider.dialect,
        "base_url": provider.base_url or None,
        "labels": dict(provider.labels),
        "capabilities": capabilities(targets),
        "models": sorted(target.name for target in targets),
        "declared": declared,
        "configured": ready,
        "health": engine.health(provider.name) if declared else {"state": "unknown"},
        "source": "configuration" if declared else "catalogue",
    }


def capabilities(targets: list[Target]) -> dict[str, bool]:
    """What some model of the provider can do."""
    every = frozenset().union(*(target.supports for target in targets)) if targets else frozenset()
    return {
        "text_generation": bool(every & {"chat", "completions"}),
        "embeddings": "embeddings" in every,
        "rerank": "rerank" in every,
        "streaming": "stream" in every,
        "function_calling": "tools" in every,
        "vision": "vision" in every,
        "json_schema": "json_schema" in every,
        "reasoning": "reasoning" in every,
    }


#: Checks in one answer, by default and at most.
_CHECKS, _MOST_CHECKS = 100, 1000


async def checks_of(asked: Asked) -> Answer:
    """What became known of the provider's health, the newest first: `?limit=` rows, `?before=` Unix seconds."""
    name = asked.argument
    if name not in asked.graph.providers:
        message = f"The configuration has no provider {name!r}; GET /api/v1/providers lists them."
        raise BadRequestError(message, param="id", status=404, code="not_found")
    limit, before = _number(asked, "limit"), _number(asked, "before")
    count = _CHECKS if limit is None else max(1, min(int(limit), _MOST_CHECKS))
    engine: Engine = asked.engine
    rows, source = await engine.checks.history(name, count, before)
    return json_answer({"provider": name, "checks": rows, "source": source})


def _number(asked: Asked, name: str) -> float | None:
    said = asked.option(name)
    try:
        number = None if said is None else float(said)
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise BadRequestError(f"{name} must be a number, not {said!r}.", param=name)
    return number


class TestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a test: another configuration to try instead of the stored one, and what to try."""

    config: dict[str, Any] | None = None
    test_mode: str = "text"
    model: str | None = None


async def test(asked: Asked) -> Answer:
    """Send the smallest real request to the provider, or to a configuration not yet saved; failures say what to do."""
    wanted = _decode(asked.body)
    mode = _MODES.get(wanted.test_mode)
    if mode is None:
        raise BadRequestError(f"test_mode is {' or '.join(_MODES)}, not {wanted.test_mode!r}.", param="test_mode")
    provider, targets = await _of(asked, asked.argument)
    engine: Engine = asked.engine
    client, temporary = engine.snapshot.clients.find(provider.name), False
    if wanted.config or client is None:
        client, temporary = _other_client(asked, provider, wanted.config or {}), True
    kind = "embeddings" if mode == "embedding" else "chat"
    name = wanted.model or (wanted.config or {}).get("model")
    target = _target(client.provider, targets, kind, name)
    try:
        found = await discover(client)
        models = [] if isinstance(found, Verdict) else _sorted(found)[kind]
        if target is None:
            return json_answer(_untested(client, targets, found, kind))
        probed = await probe(client, target, mode)
    finally:
        if temporary:
            await client.close()
    return json_answer(_tested(probed, models or [t.model for t in targets if kind in t.supports], targets))


def _tested(probed: Probed, models: list[str], targets: list[Target]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "success": probed.served,
        "latency": round(probed.latency * 1000, 1),
        "target": probed.target,
        "models": models,
        "capabilities": capabilities(targets),
    }
    if not probed.served:
        out["error"] = {"outcome": probed.outcome_class, "message": probed.detail, "remedy": probed.remedy}
    return out


def _untested(
    client: ProviderClient, targets: list[Target], found: list[FoundModel] | Verdict, kind: str
) -> dict[str, Any]:
    """No model of that kind is declared: the list of models is what there is to go by."""
    message = f"no {kind} model of this provider is declared"
    hint = 'name one: {"model": ...}, or declare it under models'
    if isinstance(found, Verdict):
        message, hint = f"{message}, and it lists none: {found.detail}", remedy(client, None, found)
    return {
        "success": False,
        "latency": None,
        "target": None,
        "models": [] if isinstance(found, Verdict) else _sorted(found)[kind],
        "capabilities": capabilities(targets),
        "error": {"outcome": OutcomeClass.INVALID_REQUEST, "message": message, "remedy": hint},
    }


async def models_of(asked: Asked) -> Answer:
    """The models that the provider itself lists now, text and embedding apart; those declared where it lists none."""
    provider, targets = await _of(asked, asked.argument)
    engine: Engine = asked.engine
    client = engine.snapshot.clients.find(provider.name)
    temporary = client is None
    client = client or engine.client_for(provider)
    try:
        found = await discover(client)
    finally:
        if temporary:
            await client.close()
    if isinstance(found, Verdict):
        declared = {kind: sorted(t.model for t in targets if kind in t.supports) for kind in ("chat", "embeddings")}
        error = {"outcome": found.outcome_class, "message": found.detail, "remedy": remedy(client, None, found)}
        return json_answer(
            {
                "text_models": declared["chat"],
                "embedding_models": declared["embeddings"],
                "source": "configuration",
                "error": error,
            }
        )
    by_kind = _sorted(found)
    details = {
        model.id: {
            "context_window": model.context_window,
            "max_output": model.max_output,
            "features": sorted(model.features),
        }
        for model in found
    }
    return json_answer(
        {
            "text_models": by_kind["chat"],
            "embedding_models": by_kind["embeddings"],
            "other_models": by_kind["other"],
            "source": "provider",
            "details": details,
        }
    )


def _sorted(found: list[FoundModel]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {"chat": [], "embeddings": [], "other": []}
    for model in found:
        known = model.kinds & {"chat", "embeddings"}
        for place in known or {"other" if model.kinds else "chat"}:
            out[place].append(model.id)
    return out


def _decode(body: bytes) -> TestRequest:
    try:
        return msgspec.json.decode(body or b"{}", type=TestRequest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise BadRequestError(f"The body is not a test: {problem}.") from None


async def _of(asked: Asked, name: str) -> tuple[Provider, list[Target]]:
    for graph in (asked.graph, await asyncio.to_thread(catalogue_graph)):
        provider = graph.providers.get(name)
        if provider is not None:
            return provider, [t for t in graph.targets.values() if t.provider.name == name]
    message = f"There is no provider {name!r}; GET /api/v1/providers lists them."
    raise BadRequestError(message, param="id", status=404, code="not_found")


def _target(provider: Provider, targets: list[Target], kind: str, name: Any) -> Target | None:
    if isinstance(name, str) and name:
        known = next((t for t in targets if name in (t.name, t.model, t.id)), None)
        made = known or Target(f"{provider.name}/{name}", provider, name, name, supports=frozenset({kind}))
        return dataclasses.replace(made, provider=provider)
    found = cheapest(targets, kind)
    return None if found is None else dataclasses.replace(found, provider=provider)


def _other_client(asked: Asked, provider: Provider, config: Mapping[str, Any]) -> ProviderClient:
    """A client for a provider with another address or key, for one test. Nothing of it is kept.

    No stored secret goes to another host: an address on another host must bring its own key.
    """
    engine: Engine = asked.engine
    base_url, key = config.get("base_url"), config.get("api_key")
    if base_url is not None and (not isinstance(base_url, str) or urlsplit(base_url).scheme not in ("http", "https")):
        raise BadRequestError("base_url must be an http or https address.", param="config.base_url")
    if key is not None and not isinstance(key, str | dict):
        raise BadRequestError('api_key must be a key, or a reference such as {"env": NAME}.', param="config.api_key")
    moved = base_url is not None and urlsplit(base_url).netloc != urlsplit(provider.base_url).netloc
    if moved and key is None and provider.auth.scheme != "none":
        message = "base_url names another host: send api_key too, because a stored key goes to no other host."
        raise BadRequestError(message, param="config.api_key")
    extra: dict[str, str] = {}
    auth = provider.auth
    if isinstance(key, dict):
        auth = dataclasses.replace(auth, scheme=_keyed(auth), secret=reference(key))
    elif key is not None:
        extra[GIVEN] = key
        auth = dataclasses.replace(auth, scheme=_keyed(auth), secret=SecretRef("env", GIVEN))
    changed = dataclasses.replace(provider, base_url=(base_url or provider.base_url).rstrip("/"), auth=auth)
    return engine.client_for(changed, extra)


def _keyed(auth: Auth) -> str:
    return auth.scheme if auth.scheme in ("bearer", "header") else "bearer"


def reference(said: Mapping[str, Any]) -> SecretRef:
    """A reference to a secret as JSON says it. Raises :class:`BadRequestError`."""
    if len(said) == 1:
        ((kind, name),) = said.items()
        if isinstance(name, str) and name:
            if kind == "env":
                return SecretRef("env", name)
            if kind == "file":
                return SecretRef("file", name)
    raise BadRequestError('A secret is referred to as {"env": NAME} or {"file": PATH}.', param="api_key")
