"""A graph as data, for programs. Secrets are left out, and whatever may be one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from engine.graph.beside import Hedge, Mirror
from engine.graph.conditions import All, Any_, Condition, Test, describe
from engine.graph.graph import Graph
from engine.graph.limits import Limit, Rate
from engine.graph.nodes import (
    Balance,
    Fallback,
    Key,
    Params,
    Price,
    Provider,
    Reject,
    Route,
    RouteStep,
    SecretRef,
    Split,
    Step,
    Switch,
    Target,
    TargetStep,
)
from engine.graph.words import HIDDEN, is_secret_name, public_url


def to_json(graph: Graph, routes: tuple[Route, ...]) -> str:
    """The graph as one indented JSON object; money and weights are strings, durations are seconds."""
    return json.dumps(to_data(graph, routes), indent=2, ensure_ascii=False) + "\n"


def to_data(graph: Graph, routes: tuple[Route, ...]) -> dict[str, Any]:
    """The same as plain values. Of some routes only: what they reach, without keys and settings."""
    everything = len(routes) == len(graph.routes)
    used = {t.id: t for route in routes for t in route.targets}
    targets = dict(graph.targets) if everything else used
    providers = dict(graph.providers) if everything else {t.provider.name: t.provider for t in used.values()}
    out: dict[str, Any] = {
        "fingerprint": graph.fingerprint,
        "routes": {route.name: _route(graph, route) for route in routes},
        "targets": {name: _target(graph, targets[name]) for name in sorted(targets)},
        "providers": {name: _provider(graph, providers[name]) for name in sorted(providers)},
    }
    if everything:
        out["keys"] = {key.name: _key(graph, key) for key in sorted(graph.keys.values(), key=lambda key: key.name)}
        out["limits"] = {name: _limit(graph, limit) for name, limit in graph.limits.all.items()}
        out["settings"] = _setting(graph.settings)
        out["declared"] = {
            node: {"at": _at(graph, *node.split(":", 1)), "values": _plain(graph.declared[node])}
            for node in sorted(graph.declared)
        }
    return out


def _at(graph: Graph, kind: str, name: str) -> str | None:
    return graph.documents.get((kind, name))


def _fields(node: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(node, f.name)) for f in fields(node)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): HIDDEN if is_secret_name(str(k)) else _plain(value[k]) for k in sorted(value, key=str)}
    if isinstance(value, (frozenset, set)):
        return sorted(map(str, value))
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, SecretRef):
        return _secret(value)
    return _fields(value) if is_dataclass(value) else value


def _setting(value: Any) -> Any:
    if isinstance(value, SecretRef):
        return _secret(value)
    if is_dataclass(value):
        return {f.name: _setting(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_setting(item) for item in value]
    return public_url(value) if isinstance(value, str) else _plain(value)


def _route(graph: Graph, route: Route) -> dict[str, Any]:
    return {
        "at": _at(graph, "route", route.name),
        "digest": graph.node_digests.get(f"route:{route.name}"),
        "models": sorted(route.models),
        "when": None if route.when is None else _condition(route.when),
        "priority": route.priority,
        "retry": _fields(route.retry),
        "timeouts": _fields(route.timeouts),
        "reads": sorted(route.reads),
        "targets": [target.id for target in route.targets],
        "step": _step(route.step),
    }


def _condition(condition: Condition) -> dict[str, Any]:
    return {"text": describe(condition), "test": _test(condition)}


def _test(condition: Condition) -> dict[str, Any]:
    """The condition as it could be written under ``when``."""
    if isinstance(condition, Test):
        return {condition.attribute: {condition.operator: _plain(condition.value)}}
    if isinstance(condition, (All, Any_)):
        return {"all" if isinstance(condition, All) else "any": [_test(part) for part in condition.parts]}
    return {"not": _test(condition.part)}


def _step(step: Step) -> dict[str, Any]:
    if isinstance(step, TargetStep):
        out: dict[str, Any] = {"target": step.target.id, "params": _params(step.params)}
        out |= {"retry": _fields(step.retry), "timeouts": _fields(step.timeouts)}
        out |= {"breaker": _fields(step.breaker), "unsupported": step.unsupported}
    elif isinstance(step, Fallback):
        out = {"fallback": {"on": sorted(step.on), "steps": [_step(s) for s in step.steps]}}
    elif isinstance(step, Split):
        variants = {v.name: {"weight": _plain(v.weight), "step": _step(v.step)} for v in step.variants}
        out = {"split": {"name": step.name, "key": step.key, "variants": variants, "pins": _plain(step.pins)}}
    elif isinstance(step, Balance):
        members = [{"weight": _plain(weight), "step": _step(s)} for weight, s in step.members]
        out = {"balance": {"by": step.by, "key": step.key, "steps": members}}
    elif isinstance(step, Switch):
        cases = [{"when": _condition(condition), "step": _step(s)} for condition, s in step.cases]
        out = {"switch": {"cases": cases, "default": _step(step.default) if step.default else None}}
    elif isinstance(step, Hedge):
        steps = [_step(s) for s in step.steps]
        out = {"hedge": {"delay": step.delay, "extra": step.extra, "tools": step.tools, "steps": steps}}
    elif isinstance(step, Mirror):
        copies = {"to": _step(step.to), "share": step.share, "tools": step.tools}
        out = {"mirror": {**copies, "step": _step(step.step)}}
    elif isinstance(step, Reject):
        out = {"reject": {"status": step.status, "message": step.message}}
    else:
        assert isinstance(step, RouteStep)  # noqa: S101  - the only one left; tells the type checker
        out = {"route": step.route, "step": _step(step.step)}
    return {**out, "path": step.path}


def _params(params: Params) -> dict[str, Any]:
    return {"set": _json_pairs(params.set), "default": _json_pairs(params.default)}


def _json_pairs(pairs: tuple[tuple[str, bytes], ...]) -> dict[str, Any]:
    return {name: HIDDEN if is_secret_name(name) else json.loads(text) for name, text in sorted(pairs)}


def _target(graph: Graph, target: Target) -> dict[str, Any]:
    return {
        "digest": graph.node_digests.get(f"target:{target.id}"),
        "provider": target.provider.name,
        "model": target.model,
        "context_window": target.context_window,
        "max_output": target.max_output,
        "supports": sorted(target.supports),
        "price": None if target.price is None else _price(target.price),
        "labels": _plain(target.labels),
    }


def _price(price: Price) -> dict[str, Any]:
    out = {f.name: _plain(getattr(price, f.name)) for f in fields(price) if f.name != "tiers"}
    out = {name: value for name, value in out.items() if value is not None}
    if price.tiers:
        out["tiers"] = [{"above": above, **_price(tier)} for above, tier in price.tiers]
    return out


_AUTH = ("region", "service", "tenant", "client_id", "audience")
_AUTH_SECRETS = ("access_key", "session_token")


def _secret(ref: SecretRef | None) -> dict[str, Any] | None:
    return None if ref is None else {ref.kind: list(ref.command) or ref.name}


def _provider(graph: Graph, provider: Provider) -> dict[str, Any]:
    auth, quirks = provider.auth, provider.quirks
    return {
        "at": _at(graph, "provider", provider.name),
        "digest": graph.node_digests.get(f"provider:{provider.name}"),
        "category": provider.category,
        "dialect": provider.dialect,
        "also_speaks": list(provider.also_speaks),
        "transport": provider.transport,
        "command": list(provider.command),
        "queue_file": provider.queue_file,
        "health": None if provider.health is None else _fields(provider.health),
        "base_url": public_url(provider.base_url),
        "auth": {
            "scheme": auth.scheme,
            "header": auth.header,
            **{name: value for name in _AUTH if (value := getattr(auth, name)) is not None},
            "secret": _secret(auth.secret),
            **({"others": [_secret(ref) for ref in auth.others]} if auth.others else {}),
            **{name: _secret(ref) for name in _AUTH_SECRETS if (ref := getattr(auth, name)) is not None},
        },
        "labels": _plain(provider.labels),
        "headers": sorted(name for name, _ in provider.headers),
        "quirks": {
            "rename": dict(sorted(quirks.rename)),
            "drop": sorted(quirks.drop),
            "set": _json_pairs(quirks.set),
            "stream_usage": quirks.stream_usage,
            "paths": _plain(quirks.paths),
            "roles": _plain(quirks.roles),
        },
        "limits": [_rate(rate) for rate in provider.limits],
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {rate.unit: rate.limit} if rate.per is None else {rate.unit: rate.limit, "per": rate.per}


def _limit(graph: Graph, limit: Limit) -> dict[str, Any]:
    return {
        "at": _at(graph, "limit", limit.name),
        "each": limit.each,
        "when": None if limit.when is None else describe(limit.when),
        "limits": [_rate(rate) for rate in limit.rates],
    }


def _key(graph: Graph, key: Key) -> dict[str, Any]:
    return {
        "at": _at(graph, "key", key.name),
        "scopes": sorted(key.scopes),
        "routes": sorted(key.routes),
        "metadata": _plain(key.metadata),
        "expires": key.expires,
    }
