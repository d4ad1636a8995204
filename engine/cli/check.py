"""``interlock check``: the compiler's findings, in the format that the reader needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from .options import config_argument, format_option, output_option, overlay_option
from .terminal import emit, plural, wants_color


@click.command()
@config_argument
@overlay_option
@click.option("--strict", is_flag=True, help="Warnings and notes exit 1 too.")
@format_option("human", "json", "github", "sarif", "junit", "markdown")
@output_option
def check(config: Path, overlays: Sequence[Path], strict: bool, format_: str, output: Path | None) -> int:
    """Compile the configuration in CONFIG (default: this folder) and report every finding at once.

    This is the path that the server and its reloader run, so what passes here loads there. Exits 1 on errors.
    """
    from .findings import compile_config, render_findings

    compilation = compile_config(config, overlays)
    color = output is None and wants_color(sys.stdout)
    emit(render_findings(compilation, format_, root=config, color=color), output)
    errors = sum(d.severity == "error" for d in compilation.diagnostics)
    warnings = sum(d.severity == "warning" for d in compilation.diagnostics)
    if output is not None:
        click.echo(f'{plural(errors, "error")}, {plural(warnings, "warning")} written to "{output}"', err=True)
    return 1 if errors or (strict and compilation.diagnostics) else 0
