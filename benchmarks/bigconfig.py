"""Configurations of any size, the same ones that the tests use, and edits of them as editors make them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.properties.big import write_big_config

PROVIDERS = 100
MODELS = 10

_WEIGHT = re.compile(r"control: \{weight: \d+,")


def write(folder: Path, routes: int, *, globs: bool = False, upstream: int = 9) -> None:
    """Fills ``folder`` with that many routes over 1,000 targets, their models exact names, or globs by prefix.

    One more route, ``chat``, leads to the upstream on that port and is there to be called.
    """
    write_big_config(folder, routes, PROVIDERS, MODELS, globs)
    (folder / "providers.d" / "bench.yaml").write_text(
        "version: 1\nkind: provider\nname: bench\ncategory: local\ndialect: openai-chat\n"
        f"base_url: http://127.0.0.1:{upstream}/v1\n"
        "models: {gpt-4o-mini: {context_window: 128000, max_output: 16384, supports: [stream, tools]}}\n"
    )
    (folder / "policies" / "chat.yaml").write_text("version: 1\nkind: route\nname: chat\nstep: bench/gpt-4o-mini\n")


def route_files(folder: Path) -> list[Path]:
    """The files that hold the routes, a hundred in each, in order."""
    return sorted((folder / "policies" / "routes").glob("*.yaml"))


def edit(file: Path, weight: int) -> None:
    """Gives the splits of one file this weight, a change of meaning: written beside it, then renamed over it."""
    beside = file.with_name(f".{file.name}.tmp")
    beside.write_text(_WEIGHT.sub(f"control: {{weight: {weight},", file.read_text()))
    beside.replace(file)
