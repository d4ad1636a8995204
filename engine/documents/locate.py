"""Makes diagnostics that point at the text."""

from __future__ import annotations

from engine.diagnostics import CODES, Diagnostic
from engine.documents.builder import Finding
from engine.documents.mask import literal_secrets, mask, mask_line
from engine.documents.model import Document
from engine.documents.sourcemap import Path, Span, child

#: Longer excerpts help nobody; a finding further to the right has none.
_EXCERPT = 2000


def at(file: str, finding: Finding, lines: list[str], first_line: int = 0) -> Diagnostic:
    """The diagnostic for ``finding`` in the piece of ``file`` with these ``lines``, the first being ``first_line``."""
    line = min(finding.line, len(lines) - 1)
    text = lines[line]
    column = min(finding.column, len(text))
    end = len(text.rstrip()) if finding.end_column is None else min(finding.end_column, len(text))
    excerpt = mask_line(text[:_EXCERPT]) if column < _EXCERPT else ""
    related: tuple[tuple[str, int, int, str], ...] = ()
    if finding.related is not None:
        other, other_column, what = finding.related
        related = ((file, first_line + other + 1, other_column + 1, what),)
    return Diagnostic(
        finding.code,
        CODES[finding.code].severity,
        finding.summary,
        file,
        first_line + line + 1,
        column + 1,
        max(end, column + 1) + 1,
        excerpt,
        finding.label,
        finding.detail,
        finding.hint,
        related,
    )


def nowhere(file: str, code: str, summary: str, *, detail: str = "", hint: str = "") -> Diagnostic:
    """A diagnostic about a file or folder as a whole."""
    return Diagnostic(code, CODES[code].severity, summary, file, 1, 1, 2, detail=detail, hint=hint)


def diagnose(
    document: Document,
    code: str,
    path: Path,
    summary: str,
    *,
    key: bool = False,
    label: str = "",
    detail: str = "",
    hint: str = "",
    span_slice: tuple[int, int] | None = None,
    related: tuple[tuple[str, int, int, str], ...] = (),
) -> Diagnostic:
    """A diagnostic at the value of ``document`` at ``path``, or at its key.

    A block, a value over several lines and one without any text are shown by their key; the document as a whole (an
    empty path) by its ``name``. An unknown path stands for its nearest ancestor. ``span_slice`` narrows the place to
    these characters of a text value. Literal secrets are masked in all texts. The severity is that of the code.
    """
    path = _existing(document, path)
    if not path:
        path = next(((head,) for head in ("name", "kind") if head in document.tree), ())
    source = document.source
    span = source.span(path, key)
    if path and isinstance(path[-1], str) and not key:
        own = source.span(path, True)
        below = span.line > own.line and isinstance(_value(document, path), dict | list)
        if below or span.end_line != span.line or span.end_column == span.column:
            span = own
    text = source.excerpt(span.line, path)
    span = _first_line(span, text)
    if span_slice is not None and not key:
        span = _narrow(span, text, _value(document, path), span_slice)
    secrets = literal_secrets(document.tree)
    return Diagnostic(
        code,
        CODES[code].severity,
        mask(summary, secrets),
        source.file_of(path),
        span.line,
        span.column,
        span.end_column,
        mask(text[:_EXCERPT], secrets, line=True) if span.column <= _EXCERPT else "",
        mask(label, secrets),
        mask(detail, secrets),
        mask(hint, secrets),
        related,
    )


def place(document: Document, path: Path = (), what: str = "", *, key: bool = False) -> tuple[str, int, int, str]:
    """An entry for ``Diagnostic.related``: where the value at ``path`` is, and what is there."""
    found = diagnose(document, _ANY, path, "", key=key)
    return found.file, found.line, found.column, mask(what, literal_secrets(document.tree))


#: The code whose severity is not used.
_ANY = "D101"


def _existing(document: Document, path: Path) -> Path:
    value: object = document.tree
    for depth, part in enumerate(path):
        held, value = child(value, part)
        if not held:
            return path[:depth]
    return path


def _value(document: Document, path: Path) -> object:
    value: object = document.tree
    for part in path:
        value = value[part]  # type: ignore[index]
    return value


def _first_line(span: Span, text: str) -> Span:
    end = span.end_column if span.end_line == span.line else len(text.rstrip()) + 1
    return Span(span.line, span.column, span.line, max(end, span.column + 1))


def _narrow(span: Span, text: str, value: object, part: tuple[int, int]) -> Span:
    """The span of ``value[part]`` where the text shows the value as it is, in quotes or without; else the whole."""
    written = text[span.column - 1 : span.end_column - 1]
    if not isinstance(value, str):
        return span
    offset = 0 if written == value else 1 if written[1:-1] == value else None
    start, end = max(part[0], 0), min(part[1], len(value))
    if offset is None or start >= end:
        return span
    return Span(span.line, span.column + offset + start, span.line, span.column + offset + end)
