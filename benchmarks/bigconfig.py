"""Writes configurations of any size: what a company's gateway folder looks like, many times over."""

from __future__ import annotations

from pathlib import Path

PROVIDERS = 100
MODELS = 10
ROUTES_PER_FILE = 10


def model_of(number: int, *, globs: bool) -> str:
    """A model name that route ``number`` answers to."""
    return f"team-{number:05d}-chat" if globs else f"team-{number:05d}"


def write(folder: Path, routes: int, *, globs: bool = False, upstream: int = 9) -> None:
    """Fills ``folder`` with 1,000 targets and ``routes`` routes (their models exact names, or globs by prefix).

    All targets lead to the upstream on that port. One more route, ``chat``, is there to be called.
    """
    (folder / "providers.d").mkdir(parents=True, exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    for p in range(PROVIDERS):
        models = "\n".join(
            f"  m{m}: {{model: gpt-4o-mini, context_window: 128000, max_output: 16384, "
            f"supports: [chat, stream, tools], price: {{input: 0.{m + 1}, output: 0.{m + 2}}}}}"
            for m in range(MODELS)
        )
        (folder / "providers.d" / f"p{p:03d}.yaml").write_text(
            f"version: 1\nkind: provider\nname: p{p:03d}\ncategory: cloud\ndialect: openai-chat\n"
            f"base_url: http://127.0.0.1:{upstream}/v1\nauth: {{scheme: none}}\nlabels: {{region: r{p % 5}}}\n"
            f"models:\n{models}\n"
        )
    for first in range(0, routes, ROUTES_PER_FILE):
        numbers = range(first, min(first + ROUTES_PER_FILE, routes))
        write_routes(folder, first, [_route(n, globs=globs, weight=90) for n in numbers])
    (folder / "policies" / "zz-chat.yaml").write_text("version: 1\nkind: route\nname: chat\nstep: p000/m0\n")


def edit(folder: Path, first: int, weight: int, *, globs: bool = False) -> None:
    """Rewrites the one file that begins with route ``first``, with this weight in its splits: a change of meaning."""
    numbers = range(first, first + ROUTES_PER_FILE)
    write_routes(folder, first, [_route(n, globs=globs, weight=weight) for n in numbers])


def write_routes(folder: Path, first: int, documents: list[str]) -> None:
    """Replaces one file of routes as editors do: written beside it, then renamed over it."""
    file = folder / "policies" / f"routes-{first:05d}.yaml"
    beside = file.with_name(f".{file.name}.tmp")
    beside.write_text("---\n".join(documents))
    beside.replace(file)


def _route(number: int, *, globs: bool, weight: int) -> str:
    targets = PROVIDERS * MODELS
    names = [f"p{t // MODELS:03d}/m{t % MODELS}" for t in (number % targets, (number + 137) % targets)]
    model = f"team-{number:05d}-*" if globs else f"team-{number:05d}"
    head = f'version: 1\nkind: route\nname: route-{number:05d}\nmatch: {{model: ["{model}"]}}\n'
    if number % 5 == 4:
        return head + f"step: {names[0]}\n"
    if number % 5 == 3:
        return head + f"step: {{fallback: [{names[0]}, {names[1]}]}}\n"
    split = (
        f"{{split: {{name: s{number:05d}, key: user, variants: {{a: {{weight: {weight}, step: {names[0]}}}, "
        f"b: {{weight: 10, step: {names[1]}}}}}}}}}"
    )
    return head + f"step:\n  fallback:\n    - {split}\n    - p099/m{number % MODELS}\n"
