"""Compiling for a command, and printing what the compiler found."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING

import click

from .options import require_config
from .terminal import wants_color

if TYPE_CHECKING:
    from engine.compiler import Compilation
    from engine.diagnostics import Diagnostic
    from engine.graph import Graph

#: Formats that other tools resolve against the repository they run in, not against the configuration folder.
_REPOSITORY_PATHS = frozenset({"github", "sarif"})


def compile_config(config: Path, overlays: Sequence[Path]) -> Compilation:
    """Everything the compiler says about the folder. Raises :class:`Problem` if there is no such configuration."""
    require_config(config, overlays)
    from engine.compiler import compile_folder

    return compile_folder(config, tuple(overlays))


def compile_graph(config: Path, overlays: Sequence[Path]) -> Graph:
    """The folder's graph. A configuration with errors is printed on standard error and ends the command with exit 1."""
    compilation = compile_config(config, overlays)
    if compilation.graph is None:
        print_findings(compilation.diagnostics, compilation.documents)
        raise click.exceptions.Exit(1)
    return compilation.graph


def print_findings(diagnostics: Sequence[Diagnostic], documents: int | None = None) -> None:
    """Print findings for people on standard error, with a summary where the number of ``documents`` is known."""
    color = wants_color(sys.stderr)
    click.echo(human_findings(diagnostics, documents, color), err=True, nl=False, color=color)


def human_findings(diagnostics: Sequence[Diagnostic], documents: int | None, color: bool) -> str:
    """Findings for people; ends in a newline. ``documents`` is how many were looked at, ``None`` if nobody knows."""
    from engine.diagnostics import render_human
    from engine.diagnostics.human import render_one

    if documents is None:
        return "\n".join(render_one(diagnostic, color=color) for diagnostic in diagnostics)
    return render_human(diagnostics, color=color, documents=documents)


def render_findings(compilation: Compilation, format_: str, *, root: Path, color: bool) -> str:
    """The findings in one of the formats of ``check``."""
    from engine.diagnostics import FORMATS, relocate

    diagnostics: Sequence[Diagnostic] = compilation.diagnostics
    if format_ == "human":
        return human_findings(diagnostics, compilation.documents, color)
    if format_ in _REPOSITORY_PATHS:
        diagnostics = [_tidied(diagnostic) for diagnostic in relocate(diagnostics, from_here(root))]
    return FORMATS[format_](diagnostics, documents=compilation.documents)


def _tidied(diagnostic: Diagnostic) -> Diagnostic:
    """With ``a/../b`` in paths, as overlays have them, written ``b``."""
    related = tuple((normpath(file), line, column, text) for file, line, column, text in diagnostic.related)
    return replace(diagnostic, file=normpath(diagnostic.file), related=related)


def from_here(folder: Path) -> str:
    """The folder as seen from the current one, if it is below it; else its absolute path."""
    path, here = Path(os.path.normpath(folder.absolute())), Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
