"""What every command shares: how text, colour, files and failures reach the person at the terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

import click


class Problem(click.ClickException):
    """The command cannot do what was asked: what is wrong, and one or more remedies. Exits 2 unless told otherwise."""

    def __init__(self, message: str, *hints: str, code: int = 2) -> None:
        super().__init__(message)
        self.hints = tuple(hint for hint in hints if hint)
        self.code = code


def report_problem(message: str, *hints: str) -> None:
    """Print a failure on standard error, in the shape of the compiler's findings."""
    color = wants_color(sys.stderr)
    click.echo(f"{paint('error', 'red', color)}: {message}", err=True, color=color)
    for hint in hints:
        click.echo(f"  = {hint}", err=True, color=color)


def wants_color(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that wants colour. ``NO_COLOR`` (not empty) and ``TERM=dumb`` say no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def paint(text: str, style: str, color: bool) -> str:
    """``text`` in bold ``style`` (a colour's name, or ``bold``, or ``dim``) if ``color``, else as it is."""
    if not color:
        return text
    if style in ("bold", "dim"):
        return click.style(text, bold=style == "bold" or None, dim=style == "dim" or None)
    return click.style(text, fg=style, bold=True)


def emit(text: str, output: Path | None = None) -> None:
    """Print ``text`` to standard output, or write it to ``output``; either way it ends in one newline."""
    body = text.rstrip("\n") + "\n"
    if output is None:
        click.echo(body, nl=False, color=wants_color(sys.stdout))
        return
    try:
        output.write_text(body, encoding="utf-8")
    except OSError as error:
        raise Problem(f'cannot write "{output}": {error.strerror}', "name a file in a folder that exists") from error


def nearest(word: str, known: Iterable[str]) -> str:
    """A did-you-mean hint for ``word``, or an empty text when nothing known is close."""
    from engine.diagnostics import did_you_mean

    close = did_you_mean(word, known)
    return f'did you mean "{close}"?' if close else ""


def plural(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def width_of(stream: TextIO) -> int:
    """Columns of the terminal that ``stream`` is; 100 where it is none."""
    return shutil.get_terminal_size((100, 24)).columns if stream.isatty() else 100


def table(head: Sequence[str], rows: Iterable[Sequence[str]], color: bool = False, width: int | None = None) -> str:
    """Columns as wide as they must be, two spaces apart; the last one is never padded.

    With ``width`` its texts are broken over further lines where a line would be longer than that.
    """
    lines = [list(head), *(list(row) for row in rows)]
    if width is not None:
        room = width - sum(2 + max(len(line[i]) for line in lines) for i in range(len(head) - 1))
        lines = [part for line in lines for part in _broken(line, max(room, _NARROWEST))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([paint(texts[0], "bold", color), *texts[1:]])


#: Columns that a text gets which is broken over lines, however little room there is.
_NARROWEST = 20


def _broken(line: list[str], room: int) -> list[list[str]]:
    """The line, with its last cell broken into lines of ``room`` columns; further lines have nothing else in them."""
    parts = [part for text in line[-1].split("\n") for part in textwrap.wrap(text, room)] or [""]
    return [[*line[:-1], parts[0]], *([*[""] * (len(line) - 1), part] for part in parts[1:])]
