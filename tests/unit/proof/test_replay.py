"""Records of decisions: what is in them, that a false fact in one is found, what another configuration changes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from engine.cli.asked import Neutral
from engine.compiler import compile_folder
from engine.exchange import Attempt, Outcome, OutcomeClass
from engine.graph import Graph, TargetStep
from engine.planner import Facts, Go, Plan, Record, Request, Tape, Wait
from engine.proof.replay import Broken, Dropped, check, compare, read
from engine.proof.replayed import Replayed
from engine.state import Claim, Closure, Refusal

C = OutcomeClass
SPLIT = {
    "split": {
        "name": "s",
        "key": "user",
        "variants": {"x": {"weight": 1, "step": "a/m"}, "y": {"weight": 1, "step": "b/m"}},
    }
}
STEP = {
    "fallback": [
        SPLIT,
        {"balance": {"by": "latency", "steps": ["b/n", "c/n"]}},
        {"reject": {"status": 410, "message": "gone"}},
    ]
}


@pytest.fixture
def graph_of(tmp_path: Path) -> Callable[..., Graph]:
    def make(step: Any = STEP, when: Any = None, limits: Any = None) -> Graph:
        rows: list[Any] = [
            {
                "kind": "provider",
                "name": name,
                "dialect": "openai-chat",
                "base_url": f"http://{name}/v1",
                "models": {"m": {}, "n": {}},
            }
            for name in "abc"
        ]
        match = {"model": "chat", **({"when": when} if when else {})}
        rows.append({"kind": "route", "name": "chat", "match": match, "step": step})
        rows.append(
            {"kind": "policy", "name": "p", "applies_to": {"all": True}, "retry": {"max_attempts": 5, "per_target": 2}}
        )
        rows += [{"kind": "limit", "name": "l", "each": "user", "limits": limits}] if limits else []
        folder = tmp_path / f"c{len(list(tmp_path.iterdir()))}"
        (folder / "policies").mkdir(parents=True)
        text = yaml.safe_dump_all([{"version": 1, **row} for row in rows])
        (folder / "policies" / "all.yaml").write_text(text, encoding="utf-8")
        graph = compile_folder(folder, ()).graph
        assert graph is not None
        return graph

    return make


class Moment(Neutral):
    """A moment in which something is unusual everywhere."""

    def __init__(self, closed: tuple[str, ...] = (), refusal: Refusal | None = None) -> None:
        self._closed, self._refusal = closed, refusal

    def in_flight(self, target: str) -> int:
        return {"b/n": 3}.get(target, 0)

    def latency(self, target: str, stream: bool, now: float) -> float:
        return {"b/n": 0.1, "c/n": 0.3}.get(target, 0.0)

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        return Closure(2000.0, "breaker", "half failed") if step.target.id in self._closed else None

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        return self._refusal


def recorded(graph: Graph, ends: list[OutcomeClass], view: Neutral | None = None, **asked: Any) -> Record:
    """The record of a request whose attempts end so, one after the other."""
    kept: list[Record] = []
    tape, view = Tape(kept.append), view or Moment()
    made = tape.plan(graph, Request(**{"model": "chat", "user": "u-7", "request_id": "r", **asked}), view, 1000.0)
    attempts, outcome = walk(tape, made, ends, view) if made.stop is None else ([], made.stop)
    tape.ended(
        Outcome(
            "r",
            outcome,
            200,
            "chat",
            "chat",
            "chat",
            None,
            graph.fingerprint,
            False,
            1000.0,
            0.5,
            None,
            tuple(attempts),
        )
    )
    return msgspec.json.decode(msgspec.json.encode(kept[0]), type=Record)


def walk(tape: Tape, made: Plan, ends: list[OutcomeClass], view: Neutral) -> tuple[list[Attempt], OutcomeClass]:
    facts = Facts(60.0, closed=view.closed, passed=made.passed, position=made.start, farthest=made.start)
    attempts: list[Attempt] = []
    for number, end in enumerate(ends, 1):
        step = made.candidates[facts.position].step
        assert isinstance(step, TargetStep)
        facts.tries += 1
        facts.attempts = number
        tape.tried(facts.position, facts)
        attempts.append(Attempt(step.target.id, end, 200))
        if end is C.SERVED:
            return attempts, end
        following = tape.advance(made, facts.position, end, facts, 1000.0 + number)
        if isinstance(following, Go):
            facts.follow(following, end)
        elif not isinstance(following, Wait):
            return attempts, following.outcome_class
    return attempts, C.CANCELLED


FAILING = [C.OVERLOADED, C.OVERLOADED, C.UNAUTHORIZED, C.SERVED]


def test_a_record_replays(graph_of: Any) -> None:
    graph = graph_of()
    record = recorded(graph, FAILING)
    assert check(graph, record) is None
    assert [step.do for step in record.steps] == ["try", "advance", "try", "advance", "try", "advance", "try"]
    assert record.seen is not None
    assert (record.seen.in_flight, record.seen.latency) == ({"b/n": 3}, {"b/n": 0.1, "c/n": 0.3})
    assert record.read == {"user": "u-7"}


#: Where a record is falsified, with what, and a part of what must be said.
LIES: list[tuple[str, Any, str]] = [
    ("request_id", "other", "step 2 (advance at candidate 1"),
    ("at", 0.0, ""),  # nothing of this plan depends on the time: no lie
    ("read.user", "u-8", "candidate 1 is"),
    ("plan.route", "chat2", "the route is chat, then chat2"),
    ("plan.candidates.1.target", "c/m", "candidate 2 is"),
    ("plan.skips.0.reason", "held", "the plan's skips"),
    ("plan.start", 1, "the plan's start is 0, then 1"),
    ("seen.latency", {"b/n": 0.01, "c/n": 0.3}, "candidate 2 is"),
    (
        "seen.closed",
        [
            {"target": "a/m", "circuit": "", "until": 2000.0, "reason": "held"},
            {"target": "b/m", "circuit": "", "until": 2000.0, "reason": "held"},
        ],
        "candidate 1 is",
    ),
    ("steps.0.at", 1, "step 1 (try at candidate 2"),
    ("steps.1.answer", {"wait": 0.25}, "now wait 0."),
    ("steps.1.answer", {"stop": "overloaded"}, "then stop with overloaded"),
    ("steps.1.tries", 2, "tries is 1, then 2"),
    ("steps.1.remaining", 0.0, "now stop with deadline"),
    ("steps.3.outcome", "invalid_request", "now stop with invalid_request"),
    ("steps.3.attempts", 1, "attempts is 2, then 1"),
    ("steps.3.retry_allowed", False, ""),  # it had no tries left anyway
    ("steps.5.passed", [0], "passed is (), then (0,)"),
    ("attempts.1.target", "c/n", "the attempts are"),
    ("attempts.2.outcome", "served", "and unauthorized was acted on"),
    ("attempts.4", {"target": "c/n", "outcome": "served"}, "the attempts are"),
]


@pytest.mark.parametrize(("place", "value", "said"), LIES, ids=[f"{row[0]}={row[1]}"[:40] for row in LIES])
def test_a_false_fact_is_found(graph_of: Any, place: str, value: Any, said: str) -> None:
    graph = graph_of()
    tree = json.loads(msgspec.json.encode(recorded(graph, FAILING)))
    *path, last = place.split(".")
    node = tree
    for key in path:
        node = node[int(key)] if key.isdigit() else node[key]
    if last.isdigit() and int(last) >= len(node):
        node.append(value)
    else:
        node[int(last) if last.isdigit() else last] = value
    fact = check(graph, msgspec.convert(tree, Record, strict=False))
    if said:
        assert said in (fact or "")
    else:
        assert fact is None


def test_an_end_that_does_not_follow_is_found(graph_of: Any) -> None:
    graph = graph_of()
    record = recorded(graph, [C.INVALID_REQUEST])
    assert check(graph, record) is None
    record.outcome = C.SERVED
    assert check(graph, record) == "it ends with invalid_request, then served"


def test_closures_and_limits_that_never_have_room(graph_of: Any) -> None:
    graph = graph_of(limits=[{"requests": 5, "per": "1m"}])
    closed = recorded(graph, [C.SERVED], Moment(("a/m", "b/m")))
    assert closed.plan is not None
    assert closed.plan.candidates[0].closed == "breaker"
    assert check(graph, closed) is None
    claim = next(key for key, _ in closed.plan.limits)
    refused = recorded(graph, [], Moment(refusal=Refusal(claim, math.inf)))
    assert refused.outcome is C.OVER_LIMIT
    assert check(graph, refused) is None


def test_what_may_not_be_written_down_is_withheld_and_said(graph_of: Any) -> None:
    step = {"split": {"name": "s", "key": "header.x-api-key", "variants": {"x": {"weight": 1, "step": "a/m"}}}}
    record = recorded(graph_of(step), [C.SERVED], headers={"x-api-key": "sk-canary", "other": "sk-canary"})
    assert record.withheld == ["header.x-api-key"]
    assert b"canary" not in msgspec.json.encode(record)
    long = recorded(graph_of(), [C.SERVED], user="u" * 201)
    assert long.withheld == ["user"]
    replayed = Replayed([graph_of(step)])
    replayed.take(record)
    assert (replayed.checked, replayed.withheld) == (0, 1)


def test_another_configuration(graph_of: Any) -> None:
    record = recorded(graph_of(), FAILING)
    kinds = {change.kind: (change.then, change.here) for change in compare(graph_of("c/m"), record)}
    assert kinds["attempts"] == (
        ", ".join(attempt.target for attempt in record.attempts),
        "c/m",
    )
    assert kinds["variant"][1] == "s: none"
    assert set(kinds) == {"variant", "order", "attempts"}
    (end,) = [c for c in compare(graph_of({"reject": {"status": 410, "message": "no"}}), record) if c.kind == "end"]
    assert (end.then, end.here) == ("goes on to a target", "rejected")
    assert compare(graph_of(), record) == []


def test_what_nothing_read_then_is_said(graph_of: Any) -> None:
    replayed = Replayed([graph_of(when={"metadata.tier": "gold"})])
    replayed.take(recorded(graph_of(), FAILING))
    assert (replayed.unread, replayed.compared) == ({"metadata.tier": 1}, 0)


def test_lines_that_are_no_records() -> None:
    lines = [b"", b"\n", b"{\n", b'{"dropped":3}\n', b'{"v":1}\n', b"\xff\n"]
    found = list(read(lines))
    assert [type(one) for one in found] == [Broken, Dropped, Broken, Broken]
    assert [one.line for one in found if isinstance(one, Broken)] == [3, 5, 6]
    astray = json.dumps(
        {
            "v": 1,
            "request_id": "r",
            "at": 0.0,
            "graph": "",
            "outcome": "served",
            "status": 200,
            "steps": [{"do": "try", "at": 3}],
        }
    )
    assert list(read([astray.encode()])) == [Broken(1, "a step is at a candidate that the plan does not have")]
    later = json.dumps({"v": 2, "request_id": "r", "at": 0.0, "graph": "", "outcome": "served", "status": 200})
    assert list(read([later.encode()])) == [Broken(1, "records of version 2 are not known")]
