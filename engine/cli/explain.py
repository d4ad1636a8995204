"""``interlock explain``: what the planner decides for one request, and why. No network, no credentials."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .options import config_argument, format_option, overlay_option, pairs
from .terminal import Problem, emit, wants_color

_SURFACES = (
    "chat", "responses", "messages", "completions", "embeddings", "rerank", "moderations", "images", "audio",
)  # fmt: skip

_DEFAULT = click.core.ParameterSource.DEFAULT


@click.command()
@config_argument
@overlay_option
@click.option("--model", metavar="NAME", help="The model that the client names.")
@click.option(
    "--request", "file", metavar="FILE", help="A request's JSON body as it would be sent (- is standard input)."
)
@click.option("--surface", type=click.Choice(_SURFACES), help="Which kind of endpoint (default: chat).")
@click.option("--user", help="The body's `user`; splits may stick to it.")
@click.option("--stream", is_flag=True, help="The client wants a stream.")
@click.option("--tools", is_flag=True, help="The request carries tools.")
@click.option("--vision", is_flag=True, help="The request carries images.")
@click.option("--json-schema", is_flag=True, help="The request asks for an answer in a JSON Schema.")
@click.option("--input-tokens", type=click.IntRange(min=0), metavar="N", help="The estimate of its input.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="The longest answer it allows.")
@click.option(
    "--metadata", multiple=True, callback=pairs, metavar="KEY=VALUE", help="Metadata of the request (repeatable)."
)
@click.option(
    "--header", "headers", multiple=True, callback=pairs, metavar="NAME=VALUE", help="A request header (repeatable)."
)
@click.option("--key", metavar="NAME", help="The client's key, by the name of its document.")
@click.option(
    "--request-id", default="", metavar="ID", help="The request's id, which seeds choices that nothing else decides."
)
@click.option(
    "--record",
    "log",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="LOG",
    help="Explain a past request from these decision records (- is standard input).",
)
@click.option("--id", "past", metavar="REQUEST_ID", help="The past request's id, with --record.")
@format_option("human", "json")
def explain(
    config: Path,
    overlays: Sequence[Path],
    format_: str,
    log: Path | None,
    past: str | None,
    **asked: Any,
) -> int:
    """Show what CONFIG (default: this folder) would do with one request: the route and why, every candidate and where
    it goes after each failure, every target left out and why, and each variant's share.

    Every credential counts as set and every target as idle. Exits 1 if no target would be tried.

    With --record and --id it explains a past request instead: what was decided in the state of that moment, what each
    attempt came to and where it led. CONFIG is then of use if it is the one that decided.
    """
    if log is not None or past is not None:
        from .recorded import explain_past

        ctx = click.get_current_context()
        given = [name for name in ctx.params if name in asked and ctx.get_parameter_source(name) is not _DEFAULT]
        stated = ctx.get_parameter_source("config") is not _DEFAULT
        return explain_past(log, past, config if stated else None, overlays, format_, given)
    if asked["model"] is None and asked["file"] is None:
        raise Problem(
            "which request? give --model NAME or --request FILE", "for example: interlock explain --model chat"
        )
    from .asked import Neutral, read_fields, request_from
    from .findings import compile_graph

    file = asked.pop("file")
    fields = None if file is None else read_fields(file)
    graph = compile_graph(config, overlays)
    request = request_from(graph, fields, **asked)
    from engine.planner import plan

    from .explained import explained_dict, explained_text

    decided = plan(graph, request, Neutral(), 0.0)
    if format_ == "json":
        emit(json.dumps(explained_dict(graph, request, decided), indent=2, ensure_ascii=False))
    else:
        emit(explained_text(graph, request, decided, wants_color(sys.stdout)))
    return 0 if decided.attempts else 1
