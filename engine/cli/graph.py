"""``interlock graph``: the routing graph, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .options import config_argument, format_option, output_option, overlay_option
from .terminal import Problem, emit, nearest


@click.command()
@config_argument
@overlay_option
@click.option("--route", metavar="NAME", help="Only this route.")
@format_option("tree", "mermaid", "dot", "json", "svg", default="tree")
@output_option
def graph(config: Path, overlays: Sequence[Path], route: str | None, format_: str, output: Path | None) -> int:
    """Draw the routing graph of CONFIG (default: this folder): every route, its steps, and the targets they reach.

    Exits 1 with the findings if the configuration does not compile.
    """
    from engine.graph import render

    from .findings import compile_graph

    compiled = compile_graph(config, overlays)
    if route is not None and route not in compiled.routes:
        hint = nearest(route, compiled.routes) or f"`interlock graph {config}` draws all of them"
        raise Problem(f'there is no route "{route}" in "{config}"', hint)
    emit(render(compiled, format_, route), output)
    return 0
