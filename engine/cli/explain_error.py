"""``interlock explain-error``: the long text of a diagnostic code."""

from __future__ import annotations

import sys

import click

from .terminal import Problem, emit, nearest, paint, wants_color


@click.command("explain-error")
@click.argument("code", required=False)
def explain_error(code: str | None) -> int:
    """Explain a diagnostic CODE such as R301: what it means, why it matters, how to mend it.

    Without CODE, list all of them.
    """
    from engine.diagnostics import CODES, explain

    color = wants_color(sys.stdout)
    if code is None:
        width = max(len(entry.severity) for entry in CODES.values())
        lines = [
            f"{paint(name, 'bold', color)}  {CODES[name].severity:{width}}  {CODES[name].title}"
            for name in sorted(CODES)
        ]
        emit("\n".join([*lines, "", "`interlock explain-error CODE` explains one of them."]))
        return 0
    wanted = code.strip().strip("[]").upper()
    if wanted not in CODES:
        hint = nearest(wanted, CODES) or "`interlock explain-error` lists all codes"
        raise Problem(f'there is no diagnostic code "{code}"', hint)
    emit(_wrapped(explain(wanted)))
    return 0


def _wrapped(text: str) -> str:
    """``text`` wrapped for reading; indented lines (examples) and blank lines stay as they are."""
    import textwrap

    blocks: list[str] = []
    paragraph: list[str] = []

    def close() -> None:
        if paragraph:
            blocks.append(textwrap.fill(" ".join(paragraph), 96, break_long_words=False, break_on_hyphens=False))
            paragraph.clear()

    for line in textwrap.dedent(text).strip("\n").splitlines():
        if not line.strip() or line.startswith((" ", "\t", "-", "*", "```")):
            close()
            blocks.append(line.rstrip())
        else:
            paragraph.append(line.strip())
    close()
    return "\n".join(blocks)
