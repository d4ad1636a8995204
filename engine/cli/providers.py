"""``interlock providers``: which providers there are, whether they work, and what they offer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from .options import format_option, overlay_option
from .terminal import Problem, emit, nearest, plural, table, wants_color

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=".",
    metavar="FOLDER",
    help="The configuration folder (default: this folder).",
)


@click.group()
def providers() -> None:
    """Which providers there are, whether they work, and what they offer. `list` and `show` send nothing."""


@providers.command("list")
@config_option
@overlay_option
@click.option("--all", "everything", is_flag=True, help="Those of the shipped catalogue too.")
@format_option("human", "json")
def list_(config: Path, overlays: tuple[Path, ...], everything: bool, format_: str) -> int:
    """List the providers with their category, what they can do, and whether their secret is set."""
    rows = [row for row in _ask(config, overlays, "providers")["providers"] if everything or row["declared"]]
    if format_ == "json":
        emit(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    cells = [
        (
            row["id"],
            row["category"],
            row["dialect"],
            str(len(row["models"])),
            "yes" if row["configured"] else "no" if row["declared"] else "-",
            ", ".join(name.replace("_", " ") for name, able in row["capabilities"].items() if able),
        )
        for row in rows
    ]
    emit(table(("provider", "category", "dialect", "models", "secret set", "can do"), cells, wants_color(sys.stdout)))
    return 0


@providers.command()
@click.argument("provider")
@config_option
@overlay_option
@format_option("human", "json")
def show(provider: str, config: Path, overlays: tuple[Path, ...], format_: str) -> int:
    """Show one provider: address, sign-in, and each declared model with what it can do."""
    row = _one(_ask(config, overlays, "providers")["providers"], provider)
    if format_ == "json":
        emit(json.dumps(row, indent=2, ensure_ascii=False))
        return 0
    lines = [
        f"{row['id']}  ({row['category']}, {row['source']})",
        f"  speaks    {row['dialect']}",
        f"  at        {row['base_url'] or 'no address: it is reached in this machine'}",
        f"  secret    {'set' if row['configured'] else 'not set' if row['declared'] else 'not declared here'}",
        f"  can do    {', '.join(name.replace('_', ' ') for name, able in row['capabilities'].items() if able)}",
        f"  models    {plural(len(row['models']), 'model')}: {', '.join(row['models'])}",
    ]
    emit("\n".join(lines))
    return 0


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
    async with Engine.open(config, overlays=overlays, watch=False) as engine:
        asked = Asked(engine, engine.graph, None, b"", {}, json.dumps(body or {}).encode(), provider)
        try:
            _, _, answer = await functions[what](asked)
        except BadRequestError as problem:
            rows = json.loads((await endpoints.providers(asked))[2])["providers"]
            hint = nearest(provider, [row["id"] for row in rows]) or "`interlock providers list --all` lists them"
            raise Problem(problem.message.split(";")[0].rstrip("."), hint) from None
    return json.loads(answer)
