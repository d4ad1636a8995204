"""The order of findings, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.diagnostics.model import Diagnostic


def sort(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, line, column and code; then by text, so that the order is the same every time. Repetitions go."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=_key))


def _key(found: Diagnostic) -> tuple[str, int, int, str, str, str]:
    return found.file, found.line, found.column, found.code, found.summary, found.label


def count(diagnostics: Iterable[Diagnostic]) -> dict[str, int]:
    """How many ``errors``, ``warnings`` and ``notes`` there are."""
    counts = {"errors": 0, "warnings": 0, "notes": 0}
    for found in diagnostics:
        counts[f"{found.severity}s"] += 1
    return counts


def summary(diagnostics: Sequence[Diagnostic], documents: int) -> str:
    """For example ``1 error, 0 warnings in 14 documents.``; notes are counted where there are any."""
    counts = count(diagnostics)
    parts = [_plural(counts["errors"], "error"), _plural(counts["warnings"], "warning")]
    if counts["notes"]:
        parts.append(_plural(counts["notes"], "note"))
    return f"{', '.join(parts)} in {_plural(documents, 'document')}."


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def relocate(diagnostics: Iterable[Diagnostic], prefix: str) -> tuple[Diagnostic, ...]:
    """The same findings with ``prefix`` (a posix path) before every file: what annotations of a repository need."""
    prefix = "" if prefix == "." else prefix.removeprefix("./").rstrip("/")
    if not prefix:
        return tuple(diagnostics)
    return tuple(
        replace(
            d,
            file=f"{prefix}/{d.file}",
            related=tuple((f"{prefix}/{file}", line, column, what) for file, line, column, what in d.related),
        )
        for d in diagnostics
    )
