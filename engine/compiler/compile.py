"""The compiler: an ordered list of small passes from documents to a graph, and to all there is to be said about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.diagnostics import Diagnostic, sort
from engine.documents import Document, DocumentCache, Folder, Loaded
from engine.graph import Graph
from engine.schema import Declaration

from .cache import CompilerCache
from .passes import (
    access,
    assemble,
    declarations,
    drafts,
    links,
    money,
    overlaps,
    policies,
    proofs,
    providers,
    routes,
    usage,
)
from .work import Owner, Work

Pass = Callable[[Work], None]

#: In this order, and why.
PASSES: tuple[tuple[str, Pass], ...] = (
    # First: everything after it works with typed declarations, and leaves out the documents that have none.
    ("declarations", declarations.run),
    # Before whatever refers to providers and targets; it refers to nothing itself.
    ("providers", providers.run),
    # Needs no other document. Before links, which reads the references that it collects.
    ("drafts", drafts.run),
    # After providers (and the names of routes), which its selections match; before routes, which take its values.
    ("policies", policies.run),
    # After drafts and providers. Before routes: it says which can be lowered, and in which order.
    ("links", links.run),
    # After links and policies: by now every name in it exists, no circle is left, and every policy is resolved.
    ("routes", routes.run),
    # Compares routes with each other by their drafts, so that routes with unknown targets are compared too.
    ("overlaps", overlaps.run),
    # After declarations only; before money, which asks what metadata the keys fix.
    ("access", access.run),
    # After routes and access: which targets a budget could meet, and whom it could trust.
    ("money", money.run),
    # After declarations and providers. Refers to everything, and nothing refers to it.
    ("proofs", proofs.run),
    # After routes: what none of them uses is only known once all are lowered.
    ("usage", usage.run),
)


@dataclass(frozen=True, slots=True)
class Compilation:
    """What came of a configuration.

    ``graph`` is None if and only if ``diagnostics`` (sorted by place) has an error. ``declarations`` are the valid
    documents, typed; ``documents`` counts all that were read, and ``digest`` covers the content of every file read
    (empty where documents were compiled without a folder).
    """

    graph: Graph | None
    diagnostics: tuple[Diagnostic, ...]
    declarations: tuple[Declaration, ...] = ()
    documents: int = 0
    digest: str = ""
    sources: Mapping[Owner, Document] = field(default_factory=dict)
    """Where each declaration is written, by kind and name."""


@dataclass(slots=True)
class Caches:
    """What makes the next compilation of a folder cost only what changed. Not for two compilations at the same time."""

    documents: DocumentCache = field(default_factory=DocumentCache)
    compiler: CompilerCache = field(default_factory=CompilerCache)


def compile_documents(
    documents: Iterable[Document], *, cache: CompilerCache | None = None, environ: Mapping[str, str] | None = None,
    diagnostics: Sequence[Diagnostic] = (), digest: str = "",
) -> Compilation:  # fmt: skip
    """Compiles documents into a graph; never raises for what they say.

    ``diagnostics`` are what the loader has found already; an error among them leaves no graph. ``environ`` (the
    process's own by default) is only asked which secrets are set. With ``cache``, nodes that mean the same as in the
    compilation before are the same objects.
    """
    cache = CompilerCache() if cache is None else cache
    work = Work(tuple(documents), cache, os.environ if environ is None else environ, list(diagnostics))
    for _, run in PASSES:
        run(work)
    found = sort([*work.diagnostics, *work.render(work.findings)])
    good = not any(diagnostic.severity == "error" for diagnostic in found)
    if good:
        # Last, and only without errors: a graph has every reference resolved, or there is none.
        assemble.run(work)
    cache.turn(good)
    return Compilation(work.graph, tuple(found), work.declared.models(), len(work.documents), digest, work.by_name)


def compile_folder(
    root: str | os.PathLike[str], overlays: Sequence[str | os.PathLike[str]] = (), *, caches: Caches | None = None,
    environ: Mapping[str, str] | None = None,
) -> Compilation:  # fmt: skip
    """Reads and compiles a configuration folder with its overlays: the one way from files to a graph.

    ``check``, ``serve`` and every reload take it, so that they cannot disagree. Never raises for what is on disk.
    """
    caches = Caches() if caches is None else caches
    return compile_loaded(Folder(root, overlays).load(caches.documents), caches=caches, environ=environ)


def compile_loaded(
    loaded: Loaded, *, caches: Caches | None = None, environ: Mapping[str, str] | None = None
) -> Compilation:
    """The second half of :func:`compile_folder`, for callers that look at the digest of what was read first."""
    cache = None if caches is None else caches.compiler
    return compile_documents(
        loaded.documents, cache=cache, environ=environ, diagnostics=loaded.diagnostics, digest=loaded.digest
    )
