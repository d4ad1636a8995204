"""The root command: a table of subcommands, imported when used, and the one boundary that turns failures into text.

Exit codes: 0 clean, 1 findings, 2 usage, 70 a defect of ours, 130 interrupted, 141 the reader of a pipe went away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from .terminal import Problem, nearest, report_problem

FINDINGS, USAGE, DEFECT, INTERRUPTED, PIPE_CLOSED = 1, 2, 70, 130, 141


class Entry(NamedTuple):
    """Where a subcommand lives, and the line that the overview shows without importing it."""

    module: str
    attribute: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "init": Entry("engine.cli.init", "init", "Write a small working configuration to start from."),
    "check": Entry("engine.cli.check", "check", "Compile a configuration and report every finding."),
    "explain": Entry("engine.cli.explain", "explain", "Show what would be done for one request, and why."),
    "test": Entry("engine.cli.test", "test", "Play the tests of a configuration, and say what they reach."),
    "replay": Entry("engine.cli.replay", "replay", "Take recorded decisions again, and say what differs."),
    "verify": Entry("engine.cli.verify", "verify", "Prove what holds for all requests and all failures."),
    "plan": Entry("engine.cli.plan", "plan", "Show what a change of the configuration changes in behaviour."),
    "graph": Entry("engine.cli.graph", "graph", "Draw the routing graph."),
    "serve": Entry("engine.cli.serve", "serve", "Run the server, reloading the configuration as it changes."),
    "status": Entry("engine.cli.status", "status", "Ask a server which configuration it runs."),
    "providers": Entry("engine.cli.providers", "providers", "List providers, test them, ask for their models."),
    "prices": Entry("engine.cli.prices", "prices", "List what the models cost; rewrite that from a price list."),
    "key": Entry("engine.cli.key", "key", "Make a client's key, and the document that declares it."),
    "schema": Entry("engine.cli.schema", "schema", "Write the JSON Schemas of all documents, or check them."),
    "explain-error": Entry("engine.cli.explain_error", "explain_error", "Explain a diagnostic code at length."),
    "demo": Entry("engine.cli.demo", "demo", "Watch it work with a real model on this machine."),
}


class Interlock(click.Group):
    """A group that imports a subcommand's module only when that subcommand is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(entry.module), entry.attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            hint = nearest(name, COMMANDS) or "`interlock --help` lists the commands"
            raise Problem(f'there is no command "{name}"', hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a reader that closed the pipe (``| head``) ends it quietly."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()
            return PIPE_CLOSED
        return code

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and leave the process with its exit code. No failure shows a traceback."""
        sys.exit(self._guarded(*args, **{**extra, "prog_name": "interlock", "standalone_mode": False}))

    def _guarded(self, *args: Any, **extra: Any) -> int:
        from engine.errors import ConfigError, EngineError

        try:
            code = super().main(*args, **extra)
            return code if isinstance(code, int) else 0
        except click.Abort:
            click.echo("interrupted", err=True)
            return INTERRUPTED
        except Problem as problem:
            report_problem(problem.message, *problem.hints)
            return problem.code
        except click.UsageError as error:
            report_problem(*_usage_error(error))
            return USAGE
        except click.ClickException as error:
            report_problem(error.format_message())
            return error.exit_code
        except ConfigError as error:
            from .findings import print_findings

            print_findings(error.diagnostics)
            return FINDINGS
        except EngineError as error:
            report_problem(str(error))
            return FINDINGS
        except OSError as error:
            if os.environ.get("INTERLOCK_DEBUG"):
                raise
            report_problem(_os_error(error))
            return USAGE
        except Exception as error:  # boundary: a defect of ours ends in a sentence, not in a traceback
            _log_defect()
            if os.environ.get("INTERLOCK_DEBUG"):
                raise
            report_problem(
                f"Interlock itself failed ({type(error).__name__}: {error}); this is a defect, sorry",
                "run it again with INTERLOCK_DEBUG=1 and report the trace it prints, with the configuration if you can",
            )
            return DEFECT


def _usage_error(error: click.UsageError) -> tuple[str, ...]:
    """The message of a misused command, what was probably meant, its usage line, and where to read more."""
    hints: list[str] = []
    if isinstance(error, click.NoSuchOption):
        message = f'there is no option "{error.option_name}"'
        hints.append(nearest(error.option_name, error.possibilities or ()))
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        message = f"{error.param.human_readable_name.upper()} is missing"
    elif isinstance(error, click.BadParameter) and error.param is not None:
        reason = error.message.replace("a valid integer range", "a whole number").rstrip(".")
        message = f"{error.param.opts[0]}: {reason}"
    else:
        message = error.format_message().rstrip(".")
    if error.ctx is None:
        return (message, *hints)
    if "unexpected extra" in message and error.ctx.command.name == "serve":
        hints.append("`interlock serve` takes the folder as an option: --config FOLDER")
    usage = " ".join(error.ctx.command.get_usage(error.ctx).split())
    return (
        message,
        *filter(None, hints),
        usage.replace("Usage:", "usage:", 1),
        f"`{error.ctx.command_path} --help` explains every option",
    )


def _os_error(error: OSError) -> str:
    """One sentence for a file or socket that the system would not give us."""
    reason = error.strerror or str(error) or type(error).__name__
    return f'"{error.filename}": {reason}' if error.filename else reason


def _log_defect() -> None:
    import logging

    logging.getLogger("interlock.cli").debug("a command failed unexpectedly", exc_info=True)


def _discard_stdout() -> None:
    """Point standard output nowhere, so that the interpreter's own flush at exit stays quiet too."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:  # not a real file (a test's buffer): nothing will be flushed
        return


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("interlock")
    except PackageNotFoundError:  # run from a source tree that was never installed
        number = "(not installed)"
    click.echo(
        f"interlock {number} (Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro})"
    )
    ctx.exit()


@click.group(
    cls=Interlock,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> int:
    """Interlock routes LLM traffic by configuration that is reviewed, compiled and hot-reloaded.

    A configuration is a folder with providers.d/ and policies/. Exit codes: 0 clean, 1 findings, 2 usage.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    click.echo(ctx.get_help(), err=True)
    return USAGE


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the ``interlock`` command: runs ``argv`` (default: the process's) and exits with its code."""
    cli.main(args=argv)
