"""The part of a reload that may take long: reading, compiling and comparing, in a thread beside the event loop."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from engine.diagnostics import Diagnostic
from engine.documents import Loaded
from engine.graph import Graph, diff

from . import findings
from .quiet import quiet
from .source import Source

_log = logging.getLogger("interlock.reload")

_FEW = 10
_TORN_READS = 3
"""How often to read again because files changed meanwhile, before taking what was read; the watch comes round again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files say. ``known`` is a digest that needs no further look; otherwise ``graph`` or errors."""

    digest: str
    commit: str | None
    known: bool = False
    graph: Graph | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    changes: tuple[str, ...] = ()
    """What the graph changes of the running one, in words."""


def read(source: Source, known: Collection[str] = (), running: Graph | None = None) -> Reading:
    """Read the configuration as it is now, and compile it unless its digest is ``known``; never raises."""
    digest, commit = "", None
    with quiet():
        try:
            commit = source.commit()
            loaded = _load(source)
            digest = loaded.digest
            if digest in known:
                return Reading(digest, commit, known=True)
            compilation = source.compile(loaded)
            graph = compilation.graph
            changes = _changes(running, graph) if running is not None and graph is not None else ()
            return Reading(digest, commit, graph=graph, diagnostics=tuple(compilation.diagnostics), changes=changes)
        except Exception as error:  # boundary: a fault of ours must not end the watch, nor what runs
            _log.exception("reading the configuration failed")
            return Reading(digest or "crashed", commit, diagnostics=(findings.crashed(error),))


def _changes(running: Graph, graph: Graph) -> tuple[str, ...]:
    """The nodes that differ; how they differ only where they are few enough for anyone to read that."""
    before, after = running.node_digests, graph.node_digests
    nodes = sorted(node for node in before.keys() | after.keys() if before.get(node) != after.get(node))
    if len(nodes) > _FEW:
        return tuple(nodes)
    return tuple(
        f"{change.kind} {change.node}" + (f" ({'; '.join(change.details)})" if change.details else "")
        for change in diff(running, graph)
    )


def _load(source: Source) -> Loaded:
    """The documents, read between two equal signatures, so that an edit of several files is not seen half done."""
    before = signature_of(source)
    for _ in range(_TORN_READS):
        loaded = source.load()
        after = signature_of(source)
        if after == before:
            break
        before = after
    return loaded


def signature_of(source: Source) -> str | None:
    """The source's signature; ``None`` while it cannot be had."""
    try:
        return source.signature()
    except OSError:
        return None
