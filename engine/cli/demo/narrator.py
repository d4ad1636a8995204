"""How the demo talks: numbered steps, what was done, what came back, and the facts that prove it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping

import click

from engine.cli.terminal import paint, wants_color

WIDTH = 92
_LABEL = 10


class ClaimError(Exception):
    """Something that the demo says about Interlock did not hold."""


def claim(holds: bool, what: str, saw: object = "") -> None:
    """Raises :class:`ClaimError` naming the claim and what was seen instead, unless ``holds``."""
    if not holds:
        raise ClaimError(f"{what}; instead: {saw}" if saw != "" else what)


class Narrator:
    """Prints the story on standard output, in colour only where the terminal wants it."""

    def __init__(self) -> None:
        self._color = wants_color(sys.stdout)
        self._step = 0

    def title(self, text: str) -> None:
        """The first line."""
        self._print(paint(text, "bold", self._color))

    def step(self, text: str, why: str = "") -> None:
        """Begin the next numbered step."""
        self._step += 1
        self._print("")
        self._print(paint(f"{self._step}. {text}", "cyan", self._color))
        if why:
            self._print(textwrap.fill(why, WIDTH, initial_indent="   ", subsequent_indent="   "))

    def fact(self, label: str, text: str) -> None:
        """One labelled line, wrapped under itself."""
        indent = " " * (3 + _LABEL)
        page = textwrap.TextWrapper(WIDTH, indent, indent, break_on_hyphens=False, break_long_words=False)
        self._print("   " + paint(label.ljust(_LABEL), "dim", self._color) + page.fill(text)[len(indent) :])

    def proof(self, headers: Mapping[str, str], *names: str) -> None:
        """The response headers that prove the step, as they came."""
        self.fact("proof", "   ".join(f"{name}: {headers.get(name, '(absent)')}" for name in names))

    def block(self, lines: Iterable[str], color: str = "") -> None:
        """Lines shown as they are, indented."""
        for line in lines:
            self._print("      " + (paint(line, color, self._color) if color else line))

    def begin(self, label: str) -> None:
        """Start a labelled line that :meth:`piece` continues as text arrives."""
        click.echo("   " + paint(label.ljust(_LABEL), "dim", self._color), nl=False, color=self._color)
        self._column = 3 + _LABEL

    def piece(self, text: str) -> None:
        """Show a piece of a stream at once, breaking the line where it grows too long."""
        flat = " ".join(text.split("\n"))
        if self._column + len(flat) > WIDTH and flat[:1] == " ":
            click.echo("")
            flat = " " * (3 + _LABEL) + flat.lstrip()
            self._column = 0
        click.echo(flat, nl=False)
        sys.stdout.flush()
        self._column += len(flat)

    def end(self) -> None:
        """End the line that :meth:`begin` started."""
        click.echo("")

    def ok(self, text: str) -> None:
        """A claim that held."""
        self.fact("holds", text)

    def _print(self, line: str) -> None:
        click.echo(line.rstrip(), color=self._color)
        sys.stdout.flush()
