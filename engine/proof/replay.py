"""Recorded decisions taken again: the same configuration must decide alike, another one shows what it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from engine.exchange import OutcomeClass
from engine.graph import Graph, TargetStep
from engine.planner import Closed, Facts, Go, Next, Plan, Stop, advance, beside, instead, over_limit, pass_over, plan
from engine.planner.model import nobody_closed
from engine.planner.record import (
    RACE,
    VERSION,
    Answer,
    Planned,
    Record,
    Remembered,
    Row,
    Shut,
    Step,
    UnreadError,
    answer,
    closures,
    planned,
    recalled,
    sound,
)

_C = OutcomeClass


class Broken(Struct, frozen=True):
    """A line that is no record, and why."""

    line: int
    why: str


class Dropped(Struct, frozen=True):
    """So many requests are missing here: whoever wrote the file could not keep up."""

    count: int


class _Loss(Struct, forbid_unknown_fields=True):
    dropped: int


_record = msgspec.json.Decoder(Record).decode
_loss = msgspec.json.Decoder(_Loss).decode
#: Characters of an error that are repeated.
_SHOWN = 200


def read(lines: Iterable[bytes]) -> Iterator[Record | Broken | Dropped]:
    """What each line of a file of records is; empty lines are nothing."""
    for number, line in enumerate(lines, 1):
        try:
            record = _record(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            if line.strip():
                yield _other(number, line, problem)
        else:
            if record.v != VERSION:
                yield Broken(number, f"records of version {record.v} are not known")
            else:
                yield (
                    record if sound(record) else Broken(number, "a step is at a candidate that the plan does not have")
                )


def _other(number: int, line: bytes, problem: Exception) -> Broken | Dropped:
    try:
        return Dropped(_loss(line).dropped)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Broken(number, str(problem)[:_SHOWN])


# -- the same configuration --------------------------------------------------------------------------------------------


def check(graph: Graph, record: Record) -> str | None:
    """The first fact in which ``graph``, the one that decided it, decides otherwise now; ``None``: none.

    Choices, waits and attempts are all taken again. Where attempts raced, or the limits of a provider had a say, what
    these came to is taken from the record (:attr:`Record.taken`), and every decision between is checked by itself.
    """
    try:
        made = plan(graph, recalled(record), Remembered(record.seen), record.at)
    except UnreadError as unread:
        return f"the plan reads {unread.args[0]}, which nothing read then"
    short = planned(made)
    if short != record.plan:
        return _planned_otherwise(short, record.plan)
    if record.entered is not None:
        refusal = record.entered.refusal
        if not any(claim.key == refusal.key for claim in made.limits):
            return f"the plan claims nothing of {refusal.key}, which refused it then"
        made = over_limit(made, made.limits, refusal)
    if made.stop is not None:
        ends = record.outcome in (made.stop, _C.CANCELLED) or record.code == "internal"
        return None if ends else f"it ends with {made.stop}, then {record.outcome}"
    return _Check(made, record).differs()


class _Check:
    """Walks through a record's steps. ``own`` are the facts as they follow from the answers, for a walk by itself."""

    __slots__ = ("ended", "made", "own", "record", "tries")

    def __init__(self, made: Plan, record: Record) -> None:
        self.made, self.record = made, record
        self.tries: list[str] = []
        self.ended: OutcomeClass | None = None
        self.own: Facts | None = None
        if not record.taken:
            self.own = Facts(0.0, passed=made.passed, position=made.start, farthest=made.start)

    def differs(self) -> str | None:
        """The first difference, if any."""
        for number, step in enumerate(self.record.steps, 1):
            found = self._tried(step) if step.do == "try" else self._asked(step)
            if found is not None:
                return f"step {number} ({step.do} at {_name(self.made, step.at)}): {found}"
        return self._attempted()

    def _tried(self, step: Step) -> str | None:
        candidate = self.made.candidates[step.at].step
        if not isinstance(candidate, TargetStep):
            return "it is no target"
        self.tries.append(candidate.target.id)
        if self.own is None:
            return None
        if self.own.position != step.at or self.ended is not None:
            return f"the attempt follows from no answer: it should be at {_name(self.made, self.own.position)}"
        self.own.tries += 1
        return None

    def _asked(self, step: Step) -> str | None:
        facts = step.facts()
        own, outcome = self.own, step.outcome
        if own is not None:
            if outcome is _C.CONTEXT_EXCEEDED:
                failed = self.made.candidates[step.at].step
                window = failed.target.context_window if isinstance(failed, TargetStep) else None
                own.larger_than = max(own.larger_than, window or 0)
            if (found := self._facts(own, step)) is not None:
                return found
        following = _ask(self.made, step, facts)
        now = answer(following)
        if now != step.answer:
            return f"now {_answer(self.made, now)}, then {_answer(self.made, step.answer or Answer())}"
        if own is not None and step.do in ("advance", "pass_over"):
            if isinstance(following, Go):
                own.follow(following, outcome)
            elif isinstance(following, Stop) and step.do == "advance":
                self.ended = following.outcome_class
        return None

    def _facts(self, own: Facts, step: Step) -> str | None:
        """The first fact that does not follow from what was answered before."""
        pairs = (
            ("candidate", own.position, step.at),
            ("position", own.position, step.position),
            ("tries", own.tries, step.tries),
            ("passed", own.passed, step.passed),
            ("farthest", own.farthest, step.farthest),
            ("left", own.left, step.left),
            ("larger_than", own.larger_than, step.larger_than),
        )
        for name, now, then in pairs:
            if now != then:
                return f"{name} is {now}, then {then}"
        if step.do == "advance" and step.attempts != len(self.tries):
            return f"attempts is {len(self.tries)}, then {step.attempts}"
        return None

    def _attempted(self) -> str | None:
        record = self.record
        told = [attempt.target for attempt in record.attempts]
        if RACE in record.taken:
            left = list(self.tries)
            for target in told:
                if target not in left:
                    return f"an attempt at {target} follows from no answer"
                left.remove(target)
            return None
        # The one under way when the client left may have no end.
        if told != self.tries[: len(told)] or len(self.tries) > len(told) + 1:
            return f"the attempts are {_list(self.tries)}, then {_list(told)}"
        ends = [step.outcome for step in record.steps if step.do == "advance"]
        for target, one, said in zip(told, record.attempts, ends, strict=False):
            if one.outcome_class != said:
                return f"the attempt at {target} ended with {one.outcome_class}, and {said} was acted on"
        if self.ended is not None and record.outcome is not self.ended:
            return f"it ends with {self.ended}, then {record.outcome}"
        return None


def _ask(made: Plan, step: Step, facts: Facts) -> Next | None:
    facts.closed = _closed(step.closed)
    if step.do == "advance" and step.outcome is not None:
        return advance(made, step.at, step.outcome, facts, step.moment)
    ask = {"beside": beside, "instead": instead, "pass_over": pass_over}[step.do]
    return ask(made, step.at, facts, step.moment)


def _planned_otherwise(now: Planned, then: Planned | None) -> str:
    if then is None:
        return "it has a plan, and had none then"
    if now.route != then.route:
        return f"the route is {now.route}, then {then.route}"
    for i, (row, was) in enumerate(zip(now.candidates, then.candidates, strict=False), 1):
        if row != was:
            return f"candidate {i} is {_row(row)}, then {_row(was)}"
    for name in now.__struct_fields__:
        one, other = getattr(now, name), getattr(then, name)
        if one != other:
            if isinstance(one, tuple) and isinstance(other, tuple):
                mine = [x for x in one if x not in other]
                theirs = [x for x in other if x not in one]
                one, other = mine[:1] or len(one), theirs[:1] or len(other)
            return f"the plan's {name} is {one}, then {other}"
    return "the plan is another one"


def _row(row: Row) -> str:
    more = [f"closed: {row.closed}"] if row.closed else []
    more += [f"copies to {', '.join(row.mirrors)}"] if row.mirrors else []
    more += [f"beside it {row.beside + 1}"] if row.beside is not None else []
    return row.target + (f" ({'; '.join(more)})" if more else "") + (f" at {row.path}" if row.path else "")


def _answer(made: Plan, said: Answer) -> str:
    if said.go is not None:
        passed = f" past {[p + 1 for p in said.passed]}" if said.passed else ""
        return f"go on to {_name(made, said.go)}{passed}{', again' if said.again else ''}"
    if said.wait is not None:
        return f"wait {said.wait!r} s"
    return "nothing to do" if said.stop is None else f"stop with {said.stop}"


def _name(made: Plan, position: int) -> str:
    if not 0 <= position < len(made.candidates):
        return f"candidate {position + 1}"
    step = made.candidates[position].step
    return f"candidate {position + 1}, {step.target.id if isinstance(step, TargetStep) else 'reject'}"


def _list(targets: Iterable[str]) -> str:
    return ", ".join(targets) or "none"


# -- another configuration ---------------------------------------------------------------------------------------------


class Change(Struct, frozen=True):
    """What another configuration does otherwise with one request; ``kind`` is one of :data:`KINDS`."""

    kind: str
    then: str
    here: str


#: What may change, in the order in which it is told: the route, the variants of splits, how the request ends
#: without any attempt, the order in which targets would be tried, the attempts that would be made.
KINDS = ("route", "variant", "end", "order", "attempts")


def compare(graph: Graph, record: Record) -> list[Change]:
    """What ``graph`` does otherwise with the request in the state of then, each attempt ending as it did then.

    What the record does not know of a target's state is taken as usual; where it does not know how an attempt would
    end, the attempts end with that one. Raises :class:`UnreadError` where a condition reads what nothing read then.
    """
    then = record.plan or Planned()
    made = plan(graph, recalled(record), Remembered(record.seen), record.at)
    changes = []
    if (route := made.route.name if made.route else None) != then.route:
        changes.append(Change("route", then.route or "none", route or "none"))
    for split in sorted({name for name, _ in (*made.variants, *then.variants)}):
        one, other = dict(then.variants).get(split), dict(made.variants).get(split)
        if one != other:
            changes.append(Change("variant", f"{split}: {one or 'none'}", f"{split}: {other or 'none'}"))
    if made.stop is not then.stop:
        changes.append(Change("end", _end(then.stop), _end(made.stop)))
    if made.attempts != (order := _order(then)):
        changes.append(Change("order", _list(order), _list(made.attempts)))
    if not record.taken and record.entered is None and made.stop is None and then.stop is None:
        told, now = [attempt.target for attempt in record.attempts], _attempts(made, record, then)
        if told != now[: len(told)] or (len(now) > len(told) and record.outcome is not _C.CANCELLED):
            changes.append(Change("attempts", _list(told), _list(now)))
    return changes


def _end(stop: OutcomeClass | None) -> str:
    return "goes on to a target" if stop is None else str(stop.value)


def _order(then: Planned) -> tuple[str, ...]:
    return tuple(
        row.target
        for position, row in enumerate(then.candidates)
        if row.target != "reject" and (position == then.start or (position > then.start and row.closed is None))
    )


def _attempts(made: Plan, record: Record, then: Planned) -> list[str]:
    """The targets that would be attempted."""
    ends: dict[str, list[OutcomeClass]] = {}
    for attempt in record.attempts:
        ends.setdefault(attempt.target, []).append(attempt.outcome_class)
    unable = {then.candidates[step.at].target for step in record.steps if step.do == "pass_over"}
    asked = [step for step in record.steps if step.do == "advance"]
    total = made.route.timeouts.total if made.route is not None else 0.0
    facts = Facts(total, passed=made.passed, position=made.start, farthest=made.start)
    position, out, number = made.start, [], 0
    while isinstance(step := made.candidates[position].step, TargetStep):
        target = step.target.id
        following: Next
        outcome: OutcomeClass | None = None
        if target in unable:
            following = pass_over(made, position, facts, record.at)
        else:
            out.append(target)
            left = ends.get(target)
            if not left or (outcome := left.pop(0)) is _C.SERVED:
                break
            facts.tries += 1
            facts.attempts = len(out)
            given = (
                asked[number] if number < len(asked) else Step("advance", position, moment=record.at, remaining=total)
            )
            number += 1
            facts.remaining, facts.retry_after = given.remaining, given.retry_after
            facts.retry_allowed, facts.other_account = given.retry_allowed, given.other_account
            facts.closed = _closed(given.closed)
            if outcome is _C.CONTEXT_EXCEEDED:
                facts.larger_than = max(facts.larger_than, step.target.context_window or 0)
            following = advance(made, position, outcome, facts, given.moment)
        if isinstance(following, Stop):
            break
        if isinstance(following, Go):
            position = facts.follow(following, outcome)
    return out


def _closed(rows: list[Shut]) -> Closed:
    """Who was closed at a moment."""
    known = closures(rows)
    if known is None:
        return nobody_closed
    return lambda use, now: known.get(use.circuit) or known.get(use.target.id)
