"""How long ``verify`` takes: ``PYTHONPATH=. python benchmarks/verify_speed.py [ROUTES TARGETS INVARIANTS]``.

Half of the targets are in the EU. Every route sends requests that must stay there to targets there, by a switch, and
all others through a balance and a split; every invariant is about another value of metadata and is proved, so that none
ends early at a counter-example.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import yaml

from engine.cli.verified import prove


def documents(routes: int, targets: int, invariants: int) -> list[dict[str, object]]:
    """The configuration's documents."""
    out: list[dict[str, object]] = []
    for n in range(targets // 5):
        models = {f"m{k}": {"supports": ["tools", "stream"], "context_window": 32_000 * (k + 1)} for k in range(5)}
        out.append({"kind": "provider", "name": f"p{n}", "category": "cloud", "dialect": "openai-chat",
                    "base_url": f"https://p{n}.example/v1", "labels": {"region": "eu" if n % 2 else "us"},
                    "models": models})  # fmt: skip
    local = [f"p{n}/m{k}" for n in range(targets // 5) for k in range(5) if n % 2]
    anywhere = [f"p{n}/m{k}" for n in range(targets // 5) for k in range(5) if not n % 2]
    tags = [f"eu-{n}" for n in range(invariants)]
    for n in range(routes):
        here = [local[(n * 7 + k) % len(local)] for k in range(3)]
        there = [anywhere[(n * 11 + k) % len(anywhere)] for k in range(5)]
        split = {"name": f"s{n}", "key": "user", "variants": {
            "a": {"weight": 1, "step": there[0]}, "b": {"weight": 1, "step": there[1]}}}  # fmt: skip
        balance = {"by": "weighted", "steps": [{"weight": 1, "step": one} for one in there[2:4]]}
        rest = {"fallback": [{"split": split}, {"balance": balance}, there[4]]}
        case = {"when": {"metadata.residency": tags}, "step": {"fallback": here}}
        model = [f"r{n}", f"family-{n}-*"] if n % 10 == 0 else [f"r{n}"]
        out.append({"kind": "route", "name": f"r{n}", "match": {"model": model},
                    "step": {"switch": {"cases": [case], "default": rest}}})  # fmt: skip
    out += [
        {"kind": "invariant", "name": f"i{n}", "when": {"metadata.residency": tag},
         "never": {"target.labels.region": {"ne": "eu"}}}
        for n, tag in enumerate(tags)
    ]  # fmt: skip
    return [{"version": 1, **document} for document in out]


def main() -> None:
    """Print seconds."""
    routes, targets, invariants = map(int, sys.argv[1:4] or ("1000", "200", "50"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "providers.d").mkdir()
        (folder / "policies").mkdir()
        text = yaml.dump_all(documents(routes, targets, invariants), Dumper=yaml.CSafeDumper)
        (folder / "policies" / "all.yaml").write_text(text, encoding="utf-8")
        begun = time.perf_counter()
        proved = prove(folder, (), (), date(2026, 1, 1))
        took = time.perf_counter() - begun
    states = [verdict.state for verdict in proved.verdicts]
    sys.stdout.write(
        f"{routes} routes, {targets} targets, {invariants} invariants: {took:.1f} s, compiling included; "
        f"{states.count('proved')} proved, {len(proved.findings)} findings\n"
    )


if __name__ == "__main__":
    main()
