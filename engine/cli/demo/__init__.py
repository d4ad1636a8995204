"""``interlock demo``: a real local model behind a real server, and a story that proves what it says."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from .narrator import Narrator
    from .stage import Stage


@click.command()
@click.option("--serve", is_flag=True, help="Tell no story: keep the server up, and say how to call it.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The server's port (default: a free one).")
def demo(serve: bool, port: int) -> int:
    """Watch Interlock work on this machine: no key, no network, a real language model.

    Starts a small embedded model and `interlock serve` on a copy of the demo's configuration, sends real requests
    through the official openai SDK, and checks every claim it makes: exits 1 at the first that does not hold.
    """
    from engine.cli.terminal import report_problem

    from .narrator import ClaimError, Narrator

    before = signal.signal(signal.SIGTERM, _leave)
    say = Narrator()
    say.title("Interlock demo: a real language model on this machine, routed by YAML you can edit")
    try:
        return _serve(say, port) if serve else _tell(say, port)
    except ClaimError as failed:
        report_problem(f"this should hold and does not: {failed}", "that is a defect; please report this output")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(say: Narrator, port: int) -> int:
    from .client import Client, require_sdk
    from .stage import open_stage
    from .story import tell

    require_sdk()
    began = time.monotonic()
    with open_stage(port) as stage:
        _introduce(say, stage)
        tell(stage, Client(stage.url), say)
    say.title(f"\nEverything above was checked as it was said, in {time.monotonic() - began:.0f} s. Where to go next:")
    say.block(
        (
            "interlock demo --serve         the same server, for your own requests and edits",
            "interlock init my-config       a configuration of your own to start from",
            "interlock check my-config      what a pull request should run",
            "interlock explain-error R301   what a finding means, and how to mend it",
            "README.md                      a tour, and the manual of every document",
        )
    )
    return 0


def _serve(say: Narrator, port: int) -> int:
    from .stage import open_stage

    with open_stage(port) as stage:
        _introduce(say, stage)
        say.title("\nCall it:")
        say.block(
            (
                f"curl {stage.url}/v1/chat/completions -H 'content-type: application/json' -i \\",
                '  -d \'{"model": "chat", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 40}\'',
                f"curl {stage.url}/v1/models",
                f"interlock status --url {stage.url}",
            )
        )
        say.title('Models: chat, resilient (fails over), experiment (a split; send "user"), moving')
        say.title(f"Edit the YAML in {stage.config} and ask again; the server's log is {stage.server.log}.")
        say.title("Ctrl-C stops it all and removes these files.")
        try:
            code = stage.server.wait()
        except KeyboardInterrupt:
            click.echo("\nstopped")
            return 0
        raise stage.server.problem(f"ended by itself with exit code {code}")


def _introduce(say: Narrator, stage: Stage) -> None:
    from .model_server import MODEL

    click.echo("")
    say.fact("model", f"{MODEL} under llama.cpp at {stage.model_url}, ready in {stage.model_seconds:.1f} s")
    say.fact("config", f"{stage.config}, a copy of the demo's")
    say.fact("server", f"`interlock serve` at {stage.url}, ready in {stage.server_seconds:.1f} s")


def _leave(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM ends the demo the way Ctrl-C does, so that its processes and its folder go too."""
    raise KeyboardInterrupt
