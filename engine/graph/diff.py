"""What changed between two graphs, in words. Positions, file names and spelling are not changes; secrets never show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from .conditions import describe
from .fingerprint import digest
from .graph import Graph
from .limits import Rate
from .nodes import Auth, Key, Params, Price, Provider, Quirks, Route, SecretRef, Target
from .settings import Settings, StateStore
from .stepdiff import params_rows, step_changes
from .words import HIDDEN, describe_rate, is_secret_name, public_url, shorten, show

_Rows = dict[str, tuple[Any, str]]
"""Field -> (what is compared, what is shown)."""

#: Shown when nodes differ in something that the words below have no name for.
_UNNAMED = "definition"


@dataclass(frozen=True, slots=True)
class Change:
    """One node that differs: ``node`` is its id (``route:chat``), ``details`` names the fields that changed."""

    kind: Literal["added", "removed", "changed"]
    node: str
    details: tuple[str, ...] = ()


def diff(a: Graph, b: Graph) -> tuple[Change, ...]:
    """Every node that is different in meaning between ``a`` (before) and ``b`` (after), sorted by node id."""
    before, after = a.node_digests, b.node_digests
    out = []
    for node in sorted(before.keys() | after.keys()):
        if node not in before:
            out.append(Change("added", node))
        elif node not in after:
            out.append(Change("removed", node))
        elif before[node] != after[node]:
            out.append(Change("changed", node, tuple(_details(a, b, node)) or (_UNNAMED,)))
    return tuple(out)


def _details(a: Graph, b: Graph, node: str) -> list[str]:
    kind, _, name = node.partition(":")
    if kind == "route":
        return list(_route(a, b, a.routes[name], b.routes[name]))
    rows = _ROWS.get(kind)
    if rows is None:
        return compare(_plain_rows(a.declared.get(node, {})), _plain_rows(b.declared.get(node, {})))
    before, after = rows(a, name), rows(b, name)
    details = compare(before, after)
    if kind == "target" and a.targets[name].provider.name == b.targets[name].provider.name:
        provider = f"provider:{b.targets[name].provider.name}"
        if a.node_digests.get(provider) != b.node_digests.get(provider):
            details.append(f"its provider {b.targets[name].provider.name}")
    return details


def compare(before: _Rows, after: _Rows) -> list[str]:
    """``field: old -> new`` for every field that differs, in the fields' order."""
    out = []
    for name in [*before, *(n for n in after if n not in before)]:
        old, new = before.get(name), after.get(name)
        if old is None or new is None or digest(old[0]) != digest(new[0]):
            left, right = (row[1] if row else "none" for row in (old, new))
            out.append(f"{name}: {left} -> {right}" if left != right else f"{name}: changed")
    return out


def _route(a: Graph, b: Graph, old: Route, new: Route) -> Iterator[str]:
    yield from compare(_route_rows(old), _route_rows(new))
    for word, left, right in (("retry", old.retry, new.retry), ("timeouts", old.timeouts, new.timeouts)):
        yield from compare(_fields(left, f"{word}."), _fields(right, f"{word}."))
    yield from step_changes(old.step, new.step)
    common = {t.id for t in old.targets} & {t.id for t in new.targets}
    for target in sorted(common):
        node = f"target:{target}"
        if a.node_digests.get(node) != b.node_digests.get(node):
            yield f"its target {target}"


def _route_rows(route: Route) -> _Rows:
    when = "always" if route.when is None else describe(route.when)
    return {
        "models": (frozenset(route.models), show(sorted(route.models))),
        "when": (route.when, when),
        "priority": (route.priority, show(route.priority)),
    }


def _fields(node: Any, prefix: str = "") -> _Rows:
    """A row for every field that is a plain value."""
    return {f"{prefix}{f.name}": _row(f.name, getattr(node, f.name)) for f in fields(node)}


def _row(name: str, value: Any) -> tuple[Any, str]:
    if isinstance(value, str) and "://" in value:
        return value, public_url(value)
    return value, shorten(show(value))


def _plain_rows(value: Any, path: str = "") -> _Rows:
    """A row for every leaf of plain values."""
    if isinstance(value, Mapping):
        out: _Rows = {}
        for name in sorted(value, key=str):
            out |= _plain_rows(value[name], f"{path}.{name}" if path else str(name))
        return out
    return {path: (value, HIDDEN) if is_secret_name(path.rpartition(".")[2]) else _row(path, value)}


def _provider_rows(graph: Graph, name: str) -> _Rows:
    provider: Provider = graph.providers[name]
    rows: _Rows = {
        field: _row(field, getattr(provider, field)) for field in ("category", "dialect", "transport", "base_url")
    }
    auth: Auth = provider.auth
    rows["auth.scheme"] = _row("scheme", auth.scheme)
    rows["auth.header"] = _row("header", auth.header)
    for field in ("region", "service", "tenant", "client_id", "audience"):
        rows[f"auth.{field}"] = _row(field, getattr(auth, field))
    secrets = ", ".join(_secret(secret) for secret in (auth.secret, *auth.others))
    rows["auth.secret"] = (secrets, secrets)
    for field in ("access_key", "session_token"):
        rows[f"auth.{field}"] = (_secret(getattr(auth, field)), _secret(getattr(auth, field)))
    rows |= _plain_rows(provider.labels, "labels")
    rows |= {f"headers.{header}": (value, HIDDEN) for header, value in provider.headers}
    quirks: Quirks = provider.quirks
    rows |= {f"quirks.rename.{old}": (new, new) for old, new in sorted(quirks.rename)}
    rows["quirks.drop"] = (quirks.drop, show(quirks.drop))
    rows |= params_rows(Params(set=quirks.set), "quirks.")
    rows |= _plain_rows(quirks.paths, "quirks.paths") | _plain_rows(quirks.roles, "quirks.roles")
    rows["command"] = (provider.command, shorten(show(provider.command)))
    rows["queue_file"] = _row("queue_file", provider.queue_file)
    rows["also_speaks"] = _row("also_speaks", provider.also_speaks)
    rows |= _fields(provider.health, "health.") if provider.health is not None else {}
    rows["quirks.stream_usage"] = _row("stream_usage", quirks.stream_usage)
    rows["limits"] = _rates(provider.limits)
    return rows


def _secret(secret: SecretRef | None) -> str:
    return "none" if secret is None else f"{secret.kind} {' '.join(secret.command) or secret.name}"


def _target_rows(graph: Graph, name: str) -> _Rows:
    target: Target = graph.targets[name]
    rows: _Rows = {
        field: _row(field, getattr(target, field)) for field in ("model", "context_window", "max_output", "supports")
    }
    rows["provider"] = _row("provider", target.provider.name)
    rows |= _price_rows(target.price, "price.")
    inherited = target.provider.labels
    own = {name: value for name, value in target.labels.items() if inherited.get(name) != value}
    return rows | _plain_rows(own, "labels")


def _price_rows(price: Price | None, prefix: str) -> _Rows:
    if price is None:
        return {}
    rows = {
        f"{prefix}{f.name}": _row(f.name, value)
        for f in fields(price)
        if f.name != "tiers" and (value := getattr(price, f.name)) is not None
    }
    for above, tier in price.tiers:
        rows |= _price_rows(tier, f"{prefix}above {above}.")
    return rows


def _key_rows(graph: Graph, name: str) -> _Rows:
    key: Key = next(k for k in graph.keys.values() if k.name == name)
    return {
        "secret": (key.sha256, HIDDEN),
        "scopes": (key.scopes, show(key.scopes)),
        "routes": (frozenset(key.routes), show(sorted(key.routes)) if key.routes else "all"),
        **_plain_rows(key.metadata, "metadata"),
    }


def _limit_rows(graph: Graph, name: str) -> _Rows:
    limit = graph.limits.all[name]
    return {
        "each": _row("each", limit.each),
        "when": (limit.when, "always" if limit.when is None else describe(limit.when)),
        "limits": _rates(limit.rates),
    }


def _rates(rates: tuple[Rate, ...]) -> tuple[Any, str]:
    words = sorted(describe_rate(rate) for rate in rates)
    return words, shorten("; ".join(words) or "none")


def _settings_rows(graph: Graph, _: str) -> _Rows:
    settings: Settings = graph.settings
    rows = _fields(settings) | _fields(settings.readiness, "readiness.")
    del rows["readiness"]
    rows |= _fields(settings.gates, "plan.gates.")
    del rows["gates"]
    if isinstance(settings.ledger_url, SecretRef):
        rows["ledger_url"] = (_secret(settings.ledger_url), _secret(settings.ledger_url))
    del rows["state"]
    state: StateStore = settings.state
    rows |= _fields(state, "state.")
    rows["state.secret"] = (_secret(state.secret), _secret(state.secret))
    del rows["otlp"], rows["decisions"]
    if settings.decisions is not None:
        rows |= _fields(settings.decisions, "decisions.")
    otlp = settings.otlp
    if otlp is not None:
        rows |= _fields(otlp, "otlp.")
        del rows["otlp.headers"]
        rows |= {f"otlp.headers.{name}": (_secret(ref), _secret(ref)) for name, ref in otlp.headers}
    return rows


_ROWS: Mapping[str, Callable[[Graph, str], _Rows]] = {
    "provider": _provider_rows,
    "target": _target_rows,
    "key": _key_rows,
    "limit": _limit_rows,
    "settings": _settings_rows,
}
