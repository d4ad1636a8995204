"""``interlock test``: plays the documents of ``kind: test``. No network, no credentials, no time passes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from .options import config_argument, format_option, output_option, overlay_option, share
from .terminal import Problem, emit, plural, wants_color


@click.command()
@config_argument
@overlay_option
@click.option("--only", metavar="NAME", multiple=True, help="Play tests of this name or glob only (repeatable).")
@click.option("--coverage", is_flag=True, help="List what no test reaches.")
@click.option("--min-coverage", "least", callback=share, metavar="SHARE", help="Exit 1 where tests reach less, as 80%.")
@click.option("--watch", is_flag=True, help="Play them again whenever a file changes, until interrupted.")
@format_option("human", "json", "github", "junit", "markdown")
@output_option
def test(
    config: Path,
    overlays: Sequence[Path],
    only: Sequence[str],
    coverage: bool,
    least: float | None,
    watch: bool,
    format_: str,
    output: Path | None,
) -> int:
    """Play the tests of CONFIG (default: this folder): what each expects against what the planner does, attempt by
    attempt.

    Every credential counts as set unless a test says otherwise. Exits 1 if a test does not hold, or if
    --min-coverage is not reached.
    """
    from .options import require_config

    require_config(config, overlays)

    def once() -> int:
        from .tested import play_all, render

        played = play_all(config, overlays, only, least)
        emit(
            render(played, format_, root=config, color=output is None and wants_color(sys.stdout), listed=coverage),
            output,
        )
        if output is not None:
            click.echo(f'{plural(len(played.examples), "test")} written to "{output}"', err=True)
        return 0 if played.holds else 1

    if not watch:
        return once()
    if output is not None:
        raise Problem("--watch prints what it finds and writes no file", "leave out --output")
    return _watched(config, overlays, once)


def _watched(config: Path, overlays: Sequence[Path], once: Callable[[], int]) -> int:
    from watchfiles import watch as changes

    from engine.documents import folders

    code = _guarded(once)
    roots = [folder for root in (config, *overlays) for folder in folders(root)]
    click.echo("waiting for changes; Ctrl-C ends it", err=True)
    for _ in changes(*roots, raise_interrupt=False):
        click.clear()
        code = _guarded(once)
        click.echo("waiting for changes; Ctrl-C ends it", err=True)
    return code


def _guarded(once: Callable[[], int]) -> int:
    """A configuration that does not compile at the moment is said, and waited for."""
    try:
        return once()
    except click.exceptions.Exit as ended:
        return ended.exit_code
