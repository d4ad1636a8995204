"""The graph: everything a configuration means, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .fingerprint import Digester, digest_nodes, whole
from .index import RouteIndex
from .limits import Limit, LimitIndex
from .nodes import EMPTY, Key, Provider, Route, Target
from .settings import Settings

_NO_DOCUMENTS: Mapping[tuple[str, str], str] = MappingProxyType({})


def circuits_of(routes: Iterable[Route]) -> frozenset[str]:
    """The ids of the circuits of every use of a target in these routes."""
    return frozenset(circuit for route in routes for circuit in route.circuits)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """One configuration, compiled. Immutable and shared between requests without locks; mappings are read-only.

    ``providers``, ``targets`` and ``routes`` are by name (targets by ``provider/model``), ``keys`` by the SHA-256 of
    the client's secret. Two graphs of the same ``fingerprint`` behave alike, whatever files they were written in.
    """

    fingerprint: str
    providers: Mapping[str, Provider]
    targets: Mapping[str, Target]
    routes: Mapping[str, Route]
    keys: Mapping[str, Key]
    settings: Settings
    index: RouteIndex
    documents: Mapping[tuple[str, str], str] = field(default_factory=lambda: _NO_DOCUMENTS)
    """(kind, name) -> ``file:line``, for people; not part of the meaning."""
    node_digests: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """Node id (``provider:x``, ``target:x/y``, ``route:x``, ``key:x``, ``settings:x``, ``policy:x``, ...) -> digest."""
    declared: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    """Node id -> plain values of documents without a node of their own (policies, budgets, ...), for ``diff``."""
    limits: LimitIndex = field(default_factory=LimitIndex)
    circuits: frozenset[str] = frozenset()
    """The ids of the circuits of all routes."""

    @classmethod
    def build(
        cls,
        *,
        providers: Iterable[Provider] = (),
        targets: Iterable[Target] = (),
        routes: Iterable[Route] = (),
        keys: Iterable[Key] = (),
        limits: Iterable[Limit] = (),
        settings: tuple[str, Settings] | None = None,
        documents: Mapping[tuple[str, str], str] = _NO_DOCUMENTS,
        declared: Mapping[str, Mapping[str, Any]] = EMPTY,
        digester: Digester | None = None,
    ) -> Graph:
        """The graph of these nodes, with its index, digests and fingerprint; names are unique, their order is nothing.

        ``settings`` is the document's name and its node; ``None`` stands for the built-in defaults.
        """
        by_name = {p.name: p for p in sorted(providers, key=lambda p: p.name)}
        by_id = {t.id: t for t in sorted(targets, key=lambda t: t.id)}
        by_route = {r.name: r for r in sorted(routes, key=lambda r: r.name)}
        by_hash = {k.sha256: k for k in sorted(keys, key=lambda k: k.name)}
        index = LimitIndex(limits)
        digests = digest_nodes(
            providers=by_name,
            targets=by_id,
            routes=by_route,
            keys=by_hash.values(),
            limits=index.all,
            settings=settings,
            declared=declared,
            digester=digester,
        )
        return cls(
            fingerprint=whole(digests),
            providers=MappingProxyType(by_name),
            targets=MappingProxyType(by_id),
            routes=MappingProxyType(by_route),
            keys=MappingProxyType(by_hash),
            settings=settings[1] if settings else Settings(),
            index=RouteIndex.build(by_route.values()),
            limits=index,
            documents=MappingProxyType(dict(documents)),
            node_digests=MappingProxyType(digests),
            declared=MappingProxyType(dict(declared)),
            circuits=circuits_of(by_route.values()),
        )

    @property
    def metered(self) -> frozenset[str]:
        """Ids of the targets in balances by ``usage``, of all routes."""
        return frozenset().union(*(route.metered for route in self.routes.values() if route.metered))

    @classmethod
    def empty(cls) -> Graph:
        """The graph of no documents at all: it routes nothing."""
        return cls.build()
