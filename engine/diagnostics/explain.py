"""The long text of a code, for ``interlock explain-error``."""

from __future__ import annotations

import textwrap

from engine.diagnostics.codes import CODES
from engine.diagnostics.suggest import did_you_mean

_WIDTH = 90


def explain(code: str) -> str:
    """What ``code`` means and what to do. Raises ``KeyError``, with a message for the reader, for an unknown code."""
    wanted = code.strip().upper()
    known = CODES.get(wanted)
    if known is None:
        close = did_you_mean(wanted, CODES)
        hint = f'did you mean "{close}"?' if close else f"the codes are {', '.join(CODES)}"
        raise KeyError(f'there is no diagnostic code "{code.strip()[:40]}"; {hint}')
    paragraphs = [
        paragraph if paragraph.startswith(" ") else textwrap.fill(paragraph, _WIDTH, break_long_words=False)
        for paragraph in known.text.split("\n\n")
    ]
    return "\n\n".join([f"{known.code} ({known.severity}): {known.title}", *paragraphs]) + "\n"
