"""What a reloader may find beyond what the compiler finds, as diagnostics; and how diagnostics read in the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.diagnostics import Diagnostic
from engine.errors import PrepareError

_SHOWN = 10


def not_ready(error: PrepareError) -> Diagnostic:
    """The configuration compiles, and something it needs in order to serve is missing."""
    return _finding(
        "L501",
        f"the configuration compiles but could not be made ready: {error}",
        "mend what the message names; it is tried again by itself, less and less often",
    )


def objected(reason: str) -> Diagnostic:
    """The configuration compiles, and whoever runs the engine will not have it served."""
    return _finding("L503", reason, "revert the edit, or restart the server with options that fit it")


def crashed(error: Exception) -> Diagnostic:
    """The reloader itself failed on this edit."""
    return _finding(
        "L502",
        f"reading this configuration failed unexpectedly: {type(error).__name__}: {error}",
        "this is a fault of Interlock: the log has the traceback; change the edit or revert it meanwhile",
    )


def count(diagnostics: tuple[Diagnostic, ...]) -> str:
    """``2 errors`` or ``1 error``."""
    errors = sum(d.severity == "error" for d in diagnostics)
    return f"{errors} error{'' if errors == 1 else 's'}"


def listing(diagnostics: Iterable[Diagnostic], severity: str = "error") -> str:
    """The findings of this severity on one line, for the log."""
    found = [d for d in diagnostics if d.severity == severity]
    return shortened([f"{d.file}:{d.line}:{d.column}: {d.code}: {d.summary}" for d in found])


def shortened(items: Sequence[str]) -> str:
    """The items on one line; those beyond the first few are only counted."""
    more = len(items) - _SHOWN
    return "; ".join(items[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _finding(code: str, summary: str, hint: str) -> Diagnostic:
    return Diagnostic(code, "error", summary, ".", 1, 1, 2, hint=hint)
