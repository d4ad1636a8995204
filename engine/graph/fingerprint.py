"""Content hashes of what a configuration means: the same for every way of writing the same thing.

Two values that mean the same have the same canonical bytes: mappings and sets have no order, ``3`` is ``3.0`` is
``Decimal("3.00")``, positions in files are left out, and so is everything that is derived from the rest. Secrets are
never in a node, only references to them, so that they cannot get into a hash either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from .conditions import All, Any_, Test
from .limits import Limit, Rate
from .nodes import (
    Breaker,
    Key,
    Params,
    Provider,
    Quirks,
    Retry,
    Route,
    Split,
    Target,
    TargetStep,
    Timeouts,
)
from .settings import Settings

#: Fields that are not meaning: where something was written, and what follows from the other fields.
_LEFT_OUT: Mapping[type, frozenset[str]] = {
    Limit: frozenset({"trusted"}),
    Provider: frozenset({"accounts", "limited"}),
    Rate: frozenset({"suffix"}),
    Route: frozenset({"reads", "targets", "metered", "circuits", "digest"}),
    TargetStep: frozenset({"circuit"}),
}
_POSITION = "path"

#: Tuples that were mappings or sets in YAML: their order means nothing.
_UNORDERED: Mapping[type, frozenset[str]] = {
    All: frozenset({"parts"}),
    Any_: frozenset({"parts"}),
    Key: frozenset({"routes"}),
    Limit: frozenset({"rates"}),
    Params: frozenset({"set", "default"}),
    Provider: frozenset({"headers", "limits"}),
    Quirks: frozenset({"rename", "set"}),
    Route: frozenset({"models"}),
    Split: frozenset({"variants"}),
    Test: frozenset({"value"}),
}

#: Fields that hold (name, JSON text) pairs: the JSON counts, not how it was spaced or ordered.
_JSON: Mapping[type, frozenset[str]] = {Params: frozenset({"set", "default"}), Quirks: frozenset({"set"})}

_Plan = tuple[bytes, tuple[tuple[bytes, str, Callable[[Any], bytes]], ...]]


class Digester:
    """Digests values, remembering the nodes that many others share, so that a graph costs its size and no more.

    It keeps what it remembers alive; throw it away with the compilation it served.
    """

    def __init__(self) -> None:
        self._shared: dict[int, tuple[Any, bytes]] = {}
        self._values: dict[Retry | Timeouts | Breaker, bytes] = {}
        self._plans: dict[type, _Plan] = {}
        self._encoders: dict[type, Callable[[Any], bytes]] = {
            type(None): lambda _: b"N",
            bool: lambda value: b"T" if value else b"F",
            int: _number,
            float: _number,
            Decimal: _number,
            str: _text,
            bytes: lambda value: b"b%d:%b" % (len(value), value),
            tuple: self._sequence,
            list: self._sequence,
            set: self._unordered,
            frozenset: self._unordered,
            Provider: self._by_digest,
            Target: self._by_digest,
            Retry: self._by_value,
            Timeouts: self._by_value,
            Breaker: self._by_value,
        }

    def canonical(self, value: Any) -> bytes:
        """The bytes of the value's meaning. Equal bytes: equal meaning. Raises ``TypeError`` for an unknown type."""
        if isinstance(value, (Provider, Target)):
            return self._fields(value)
        return self._encode(value)

    def digest(self, value: Any) -> str:
        """16 hexadecimal digits of BLAKE2b over the canonical bytes."""
        return blake2b(self.canonical(value), digest_size=8).hexdigest()

    def _encode(self, value: Any) -> bytes:
        encoder = self._encoders.get(type(value))
        if encoder is None:
            encoder = self._encoders[type(value)] = self._choose(value)
        return encoder(value)

    def _choose(self, value: Any) -> Callable[[Any], bytes]:
        if is_dataclass(value) and not isinstance(value, type):
            return self._fields
        if isinstance(value, Mapping):
            return self._mapping
        if isinstance(value, str):  # enumerations of strings
            return _text
        raise TypeError(f"{type(value).__name__} has no canonical form")

    def _fields(self, value: Any) -> bytes:
        cls = type(value)
        plan = self._plans.get(cls)
        if plan is None:
            plan = self._plans[cls] = self._plan(cls)
        head, rows = plan
        return head + b"".join([name + encode(getattr(value, field)) for name, field, encode in rows]) + b"]"

    def _plan(self, cls: type) -> _Plan:
        out = []
        for name in sorted(field.name for field in fields(cls)):
            if name == _POSITION or name in _LEFT_OUT.get(cls, ()):
                continue
            encode: Callable[[Any], bytes] = self._encode
            if name in _JSON.get(cls, ()):
                encode = self._json_pairs
            elif name in _UNORDERED.get(cls, ()):
                encode = self._maybe_unordered
            out.append((_text(name), name, encode))
        return b"[" + _text(cls.__name__), tuple(out)

    def _by_digest(self, value: Any) -> bytes:
        known = self._shared.get(id(value))
        if known is None:
            known = self._shared[id(value)] = (value, b"@" + blake2b(self._fields(value), digest_size=16).digest())
        return known[1]

    def _by_value(self, value: Any) -> bytes:
        known = self._values.get(value)
        if known is None:
            known = self._values[value] = self._fields(value)
        return known

    def _sequence(self, value: Iterable[Any]) -> bytes:
        return b"(" + b"".join([self._encode(item) for item in value]) + b")"

    def _unordered(self, value: Iterable[Any]) -> bytes:
        return b"<" + b"".join(sorted([self._encode(item) for item in value])) + b">"

    def _maybe_unordered(self, value: Any) -> bytes:
        return self._unordered(value) if isinstance(value, tuple) else self._encode(value)

    def _mapping(self, value: Mapping[Any, Any]) -> bytes:
        return b"{" + b"".join(sorted([self._encode(k) + self._encode(v) for k, v in value.items()])) + b"}"

    def _json_pairs(self, value: tuple[tuple[str, bytes], ...]) -> bytes:
        return b"{" + b"".join(sorted([_text(name) + _text(_json(text)) for name, text in value])) + b"}"


def _json(text: bytes) -> str:
    """JSON text in one spelling; ``1`` and ``1.0`` stay different, because they are different on the wire."""
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(raw), raw)


def _number(value: int | float | Decimal) -> bytes:
    if isinstance(value, int) and -(10**15) < value < 10**15:
        return b"#%d;" % value
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        return b"#%b;" % str(exact).encode()
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101  - finite, so it is one; tells the type checker
    written = "".join(map(str, digits)).lstrip("0")
    kept = written.rstrip("0")
    if not kept:
        return b"#0;"
    exponent += len(written) - len(kept)
    if exponent >= 0 and len(kept) + exponent <= 15:
        kept, exponent = kept + "0" * exponent, 0
    return f"#{'-' * sign}{kept}{f'e{exponent}' if exponent else ''};".encode()


def canonical(value: Any) -> bytes:
    """The bytes of a value's meaning; see :class:`Digester` for digesting many values that share nodes."""
    return Digester().canonical(value)


def digest(value: Any) -> str:
    """16 hexadecimal digits that stand for a value's meaning."""
    return Digester().digest(value)


def digest_nodes(
    *,
    providers: Mapping[str, Provider],
    targets: Mapping[str, Target],
    routes: Mapping[str, Route],
    keys: Iterable[Key],
    settings: tuple[str, Settings] | None,
    declared: Mapping[str, Mapping[str, Any]],
    limits: Mapping[str, Limit] = MappingProxyType({}),
    digester: Digester | None = None,
) -> dict[str, str]:
    """Node id -> digest of everything in a graph, sorted by id.

    A route that carries its ``digest`` already is not digested again. ``settings`` is the document's name and its node,
    ``declared`` what has no node (see :class:`Graph`), by node id.
    """
    digester = digester or Digester()
    out: dict[str, str] = {}
    for kind, nodes in (("provider", providers), ("target", targets)):
        for name, node in nodes.items():
            out[f"{kind}:{name}"] = digester.digest(node)
    for name, route in routes.items():
        out[f"route:{name}"] = route.digest or digester.digest(route)
    for key in keys:
        out[f"key:{key.name}"] = digester.digest(key)
    for name, limit in limits.items():
        out[f"limit:{name}"] = digester.digest(limit)
    if settings is not None:
        out[f"settings:{settings[0]}"] = digester.digest(settings[1])
    for node_id, values in declared.items():
        out[node_id] = digester.digest(values)
    return dict(sorted(out.items()))


def whole(node_digests: Mapping[str, str]) -> str:
    """The fingerprint of a graph: 16 hexadecimal digits over its nodes' ids and digests, whatever their order."""
    return digest(tuple(sorted(node_digests.items())))
