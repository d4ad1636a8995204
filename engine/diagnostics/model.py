"""A finding of the compiler, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong, where, and what to do about it.

    ``code`` is stable (see ``CODES``). ``file`` is relative to the configuration folder; ``line`` and ``column`` are
    1-based and ``end_column`` is exclusive, on the same line. ``excerpt`` is the text of that line with any literal
    secret masked. ``label`` is printed after the carets, ``detail`` is a paragraph, ``hint`` the remedy.
    """

    code: str
    severity: Severity
    summary: str
    file: str
    line: int
    column: int
    end_column: int
    excerpt: str = ""
    label: str = ""
    detail: str = ""
    hint: str = ""
    related: tuple[tuple[str, int, int, str], ...] = ()
    """Other places that matter: (file, line, column, what is there)."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a diagnostic code means, for ``interlock explain-error`` and for the rules of machine formats.

    ``severity`` is that of every diagnostic with this code. ``title`` is one line without a full stop; ``text`` is
    several sentences: what is wrong, why it is refused, an example and the remedy.
    """

    code: str
    severity: Severity
    title: str
    text: str
