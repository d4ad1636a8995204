"""One file's content to documents and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from engine.diagnostics import Diagnostic
from engine.documents.builder import ABSENT, Builder, Finding, Spent
from engine.documents.headers import check_header, header
from engine.documents.limits import LIMITS
from engine.documents.locate import at
from engine.documents.model import Document
from engine.documents.sourcemap import SourceMap
from engine.documents.text import decode, forbidden, newlines, split


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...]
    sound: Mapping[str, Document] = field(default_factory=dict)
    """The documents without findings, by the digest of their text."""


def load_text(text: str | bytes, file: str) -> tuple[list[Document], list[Diagnostic]]:
    """The documents in the content of a file, and everything that is wrong with them; never raises for the content.

    ``file`` is what diagnostics call the file. A document with a finding is still returned where its tree could be
    read, so that later stages can report theirs; one with a syntax error or over a limit is not.
    """
    parsed = parse(text, file, overlay=False, known={})
    return list(parsed.documents), list(parsed.diagnostics)


def parse(text: str | bytes, file: str, *, overlay: bool, known: Mapping[str, Document]) -> Parsed:
    """As ``load_text``; ``known`` are documents without findings, by the digest of their text, to take trees from."""
    size = len(text)
    if size > LIMITS.file_bytes:
        return Parsed((), (at(file, too_large(size), [""]),))
    wrong: Finding | None = None
    if isinstance(text, bytes):
        text, wrong = decode(text)
    text = newlines(text)
    if wrong is not None:
        return Parsed((), (at(file, wrong, text.split("\n")),))
    if bad := forbidden(text):
        lines = text.split("\n")
        return Parsed((), tuple(at(file, finding, lines) for finding in bad))
    pieces = split(text)
    if len(pieces) > LIMITS.documents:
        line = pieces[LIMITS.documents][0]
        summary = f"more than {LIMITS.documents:,} documents in one file"
        finding = Finding("D109", line, 0, None, summary, hint="split the file")
        return Parsed((), (at(file, finding, text.split("\n")),))
    documents: list[Document] = []
    diagnostics: list[Diagnostic] = []
    spent = Spent()
    sound: dict[str, Document] = {}
    for line, piece in pieces:
        before, held = len(diagnostics), len(documents)
        _read(piece, line, file, overlay, known, spent, documents, diagnostics)
        if len(documents) > held and len(diagnostics) == before:
            sound[documents[-1].digest] = documents[-1]
        if spent.findings >= LIMITS.findings:
            summary = f"more than {LIMITS.findings - 1} findings in this file; the rest of it was not read"
            finding = Finding("D115", line, 0, None, summary, hint="mend these first")
            diagnostics.append(at(file, finding, piece.split("\n")[:1]))
            break
    return Parsed(tuple(documents), tuple(diagnostics), sound)


def too_large(size: int) -> Finding:
    """The finding for a file of ``size`` bytes."""
    limit = LIMITS.file_bytes // 1024 // 1024
    return Finding("D109", 0, 0, 0, f"the file has {size:,} bytes; the limit is {limit} MB", hint="split the file")


def _read(
    piece: str,
    line: int,
    file: str,
    overlay: bool,
    known: Mapping[str, Document],
    spent: Spent,
    documents: list[Document],
    diagnostics: list[Diagnostic],
) -> None:
    """Reads one document and adds it, or what is wrong with it."""
    digest = blake2b(piece.encode(), digest_size=16).hexdigest()
    # What aliases stand for is counted over the whole file, so that a document with aliases is always read.
    same = None if "*" in piece and "&" in piece else known.get(digest)
    if same is not None:
        source = SourceMap(file, piece, line + 1)
        documents.append(Document(same.kind, same.name, file, len(documents), same.tree, source, digest))
        return
    builder = Builder(spent)
    builder.read(piece)
    if builder.findings:
        lines = piece.split("\n")
        diagnostics.extend(at(file, finding, lines, line) for finding in builder.findings)
    tree: Any = builder.tree
    if not builder.whole or tree is ABSENT:
        return
    if not isinstance(tree, dict):
        diagnostics.append(_not_a_mapping(file, piece, line, tree))
        spent.findings += 1
        return
    kind, name = header(tree)
    document = Document(kind, name, file, len(documents), tree, SourceMap(file, piece, line + 1), digest)
    documents.append(document)
    findings = check_header(document, overlay=overlay)
    spent.findings += len(findings)
    diagnostics.extend(findings)


def _not_a_mapping(file: str, piece: str, line: int, tree: object) -> Diagnostic:
    what = "a list" if isinstance(tree, list) else "a single value"
    span = SourceMap(file, piece, 1).span(())
    finding = Finding(
        "D120",
        span.line - 1,
        span.column - 1,
        span.end_column - 1 if span.end_line == span.line else None,
        f"the document is {what}, not a mapping",
        hint='begin with "version: 1", "kind: ..." and "name: ..."; separate documents with "---"',
    )
    return at(file, finding, piece.split("\n"), line)
