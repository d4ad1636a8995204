"""Whatever the tree, the state and the fates: what the engine recorded of its decisions replays without difference."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import ConfigError, Engine, Outcome
from engine.executor.intake import make_call
from engine.executor.transport import Answer, StreamAnswer, TransportError, TransportOptions
from engine.graph import Graph, Provider
from engine.planner import Record
from engine.proof.replay import check, compare, read
from engine.proof.replayed import Replayed

NAMES = ("a", "b", "c")
STATUS = {
    "served": 200,
    "invalid_request": 400,
    "unauthorized": 401,
    "rate_limited": 429,
    "model_gone": 404,
    "server_error": 500,
    "overloaded": 503,
    "connection": 0,
    "slow": 200,
}
REPLY = b'{"choices":[{"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}'
CANARY = "canary-4711"

steps = st.recursive(
    st.sampled_from([f"{name}/m" for name in NAMES]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda rows: {"fallback": rows}),
        st.tuples(inner, inner, st.sampled_from(["user", "metadata.team", None])).map(
            lambda both: {
                "split": {
                    "name": "s",
                    **({"key": both[2]} if both[2] else {}),
                    "variants": {"x": {"weight": 1, "step": both[0]}, "y": {"weight": 2, "step": both[1]}},
                }
            }
        ),
        st.tuples(st.sampled_from(["latency", "least_busy", "weighted", "usage", "hash"]), inner, inner).map(
            lambda row: {
                "balance": {"by": row[0], "steps": [row[1], row[2]], **({"key": "user"} if row[0] == "hash" else {})}
            }
        ),
        st.tuples(inner, inner).map(
            lambda both: {"switch": {"cases": [{"when": {"user": "u1"}, "step": both[0]}], "default": both[1]}}
        ),
        st.tuples(inner, inner).map(lambda both: {"hedge": {"delay": "1ms", "extra": "100%", "steps": list(both)}}),
        st.just({"reject": {"status": 410, "message": "gone"}}),
    ),
    max_leaves=5,
)
retries = st.fixed_dictionaries(
    {"backoff": st.just({"initial": "1ms", "max": "2ms"})},
    optional={
        "max_attempts": st.integers(1, 8),
        "per_target": st.integers(1, 3),
        "budget": st.sampled_from(["0%", "20%", "100%"]),
    },
)
breakers = st.sampled_from(
    [None, {"min_requests": 1, "error_rate": "50%", "open_for": "50ms"}, {"consecutive": 1, "open_for": "5s"}]
)
limits = st.sampled_from([None, None, [{"requests": 2, "per": "1m"}], [{"concurrency": 1}]])
fates = st.fixed_dictionaries({name: st.lists(st.sampled_from(sorted(STATUS)), max_size=6) for name in NAMES})


@dataclass
class Scripted:
    """A transport that answers as the fate says."""

    script: list[str]

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        ending = self.script.pop(0) if self.script else "served"
        if ending == "connection":
            raise TransportError("connection", "no")
        await asyncio.sleep(0.004 if ending == "slow" else 0)
        none = {"retry-after": "1"} if ending == "rate_limited" else {}
        return Answer(STATUS[ending], none.get, REPLY if STATUS[ending] == 200 else b"")

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


class Kept:
    """Keeps the lines of records, as they would be written."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def __call__(self, outcome: Outcome) -> None:
        """Outcomes by themselves are not kept."""

    def decided(self, record: Record) -> None:
        self.lines.append(msgspec.json.encode(record))


def documents(step: Any, retry: dict[str, Any], breaker: Any, limit: Any) -> str:
    provider = {"version": 1, "kind": "provider", "category": "cloud", "dialect": "openai-chat"}
    rows: list[dict[str, Any]] = [
        {**provider, "name": name, "base_url": f"http://{name}/v1", "models": {"m": {}}} for name in NAMES
    ]
    if limit is not None:
        rows[0]["limits"] = limit
    rows.append({"version": 1, "kind": "settings", "name": "s", "limits": {"queue": {"wait": "20ms"}}})
    rows.append({"version": 1, "kind": "route", "name": "chat", "step": step})
    policy = {"retry": retry} if breaker is None else {"retry": retry, "breaker": breaker}
    rows.append({"version": 1, "kind": "policy", "name": "p", "applies_to": {"all": True}, **policy})
    rows.append({"version": 1, "kind": "limit", "name": "l", "each": "user", "limits": [{"requests": 3, "per": "1m"}]})
    return yaml.safe_dump_all(rows)


def body(number: int) -> bytes:
    said = {
        "model": "chat" if number else "none",
        "user": f"u{number % 2}",
        "messages": [{"role": "user", "content": CANARY}],
        "metadata": {"team": "t", "unread": CANARY},
    }
    return msgspec.json.encode(said)


async def recorded(folder: Path, scripts: dict[str, list[str]]) -> tuple[Graph, list[bytes]]:
    """The records of seven requests, some of them at once."""
    kept = Kept()

    def transport(provider: Provider, options: TransportOptions) -> Scripted:
        return Scripted(scripts[provider.name])

    async with Engine.open(folder, watch=False, transport=transport, observers=[kept]) as engine:
        headers = {"x-secret-key": CANARY}
        calls = [make_call("/chat/completions", body(n), headers, id_=f"r{n}") for n in range(7)]
        for call in calls[:4]:
            await engine.serve(call)
        await asyncio.gather(*(engine.serve(call) for call in calls[4:]))
        return engine.graph, kept.lines


@settings(max_examples=100, deadline=None)
@given(steps, retries, breakers, limits, fates)
def test_records_replay_without_a_difference(
    step: Any, retry: dict[str, Any], breaker: Any, limit: Any, fate: dict[str, list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "all.yaml").write_text(documents(step, retry, breaker, limit), encoding="utf-8")
        try:
            graph, lines = asyncio.run(recorded(folder, {name: list(ends) for name, ends in fate.items()}))
        except ConfigError:  # a tree that the compiler refuses
            assume(False)
            raise
    records = [record for record in read(lines) if isinstance(record, Record)]
    assert len(records) == len(lines) == 7
    assert [(record.id, fact) for record in records if (fact := check(graph, record)) is not None] == []
    # What is compared with the very configuration that decided it is unchanged too, where nothing ran side by side.
    assert [
        (record.id, compare(graph, record)) for record in records if not record.taken and compare(graph, record)
    ] == []
    assert CANARY.encode() not in b"".join(lines)
    replayed = Replayed([graph])
    for record in records:
        replayed.take(record)
    assert replayed.identical == 7
    assert replayed.holds
