"""``interlock replay``: takes recorded decisions again. No network, no credentials, no time passes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import click

from .options import format_option, output_option, overlay_option
from .terminal import Problem, emit, wants_color

#: Seconds between two words on progress.
_EVERY = 0.5


@click.command()
@click.argument("log", metavar="LOG", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("configs", metavar="[CONFIG]...", type=click.Path(path_type=Path), nargs=-1)
@overlay_option
@click.option("--fail-on-change", is_flag=True, help="Exit 1 also where another configuration changes something.")
@format_option("human", "json")
@output_option
def replay(
    log: Path,
    configs: Sequence[Path],
    overlays: Sequence[Path],
    fail_on_change: bool,
    format_: str,
    output: Path | None,
) -> int:
    """Take the decisions recorded in LOG (- is standard input) again, by CONFIG (default: this folder).

    Decisions of a configuration with the same fingerprint must come out the same: every choice, wait and attempt. For
    all others it is shown what the first CONFIG would do otherwise. Exits 1 if a decision does not come out the same,
    or if a line is no record.
    """
    from engine.proof.replay import read
    from engine.proof.replayed import Replayed

    from .findings import compile_graph
    from .replayed import replayed_text

    with opened(log) as file:
        replayed = Replayed([compile_graph(config, overlays) for config in configs or (Path(),)])
        for found in read(_with_progress(file)):
            replayed.take(found)
    if not replayed.records and not replayed.broken:
        raise Problem(f"there are no records in {named(log)}", "the settings say where they are: telemetry.records")
    color = output is None and wants_color(sys.stdout)
    text = json.dumps(replayed.to_dict(), indent=2, ensure_ascii=False) if format_ == "json" else None
    emit(text or replayed_text(replayed, named(log), color), output)
    return 0 if replayed.holds and not (fail_on_change and replayed.changed) else 1


def named(log: Path) -> str:
    """What a person calls this file."""
    return "standard input" if str(log) == "-" else f'"{log}"'


def opened(log: Path) -> BinaryIO:
    """The file, open. Raises :class:`Problem` where that cannot be."""
    if str(log) == "-":
        return sys.stdin.buffer
    try:
        return log.open("rb")
    except OSError as error:
        raise Problem(f"cannot read {named(log)}: {error.strerror}", "name a file of decision records") from error


def _with_progress(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines; on a terminal it is said how many there were so far."""
    shown = sys.stderr.isatty()
    due, number = time.monotonic() + _EVERY, 0
    for number, line in enumerate(lines, 1):
        yield line
        if shown and not number % 500 and time.monotonic() > due:
            due = time.monotonic() + _EVERY
            click.echo(f"\r{number:,} decisions", nl=False, err=True)
    if shown:
        click.echo("\r" + " " * 30 + "\r", nl=False, err=True)
