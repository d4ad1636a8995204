"""``interlock verify``: proves the invariants of a configuration, and what it should keep by itself. No network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path

import click

from .options import config_argument, format_option, output_option, overlay_option
from .terminal import Problem, emit, plural, wants_color


@click.command()
@config_argument
@overlay_option
@click.option("--only", metavar="NAME", multiple=True, help="Prove invariants of this name or glob only (repeatable).")
@click.option("--worst", is_flag=True, help="Print the most that a request of each route can come to.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The day for which waivers are judged (default: today, UTC).",
)
@format_option("human", "json", "github", "sarif", "junit", "markdown")
@output_option
def verify(
    config: Path,
    overlays: Sequence[Path],
    only: Sequence[str],
    worst: bool,
    today: datetime | None,
    format_: str,
    output: Path | None,
) -> int:
    """Prove the invariants of CONFIG (default: this folder) for all requests and all failures, or show a request that
    breaks them; and find what no request reaches, and what depends on one provider.

    Exits 1 if an invariant is refuted or undecided, if a route reaches no target, or if a waiver has ended.
    """
    from .options import require_config

    require_config(config, overlays)
    if find_spec("z3") is None:
        raise Problem("verify needs the solver z3, which is not installed", "pip install 'interlock[verify]'")
    from .verified import prove, render

    day: date = today.date() if today is not None else datetime.now(UTC).date()
    proved = prove(config, overlays, only, day)
    emit(render(proved, format_, root=config, color=output is None and wants_color(sys.stdout), worst=worst), output)
    if output is not None:
        click.echo(f'{plural(len(proved.verdicts), "invariant")} written to "{output}"', err=True)
    return 0 if proved.holds else 1
