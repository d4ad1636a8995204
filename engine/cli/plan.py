"""``interlock plan``: what a change of the configuration changes in behaviour. No network, no credentials."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import format_option, output_option, share
from .terminal import Problem, emit, wants_color

if TYPE_CHECKING:
    from engine.graph import Gates, Graph
    from engine.proof.traffic import Traffic

    from .planned import Planned

DIFFERENT = 3


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="[HEAD]", default=".")
@click.option("--traffic", metavar="RECORDS", help="Recorded requests, JSON lines as of the access log (- is stdin).")
@click.option("--max-cost-increase", callback=share, metavar="SHARE", help="Exit 1 where requests cost more than that.")
@click.option("--max-seconds-increase", callback=share, metavar="SHARE", help="The same of the worst case's seconds.")
@click.option("--max-moved-users", callback=share, metavar="SHARE", help="Exit 1 where more of a split's users move.")
@click.option("--no-new", multiple=True, metavar="LABEL", help="Exit 1 for a new value of this label (repeatable).")
@click.option(
    "--no-lost",
    multiple=True,
    type=click.Choice(["models", "capabilities"]),
    help="Exit 1 where such is lost (repeatable).",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 3 where behaviour changes and no gate is broken.")
@format_option("human", "json", "markdown", "html")
@output_option
def plan(
    base: str,
    head: str,
    traffic: str | None,
    detailed_exitcode: bool,
    format_: str,
    output: Path | None,
    **gates: Any,
) -> int:
    """Show what changes in behaviour from BASE to HEAD (default: this folder): configuration folders, or git
    revisions of the repository that HEAD is in.

    For each kind of request: who is asked first and with which share, who then, the worst case, the cost, what
    targets can do and their labels; whose variant of a split changes. Each with a request that shows it. Gates are
    those of the options and those that either side's settings declare under plan.gates.

    Exits 1 if a gate is broken, or if a configuration does not compile.
    """
    from .planned import render

    made = _made(base, head, traffic, gates)
    text = render(made, format_, color=output is None and wants_color(sys.stdout))
    emit(text, output)
    if made.broken:
        return 1
    return DIFFERENT if detailed_exitcode and not made.compared.empty else 0


def _made(base: str, head: str, traffic: str | None, options: dict[str, Any]) -> Planned:
    from engine.proof.change import compare
    from engine.proof.gates import broken

    from .planned import Planned
    from .revisions import opened

    beside = Path(head) if Path(head).is_dir() else Path()
    with opened(base, beside) as before, opened(head, beside) as after:
        graphs = [_compiled(side.folder, side.name) for side in (before, after)]
        compared = compare(graphs[0], graphs[1])
        found: dict[Any, None] = {}
        for gates in (_asked(options), *(graph.settings.gates for graph in graphs)):
            found.update(dict.fromkeys(broken(compared, gates)))
        weighed = None if traffic is None else _weighed(traffic, graphs[0], graphs[1])
        return Planned(before.name, after.name, graphs[0], graphs[1], compared, tuple(found), weighed)


def _compiled(folder: Path, name: str) -> Graph:
    from engine.compiler import compile_folder

    from .findings import print_findings

    compilation = compile_folder(folder, ())
    if compilation.graph is None:
        click.echo(f"{name} does not compile:", err=True)
        print_findings(compilation.diagnostics, compilation.documents)
        raise click.exceptions.Exit(1)
    return compilation.graph


def _asked(options: dict[str, Any]) -> Gates:
    from engine.graph import Gates

    sets: dict[str, frozenset[str]] = {name: frozenset(options[name]) for name in ("no_new", "no_lost")}
    bounds: dict[str, float | None] = {name: said for name, said in options.items() if name not in sets}
    return Gates(**bounds, no_new=sets["no_new"], no_lost=sets["no_lost"])


def _weighed(file: str, base: Graph, head: Graph) -> Traffic:
    from engine.proof.traffic import BadRecordError, read, weigh

    where = "standard input" if file == "-" else f'"{file}"'
    try:
        with click.open_file(file, "rb") as lines:
            return weigh(base, head, read(lines))
    except BadRecordError as error:
        raise Problem(
            f"{where}, {error}", 'a record looks like {"model": "chat", "user": "u-17", "usage": {"input": 900}}'
        ) from error
    except OSError as error:
        raise Problem(f"cannot read {where}: {error.strerror}", "--traffic wants a file, or - for stdin") from error
