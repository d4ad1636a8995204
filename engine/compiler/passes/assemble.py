"""The graph itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from engine.documents import Document
from engine.graph import Graph, LimitIndex, RouteIndex, Settings, whole
from engine.graph.graph import circuits_of

from ..work import Owner, Work

#: Kinds that have no node of their own: what they declare is kept as it was written, so that changes show.
_HEADER = ("version", "kind", "name")
_DECLARED = ("policy", "budget", "invariant")


class Places(Mapping[Owner, str]):
    """(kind, name) -> ``file:line``. Looked up when asked for: ten thousand places are seldom wanted, and never all."""

    __slots__ = ("_documents",)

    def __init__(self, documents: Mapping[Owner, Document]) -> None:
        self._documents = documents

    def __getitem__(self, owner: Owner) -> str:
        source = self._documents[owner].source
        return f"{source.file_of(())}:{source.span(('name',)).line}"

    def __iter__(self) -> Iterator[Owner]:
        return iter(self._documents)

    def __len__(self) -> int:
        return len(self._documents)


def run(work: Work) -> None:
    """Fills ``graph``."""
    digests = dict(work.digests)
    for key in work.keys.values():
        digests[f"key:{key.name}"] = work.digester.digest(key)
    for limit in work.limits:
        digests[f"limit:{limit.name}"] = work.digester.digest(limit)
    if work.settings is not None:
        digests[f"settings:{work.settings[0]}"] = work.digester.digest(work.settings[1])
    declared: dict[str, Mapping[str, Any]] = {}
    for kind in _DECLARED:
        for name, entry in getattr(work.declared, kind).items():
            values = {key: value for key, value in entry.document.tree.items() if key not in _HEADER}
            declared[f"{kind}:{name}"] = MappingProxyType(values)
            digests[f"{kind}:{name}"] = work.digester.digest(values)
    digests = dict(sorted(digests.items()))
    work.graph = Graph(
        fingerprint=whole(digests),
        providers=MappingProxyType(dict(sorted(work.providers.items()))),
        targets=MappingProxyType(dict(sorted(work.targets.items()))),
        routes=MappingProxyType(dict(sorted(work.routes.items()))),
        keys=MappingProxyType(work.keys),
        settings=work.settings[1] if work.settings is not None else Settings(),
        index=RouteIndex.build(work.routes.values()),
        limits=LimitIndex(work.limits),
        documents=Places(work.by_name),
        node_digests=MappingProxyType(digests),
        declared=MappingProxyType(declared),
        circuits=circuits_of(work.routes.values()),
    )
