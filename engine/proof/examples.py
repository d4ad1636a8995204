"""Plays ``kind: test`` documents: what each expects against what the planner does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from engine.exchange import OutcomeClass
from engine.graph import Graph
from engine.planner import Request
from engine.schema.proof import Expect, TestDoc, TestRequest, TestState
from engine.schema.proof import Fault as DeclaredFault
from engine.state import State
from engine.units import parse_duration

from .drive import Course, drive
from .world import Fault, Faults, World

#: When tests begin (Unix seconds): a moment as good as any, and always the same one.
BEGIN = 1_700_000_000.0

Asked = Callable[[TestRequest], Request]
"""From the request of a test document to the attributes that routing goes by."""


class Mismatch(Struct, frozen=True):
    """What was expected of a step and did not come; ``what`` is a key of ``expect``, the rest is for people."""

    what: str
    expected: str
    actual: str


class Step(Struct, frozen=True):
    """One request of an example, as it went (the last time, if it was repeated)."""

    request: Request
    course: Course
    mismatches: tuple[Mismatch, ...] = ()


class Example(Struct, frozen=True):
    """A test document and how it went."""

    name: str
    steps: tuple[Step, ...]

    @property
    def holds(self) -> bool:
        """Whether everything expected came."""
        return not any(step.mismatches for step in self.steps)


def play(graph: Graph, document: TestDoc, asked: Asked) -> Example:
    """Play one document, on live state of its own: nothing is left of it for the next one."""
    state = State()
    state.retain(graph)
    now = BEGIN
    done: list[Step] = []
    for at, step in enumerate(document.steps):
        now += parse_duration(step.after) if step.after is not None else 0.0
        world = _world(state, step.state)
        faults = Faults(_fault(fault) for fault in step.faults)
        for turn in range(step.repeat):
            request = asked(step.request)
            if not step.request.request_id:
                # Without a name of its own each request has the dice of its place.
                request.request_id = f"{document.name} {at + 1}.{turn + 1}"
            course = drive(graph, request, world, faults, now, step.request.output_tokens)
            now += course.seconds
        mismatches = tuple(_compare(step.expect, course)) if step.expect is not None else ()
        done.append(Step(request, course, mismatches))
    return Example(document.name, tuple(done))


def _world(state: State, declared: TestState) -> World:
    return World(
        state,
        broken=declared.open,
        no_credential=declared.no_credential,
        in_flight=declared.in_flight,
        latency={target: parse_duration(text) for target, text in declared.latency.items()},
    )


def _fault(declared: DeclaredFault) -> Fault:
    return Fault(
        declared.target,
        OutcomeClass(declared.outcome),
        None if declared.retry_after is None else parse_duration(declared.retry_after),
        None if declared.after is None else parse_duration(declared.after),
        declared.after_output,
        declared.times,
    )


def _compare(expect: Expect, course: Course) -> Iterator[Mismatch]:
    plan = course.plan
    if expect.route is not None and (plan.route is None or plan.route.name != expect.route):
        yield Mismatch("route", expect.route, plan.route.name if plan.route else "no route")
    if expect.variants is not None:
        assigned = dict(plan.variants)
        for split, variant in sorted(expect.variants.items()):
            if assigned.get(split) != variant:
                yield Mismatch("variants", f"{split}: {variant}", f"{split}: {assigned.get(split, 'not reached')}")
    if expect.attempts is not None and list(course.attempts) != list(expect.attempts):
        yield Mismatch("attempts", ", ".join(expect.attempts) or "none", ", ".join(course.attempts) or "none")
    if expect.mirrors is not None and list(course.mirrors) != list(expect.mirrors):
        yield Mismatch("mirrors", ", ".join(expect.mirrors) or "none", ", ".join(course.mirrors) or "none")
    if expect.target is not None and course.target != expect.target:
        yield Mismatch("target", expect.target, course.target or "none")
    if expect.outcome is not None and course.outcome.value != expect.outcome:
        yield Mismatch("outcome", expect.outcome, course.outcome.value)
    if expect.status is not None and course.status != expect.status:
        yield Mismatch("status", str(expect.status), str(course.status))
    if expect.max_usd is not None:
        most = expect.max_usd
        if course.usd is None:
            why = "unknown: no price is declared" if course.outcome is OutcomeClass.SERVED else "nothing was served"
            yield Mismatch("max_usd", f"at most {most} USD", why)
        elif course.usd > most:
            yield Mismatch("max_usd", f"at most {most} USD", f"{course.usd.normalize():f} USD")
