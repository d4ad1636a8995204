"""The circuit breaker and the holds against any order of attempts: bounded probes, ends that never move forward."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.exchange import ATTEMPT_CLASSES, OutcomeClass, Verdict
from engine.graph import Auth, Breaker, Graph, Provider, Route, Target, TargetStep
from engine.state import State

FAR = 1e6
OUTCOMES = [*sorted(ATTEMPT_CLASSES), OutcomeClass.CANCELLED, OutcomeClass.DEADLINE]
BAD = [OutcomeClass.SERVER_ERROR, OutcomeClass.RATE_LIMITED, OutcomeClass.MODEL_GONE, OutcomeClass.UNAUTHORIZED]


def step_of(breaker: Breaker, name: str = "m") -> TargetStep:
    provider = Provider("acme", "cloud", "openai-chat", "https://acme.example/v1", "http", Auth("bearer"))
    target = Target(f"acme/{name}", provider, name, name)
    return TargetStep(target, path=name, breaker=breaker, circuit=f"acme/{name}#1")


class Attempts(RuleBasedStateMachine):
    """Attempts begin the ordinary way or as last resorts, end in any way and any order, and time goes on."""

    @initialize(consecutive=st.integers(1, 4), least=st.integers(1, 6), probes=st.integers(1, 3), slow=st.booleans())
    def begin(self, consecutive: int, least: int, probes: int, slow: bool) -> None:
        rules: dict[str, Any] = {"slow_longer_than": 3.0} if slow else {}
        self.breaker = Breaker(min_requests=least, consecutive=consecutive, probes=probes, max_open_for=40.0, **rules)
        self.step = step_of(self.breaker)
        self.state = State()
        self.now = FAR
        self.under_way: list[float] = []
        self.probes: dict[str, list[float]] = {}
        """Those of them that went the ordinary way, by what was half open then and has not opened since."""
        self.ends: dict[str, float] = {}

    def shut(self) -> dict[str, float]:
        """Name of what is shut -> until when."""
        found = self.state.export(self.now)
        circuits = {row["id"]: row["until"] for row in found["circuits"] if row["state"] != "closed"}
        holds = {row.get("target") or row["provider"]: row["until"] for row in found["holds"] + found["credentials"]}
        return circuits | holds

    @rule(seconds=st.floats(0.01, 30.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(anyway=st.booleans())
    def attempt(self, anyway: bool) -> None:
        closure = self.state.closed(self.step, self.now)
        if closure is not None and not anyway:
            return
        half_open = list(self.shut()) if closure is None else []
        self.now += 0.001  # no two begin at the same moment
        self.state.enter(self.step, self.now)
        self.under_way.append(self.now)
        for name in half_open:
            self.probes.setdefault(name, []).append(self.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES + BAD * 3), wait=st.sampled_from([None, 0.5, 7.0, 60.0]))
    def end(self, data: st.DataObject, outcome: OutcomeClass, wait: float | None) -> None:
        began = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(began)
        for probes in self.probes.values():
            probes[:] = [probe for probe in probes if probe != began]
        self.now += 0.001
        self.state.leave(self.step.target.id)
        before = self.shut()
        self.state.note(self.step, Verdict(outcome, retry_after=wait), began, self.now, None, lambda name: None)
        for name, until in self.shut().items():
            assert until >= before.get(name, 0.0), "a closure is never shortened"
        for name in set(before) - set(self.shut()):
            self.probes.pop(name, None)
            assert outcome is OutcomeClass.SERVED, "only an answer opens what was shut"

    @invariant()
    def probes_are_bounded(self) -> None:
        if hasattr(self, "state"):
            vanished = max(self.step.timeouts.attempt, self.step.timeouts.first_token)
            strays = {row["target"] for row in self.state.export(self.now)["holds"] if not row["in_a_row"]}
            for name, probes in self.probes.items():
                bound = self.breaker.probes if name == self.step.circuit else 1
                assert name in strays or len([b for b in probes if b + vanished > self.now]) <= bound

    @invariant()
    def what_is_open_lets_everybody_through(self) -> None:
        if hasattr(self, "state"):
            closure = self.state.closed(self.step, self.now)
            assert closure is None or self.shut()
            for row in self.state.export(self.now)["circuits"]:
                if row["state"] == "open":
                    assert row["until"] - row["since"] <= self.breaker.max_open_for + 1e-6

    def teardown(self) -> None:
        """Whatever happened: a graph without the target leaves nothing of it."""
        if hasattr(self, "state"):
            target = self.step.target
            route = Route("r", ("r",), None, 0, self.step, targets=(target,), circuits=(self.step.circuit,))
            held = Graph.build(providers=[target.provider], targets=[target], routes=[route])
            self.state.retain(held)
            self.state.retain(Graph.build())
            assert self.shut().keys() >= set()
            self.state.let_go(held)
            found = self.state.export(self.now)
            assert [found[name] for name in ("circuits", "holds", "credentials")] == [[], [], []]


TestAttempts = Attempts.TestCase
TestAttempts.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
