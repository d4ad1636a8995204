"""Writes configurations of any size. Imported by path, so that tests and benchmarks measure the same thing."""

from __future__ import annotations

from pathlib import Path

#: How many route documents go into one file.
PER_FILE = 100

_KINDS = ("target", "fallback", "split", "balance", "switch")


def write_big_config(folder: Path, routes: int, providers: int, models_per_provider: int, globs: bool = False) -> None:
    """Fills ``folder`` with a configuration that compiles without errors and warnings.

    Providers are ``p000`` and on, models ``m0`` and on, routes ``route-00000`` and on, ``PER_FILE`` to a file; every
    route names three targets in one of five kinds of tree. With ``globs`` a route matches ``route-00000-*`` and not its
    own name. The same arguments write the same files.
    """
    folder = Path(folder)
    (folder / "providers.d").mkdir(parents=True, exist_ok=True)
    (folder / "policies" / "routes").mkdir(parents=True, exist_ok=True)
    for p in range(providers):
        (folder / "providers.d" / f"p{p:03}.yaml").write_text(provider(p, models_per_provider), encoding="utf-8")
    (folder / "policies" / "everywhere.yaml").write_text(POLICY, encoding="utf-8")
    for start in range(0, routes, PER_FILE):
        numbers = range(start, min(start + PER_FILE, routes))
        text = "---\n".join(route(n, providers, models_per_provider, globs) for n in numbers)
        (folder / "policies" / "routes" / f"{start // PER_FILE:04}.yaml").write_text(text, encoding="utf-8")


POLICY = """\
version: 1
kind: policy
name: everywhere
applies_to: {all: true}
retry: {max_attempts: 5, per_target: 2, backoff: {initial: 200ms, max: 5s}, budget: 20%}
timeouts: {connect: 2s, first_token: 20s, idle: 30s, attempt: 90s, total: 180s}
params: {unsupported: drop}
"""


def provider(number: int, models: int) -> str:
    """One provider document; it listens on a closed local port and needs no secret."""
    name = f"p{number:03}"
    lines = [
        "version: 1",
        "kind: provider",
        f"name: {name}",
        "category: local",
        "dialect: openai-chat",
        f"base_url: http://127.0.0.1:9/{name}/v1",
        f"labels: {{region: {('us', 'eu')[number % 2]}}}",
        "models:",
    ]
    for m in range(models):
        lines += [
            f"  m{m}:",
            f"    model: upstream-{name}-{m}",
            "    context_window: 131072",
            "    max_output: 8192",
            "    supports: [stream, tools, vision, json_schema]",
            "    price: {input: 0.5, output: 1.5}",
        ]
    return "\n".join(lines) + "\n"


def route(number: int, providers: int, models: int, globs: bool = False) -> str:
    """One route document."""
    targets = providers * models
    a, b, c = (_target((number * 3 + i) % targets, models) for i in range(3))
    name = f"route-{number:05}"
    lines = ["version: 1", "kind: route", f"name: {name}"]
    if globs:
        lines.append(f'match: {{model: "{name}-*"}}')
    kind = _KINDS[number % len(_KINDS)]
    if kind == "target":
        lines.append(f"step: {{fallback: [{a}, {b}, {c}]}}")
    elif kind == "fallback":
        lines += ["step:", "  fallback:", "    steps:", f"      - {a}", f"      - {b}", f"      - {c}"]
    elif kind == "split":
        lines += [
            "step:",
            "  split:",
            f"    name: trial-{number}",
            "    key: user",
            "    variants:",
            f"      control: {{weight: 90, step: {a}}}",
            f"      other: {{weight: 10, step: {{fallback: [{b}, {c}]}}}}",
        ]
    elif kind == "balance":
        members = ", ".join(f"{{weight: {w}, step: {t}}}" for w, t in ((3, a), (2, b), (1, c)))
        lines.append(f"step: {{balance: {{by: weighted, steps: [{members}]}}}}")
    else:
        lines += [
            "step:",
            "  switch:",
            "    cases:",
            f"      - when: {{metadata.tier: free}}\n        step: {a}",
            f"      - when: {{input_tokens: {{gt: 30000}}}}\n        step: {b}",
            f"    default: {c}",
        ]
    return "\n".join(lines) + "\n"


def _target(number: int, models: int) -> str:
    return f"p{number // models:03}/m{number % models}"
