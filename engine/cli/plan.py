"""``interlock plan``: what a change of the configuration changes in behaviour. Without --against: no network."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import address, format_option, output_option, share
from .revisions import Side, opened
from .terminal import Problem, emit, wants_color

if TYPE_CHECKING:
    from engine.graph import Gates, Graph
    from engine.proof.traffic import Traffic

    from .planned import Planned

DIFFERENT = 3


@click.command()
@click.argument("configurations", metavar="BASE [HEAD]", nargs=-1)
@click.option("--against", callback=address, metavar="URL", help="BASE is what this running server runs.")
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
    configurations: tuple[str, ...],
    against: str | None,
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

    With --against, HEAD alone is named. A server with keys wants one of scope read: put its secret into the
    environment variable INTERLOCK_KEY.

    Exits 1 if a gate is broken, or if a configuration does not compile.
    """
    from .planned import render

    base, head = _sides(configurations, against)
    made = _made(base, head, against, traffic, gates)
    text = render(made, format_, color=output is None and wants_color(sys.stdout))
    emit(text, output)
    if made.broken:
        return 1
    return DIFFERENT if detailed_exitcode and not made.compared.empty else 0


def _sides(named: tuple[str, ...], against: str | None) -> tuple[str, str]:
    """BASE and HEAD as they are named; BASE is empty where a server says what it is."""
    most = 2 if against is None else 1
    if not named and against is None:
        raise Problem("BASE is missing", "name a folder or a git revision: `interlock plan main`")
    if len(named) > most:
        raise Problem(
            f'there is one configuration too many: "{named[most]}"',
            "`interlock plan BASE HEAD`" if against is None else "with --against URL only HEAD is named",
        )
    base, head = (("", *named, ".") if against is not None else (*named, "."))[:2]
    return base, head


def _made(base: str, head: str, against: str | None, traffic: str | None, options: dict[str, Any]) -> Planned:
    from engine.proof.change import compare
    from engine.proof.gates import broken

    from .planned import Planned

    beside = Path(head) if Path(head).is_dir() else Path()
    with ExitStack() as stack:
        after = stack.enter_context(opened(head, beside))
        if against is None:
            before = stack.enter_context(opened(base, beside))
            graphs = [_compiled(side.folder, side.name) for side in (before, after)]
        else:
            new = _compiled(after.folder, after.name)
            before, old = _running(against, after, new, beside, stack)
            graphs = [old, new]
        compared = compare(graphs[0], graphs[1])
        found: dict[Any, None] = {}
        for gates in (_asked(options), *(graph.settings.gates for graph in graphs)):
            found.update(dict.fromkeys(broken(compared, gates)))
        weighed = None if traffic is None else _weighed(traffic, graphs[0], graphs[1])
        return Planned(before.name, after.name, graphs[0], graphs[1], compared, tuple(found), weighed)


def _running(url: str, after: Side, head: Graph, beside: Path, stack: ExitStack) -> tuple[Side, Graph]:
    """What the server runs: HEAD, or else the commit that it read, if that is all it runs."""
    from engine.executor.transport_status import StatusError, fetch_status

    try:
        running = fetch_status(url, key=os.environ.get("INTERLOCK_KEY"))["running"]
    except StatusError as error:
        raise Problem(error.message, error.hint, code=1) from error
    fingerprint, commit = str(running.get("fingerprint")), running.get("git_commit")
    if fingerprint == head.fingerprint:
        return Side(after.folder, url), head
    differs = f"{url} runs graph {fingerprint}, and {after.name} is graph {head.fingerprint}: they differ"
    remedy = "name the folder or revision that the server runs, as BASE, to see what in"
    if not commit:
        raise Problem(f"{differs}; the server's configuration is in no git repository", remedy, code=1)
    side = stack.enter_context(opened(str(commit), beside))
    graph = _compiled(side.folder, f"commit {side.name}")
    if graph.fingerprint != fingerprint:
        why = f"the commit that it read, {side.name}, is graph {graph.fingerprint}: it has overlays or edits besides"
        raise Problem(f"{differs}; {why}", remedy, code=1)
    return Side(side.folder, f"{url} ({side.name})"), graph


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
