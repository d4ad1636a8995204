"""``interlock providers``: which providers there are, whether they work, and what they offer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .health import health_page, health_table
from .options import address, format_option, overlay_option
from .terminal import Problem, emit, nearest, table, wants_color, width_of

if TYPE_CHECKING:
    from engine.graph import Provider

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=".",
    metavar="FOLDER",
    help="The configuration folder (default: this folder).",
)


url_option = click.option(
    "--url", callback=address, metavar="URL", help="Ask the server at this address instead of reading the files."
)

#: Short words for what a provider can do, so that the list fits a terminal.
_ABLE = {
    "text_generation": "text",
    "function_calling": "tools",
    "streaming": "stream",
    "json_schema": "json",
}


@click.group()
def providers() -> None:
    """Which providers there are, whether they work, and what they offer. `list` and `show` send nothing."""


@providers.command("list")
@config_option
@overlay_option
@url_option
@click.option("--all", "everything", is_flag=True, help="Those of the shipped catalogue too.")
@format_option("human", "json")
def list_(config: Path, overlays: tuple[Path, ...], url: str | None, everything: bool, format_: str) -> int:
    """List the providers with their category, what they can do, and whether they are ready.

    Ready is a provider whose secret is set or whose program is installed; nobody has asked it yet. With --url the list
    is a running server's, and says how they do: when they served last, what failed, until when they are left alone.
    """
    rows = _rows(config, overlays, url)
    rows = [row for row in rows if everything or row["declared"]]
    if format_ == "json":
        emit(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width, color = width_of(sys.stdout), wants_color(sys.stdout)
    if url is not None:
        emit(health_table(rows, time.time(), width, color))
        return 0
    cells = [
        (
            row["id"],
            row["category"],
            row["dialect"],
            str(len(row["models"])),
            "yes" if row["configured"] else "no" if row["declared"] else "-",
            ", ".join(_ABLE.get(name, name) for name, able in row["capabilities"].items() if able),
        )
        for row in rows
    ]
    emit(table(("provider", "category", "dialect", "models", "ready", "can do"), cells, color, width))
    return 0


@providers.command()
@click.argument("provider")
@config_option
@overlay_option
@url_option
@format_option("human", "json")
def show(provider: str, config: Path, overlays: tuple[Path, ...], url: str | None, format_: str) -> int:
    """Show one provider: address, sign-in, and each declared model with what it can do.

    With --url: how it does at a running server, and why, with its latest checks.
    """
    from engine.runtime.catalogue import catalogue_graph

    from .findings import compile_graph

    row = _one(_rows(config, overlays, url), provider)
    if format_ == "json":
        emit(json.dumps(row, indent=2, ensure_ascii=False))
        return 0
    if url is not None:
        emit(health_page(row, time.time(), width_of(sys.stdout), wants_color(sys.stdout)))
        return 0
    graph = compile_graph(config, overlays) if row["declared"] else catalogue_graph()
    it = graph.providers[provider]
    lines = [
        f"{row['id']}  ({row['category']}, {row['source']})",
        f"  speaks   {', '.join((it.dialect, *it.also_speaks))}",
        f"  at       {row['base_url'] or f'no address: transport {it.transport}'}",
        f"  sign-in  {_sign_in(it, row)}",
        f"  models   {len(row['models'])}",
    ]
    targets = sorted((t for t in graph.targets.values() if t.provider.name == provider), key=lambda t: t.name)
    cells = [
        (t.name, t.model, _number(t.context_window), _number(t.max_output), ", ".join(sorted(t.supports)))
        for t in targets
    ]
    head = ("model", "upstream's name", "context", "output", "can do")
    shown = table(head, cells, wants_color(sys.stdout), width_of(sys.stdout))
    emit("\n".join([*lines, *(["", shown] if cells else [])]))
    return 0


def _number(tokens: int | None) -> str:
    return "" if tokens is None else f"{tokens:,}"


def _sign_in(provider: Provider, row: dict[str, Any]) -> str:
    """How it signs in, and whether what that needs is there."""
    if provider.transport == "process":
        what, there, missing = f"the program {provider.command[0]}", "installed", "not installed"
    elif provider.auth.scheme in ("none", "caller"):
        return f"scheme {provider.auth.scheme}"
    else:
        secret = provider.auth.secret
        where = f", secret {secret.kind} {secret.name}" if secret is not None else ""
        what, there, missing = f"scheme {provider.auth.scheme}{where}", "set" if secret else "to be tried", "not set"
    return what if not row["declared"] else f"{what} ({there if row['configured'] else missing})"


@providers.command()
@click.argument("provider")
@config_option
@overlay_option
@click.option("--embedding", is_flag=True, help="Test embeddings instead of text.")
@click.option("--model", metavar="NAME", help="The model to test; the cheapest declared one by default.")
@format_option("human", "json")
def test(
    provider: str, config: Path, overlays: tuple[Path, ...], embedding: bool, model: str | None, format_: str
) -> int:
    """Send the smallest real request to a provider. It costs what a dozen tokens cost. Exits 1 if it fails."""
    from .findings import compile_graph

    declared = compile_graph(config, overlays).providers.get(provider)
    if declared is not None and declared.transport == "queue":
        hint = f"POST /api/v1/providers/{provider}/test at a running server, and answer on its page /relay"
        raise Problem(f'behind "{provider}" are people, who answer to a server and not to this command', hint, code=1)
    body = {"test_mode": "embedding" if embedding else "text", **({"model": model} if model else {})}
    said = _ask(config, overlays, "test", provider, body)
    if format_ == "json":
        emit(json.dumps(said, indent=2, ensure_ascii=False))
    elif said["success"]:
        emit(f"{said['target']} answered in {said['latency']:.0f} ms")
    else:
        error = said["error"]
        raise Problem(f"{said['target'] or provider}: {error['outcome']}: {error['message']}", error["remedy"], code=1)
    return 0 if said["success"] else 1


@providers.command()
@click.argument("provider")
@config_option
@overlay_option
@format_option("human", "json")
def models(provider: str, config: Path, overlays: tuple[Path, ...], format_: str) -> int:
    """Ask a provider which models it offers now. Exits 1 if it does not say."""
    said = _ask(config, overlays, "models", provider)
    if format_ == "json":
        emit(json.dumps(said, indent=2, ensure_ascii=False))
        return 1 if "error" in said else 0
    if "error" in said:
        error = said["error"]
        raise Problem(f"{provider} lists no models: {error['message']}", error["remedy"], code=1)
    kinds = (("text", "text_models"), ("embedding", "embedding_models"), ("other", "other_models"))
    details = said["details"]
    cells = [
        (name, kind, str(details[name]["context_window"] or ""), ", ".join(details[name]["features"]))
        for kind, key in kinds
        for name in said[key]
    ]
    emit(table(("model", "kind", "context", "can do"), cells, wants_color(sys.stdout)))
    return 0


def _rows(config: Path, overlays: tuple[Path, ...], url: str | None) -> list[dict[str, Any]]:
    """The providers of these files, or of the server at ``url``. Raises :class:`Problem`."""
    if url is None:
        rows: list[dict[str, Any]] = _ask(config, overlays, "providers")["providers"]
        return rows
    from engine.executor.transport_status import StatusError, fetch_providers

    try:
        return fetch_providers(url, key=os.environ.get("INTERLOCK_KEY"))
    except StatusError as error:
        raise Problem(error.message, error.hint, code=1) from error


def _one(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((row for row in rows if row["id"] == name), None)
    if found is None:
        names = [row["id"] for row in rows]
        hint = nearest(name, names) or "`interlock providers list --all` lists them"
        raise Problem(f'there is no provider "{name}"', hint)
    return found


def _ask(
    config: Path, overlays: tuple[Path, ...], what: str, provider: str = "", body: dict[str, Any] | None = None
) -> Any:
    """What the management endpoint of a server with this configuration would answer. Raises :class:`Problem`."""
    from .findings import compile_graph

    compile_graph(config, overlays)
    return asyncio.run(_answer(config, overlays, what, provider, body))


async def _answer(
    config: Path, overlays: tuple[Path, ...], what: str, provider: str, body: dict[str, Any] | None
) -> Any:
    from engine.executor.intake import BadRequestError
    from engine.runtime import Engine
    from engine.server import providers as endpoints
    from engine.server.asked import Asked

    functions: dict[str, Callable[[Asked], Awaitable[tuple[int, str, bytes]]]] = {
        "providers": endpoints.providers,
        "test": endpoints.test,
        "models": endpoints.models_of,
    }
    async with Engine.open(config, overlays=overlays, watch=False, probes=False) as engine:
        asked = Asked(engine, engine.graph, None, b"", {}, json.dumps(body or {}).encode(), provider)
        try:
            _, _, answer = await functions[what](asked)
        except BadRequestError as problem:
            _one(json.loads((await endpoints.providers(asked))[2])["providers"], provider)
            raise Problem(problem.message) from None
    return json.loads(answer)
