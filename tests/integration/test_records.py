"""A chaotic run on loopback, recorded: every decision replays, with the configuration that made it."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from engine.cli import cli

from .gateway import SECRET, Gateway, chat, configuration, play
from .upstream import Answer, Do, Seen, Upstream, error, served, until

CANARY = "canary-of-a-client"
REQUESTS, AT_ONCE = 2_000, 20


def step(weight: int) -> dict[str, Any]:
    """Splits, balances, a switch and a hedge, in a fallback."""
    variants = {"x": {"weight": weight, "step": "one/m"}, "y": {"weight": 10, "step": "two/m"}}
    premium = {"hedge": {"delay": "15ms", "extra": "50%", "steps": ["two/m", "three/m"]}}
    trial = {"split": {"name": "trial", "key": "user", "variants": variants}}
    return {
        "fallback": [
            {"switch": {"cases": [{"when": {"metadata.tier": "gold"}, "step": premium}], "default": trial}},
            {"balance": {"by": "latency", "steps": ["two/m", "three/m"]}},
            "three/m",
        ]
    }


def changes(folder: Path, weight: int) -> dict[str, Any]:
    limit = {"version": 1, "kind": "limit", "name": "each", "each": "user", "limits": [{"requests": 60, "per": "1h"}]}
    records = {"file": str(folder / "decisions.jsonl")}
    log = {"version": 1, "kind": "settings", "name": "s", "telemetry": {"records": records}}
    return {
        "step": step(weight),
        "policy": {
            "retry": {"max_attempts": 4, "per_target": 2, "backoff": {"initial": "1ms", "max": "5ms"}},
            "breaker": {"min_requests": 5, "error_rate": "40%", "open_for": "100ms"},
            "timeouts": {"attempt": "300ms", "first_token": "300ms"},
        },
        "providers": {"two": {"limits": [{"concurrency": 6}]}},
        "more": [limit, log],
    }


def chaotic(seen: Seen) -> Answer:
    """Mostly served; at times slow, refused, cut or stalled."""
    draw = int(seen.headers["x-request-id"].rsplit("-", 1)[-1], 16) if "x-request-id" in seen.headers else 0
    dice = random.Random(f"{draw}{seen.account}{seen.arrived}")
    answer = served(bool(seen.body.get("stream")))
    odds: list[tuple[float, Answer]] = [
        (0.06, error(503)),
        (0.04, error(500)),
        (0.03 * (seen.account == "one"), error(429, retry_after="1")),
        (0.01, error(400)),
        (0.02, (Do.CLOSE,)),
        (0.005, (Do.STALL,)),
        (0.1, (0.03, *answer)),
    ]
    roll = dice.random()
    for share, other in odds:
        roll -= share
        if roll < 0:
            return other
    return answer


async def one(gateway: Gateway, number: int) -> int:
    body = chat(
        number % 3 == 0,
        user=f"u{number % 29}",
        metadata={"tier": "gold" if number % 5 == 0 else "free", "note": CANARY},
        messages=[{"role": "user", "content": f"{CANARY} {number}"}],
    )
    if number % 101 == 0:
        body["model"] = "nobody"
    if number % 67 == 0:
        _, writer = await gateway.send(body)
        await asyncio.sleep(0.002)
        writer.close()  # the client leaves
        return 0
    got = await gateway.ask(body, x_request_id=f"n-{number}", authorization=f"Bearer {CANARY}")
    return got.status


def replayed(*words: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["replay", *words, "--format", "json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_chaotic_run_replays_without_a_difference(tmp_path: Path) -> None:
    folder, before, log = tmp_path / "live", tmp_path / "before", tmp_path / "live" / "decisions.jsonl"
    folder.mkdir()
    statuses: Counter[int] = Counter()

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        shutil.copytree(folder / "policies", before / "policies")

        async def client(first: int) -> None:
            for number in range(first, REQUESTS, AT_ONCE):
                statuses[await one(gateway, number)] += 1
                if number == REQUESTS // 2:
                    configuration(folder, upstream.port, **changes(folder, 30))
                    assert await gateway.engine.reload() == ()

        await asyncio.gather(*(client(first) for first in range(AT_ONCE)))
        await until(lambda: len(gateway.outcomes) == REQUESTS)

    play(folder, scenario, scripts=dict.fromkeys(("one", "two", "three"), chaotic), **changes(folder, 90))
    text = log.read_bytes()
    assert text.count(b"\n") == REQUESTS
    assert CANARY.encode() not in text
    assert SECRET.encode() not in text
    assert {200, 404, 429} <= set(statuses)

    code, both = replayed(str(log), str(folder), str(before))
    assert (code, both["differences"], both["broken_lines"]) == (0, [], [])
    assert (both["checked"], both["identical"], both["dropped"]) == (REQUESTS, REQUESTS, 0)
    assert len(both["graphs"]) == 2
    assert both["taken_from_the_record"]["race"] > 0
    assert both["taken_from_the_record"]["places"] > 0
    steps = Counter(
        step["do"] for line in text.splitlines() for step in json.loads(line).get("steps", ()) if step["do"] != "try"
    )
    assert {"advance", "beside"} <= set(steps)

    # By the later configuration alone, what the earlier one decided is compared: its split moved some users.
    code, later = replayed(str(log), str(folder))
    assert (code, later["differing"]) == (0, 0)
    assert later["kinds"]["variant"] > 0
    assert later["unchanged"] > 0
    assert replayed(str(log), str(folder), "--fail-on-change")[0] == 1
