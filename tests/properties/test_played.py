"""What a simulation says of a request is what the engine does with it: same attempts, same end."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Engine, Outcome
from engine.exchange import OutcomeClass
from engine.executor.intake import make_call
from engine.executor.transport import Answer, StreamAnswer, TransportError, TransportOptions
from engine.graph import Graph, Provider
from engine.planner import Request
from engine.proof import Course, Faults, World, drive
from engine.proof.world import Fault
from engine.state import State

NAMES = ("a", "b", "c")
#: What a provider answers, by the class that it means.
STATUS = {
    "served": 200,
    "invalid_request": 400,
    "unauthorized": 401,
    "quota_exhausted": 402,
    "model_gone": 404,
    "server_error": 500,
    "overloaded": 503,
    "connection": 0,
}
BODY = b'{"model":"chat","messages":[{"role":"user","content":"hi"}]}'
REPLY = b'{"choices":[{"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}'

steps = st.recursive(
    st.sampled_from([f"{name}/m" for name in NAMES]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda rows: {"fallback": rows})
        | st.fixed_dictionaries({"fallback": st.fixed_dictionaries({"steps": st.lists(inner, min_size=1, max_size=3)})})
        | st.just({"reject": {"status": 410, "message": "gone"}})
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
#: For each target, how its attempts end one after the other; after that they are served.
fates = st.fixed_dictionaries({name: st.lists(st.sampled_from(sorted(STATUS)), max_size=6) for name in NAMES})


@dataclass
class Scripted:
    """A transport that answers as the fate says."""

    script: list[str]

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        ending = self.script.pop(0) if self.script else "served"
        if ending == "connection":
            raise TransportError("connection", "no")
        none: dict[str, str] = {}
        return Answer(STATUS[ending], none.get, REPLY if ending == "served" else b"")

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


def documents(step: Any, retry: dict[str, Any]) -> str:
    provider = {"version": 1, "kind": "provider", "category": "cloud", "dialect": "openai-chat"}
    rows: list[dict[str, Any]] = [
        {**provider, "name": name, "base_url": f"http://{name}/v1", "models": {"m": {}}} for name in NAMES
    ]
    rows.append({"version": 1, "kind": "route", "name": "chat", "step": step})
    rows.append({"version": 1, "kind": "policy", "name": "p", "applies_to": {"all": True}, "retry": retry})
    return yaml.safe_dump_all(rows)


async def done(folder: Path, scripts: dict[str, list[str]]) -> tuple[Graph, list[Outcome]]:
    """How the engine serves two requests, one after the other."""
    seen: list[Outcome] = []

    def transport(provider: Provider, options: TransportOptions) -> Scripted:
        return Scripted(scripts[provider.name])

    async with Engine.open(folder, watch=False, transport=transport, observers=[seen.append]) as engine:
        for number in "12":
            await engine.serve(make_call("/chat/completions", BODY, {}, id_=number))
        return engine.graph, seen


def simulated(graph: Graph, fate: dict[str, list[str]]) -> list[Course]:
    faults = Faults(
        Fault(f"{name}/m", OutcomeClass(ending), left=1) for name, endings in fate.items() for ending in endings
    )
    state = State()
    state.retain(graph)
    world, now, courses = World(state), 1000.0, []
    for number in "12":
        request = Request(model="chat", input_tokens=8, request_id=number)
        courses.append(drive(graph, request, world, faults, now))
        now += courses[-1].seconds + 0.01
    return courses


@settings(max_examples=150)
@given(steps, retries, fates)
def test_a_simulation_and_the_engine_agree(step: Any, retry: dict[str, Any], fate: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "providers.d").mkdir()
        (folder / "policies").mkdir()
        (folder / "policies" / "all.yaml").write_text(documents(step, retry), encoding="utf-8")
        try:
            graph, outcomes = asyncio.run(done(folder, {name: list(endings) for name, endings in fate.items()}))
        except Exception as problem:
            assert type(problem).__name__ == "ConfigError"  # noqa: PT017  - a tree that the compiler refuses
            return
    told = [
        ([(one.target, one.outcome_class) for one in outcome.attempts], outcome.outcome_class, outcome.status)
        for outcome in outcomes
    ]
    said = [
        ([(one.target, one.outcome) for one in course.tries], course.outcome, course.status)
        for course in simulated(graph, fate)
    ]
    assert said == told
