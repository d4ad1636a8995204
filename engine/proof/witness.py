"""From what a solver proposes to a request and a moment in which the planner really does it, or to nothing.

Every answer was driven: the request read as the server reads it, the faults and the state played as a test plays them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from engine.exchange import OutcomeClass
from engine.graph import Graph, TargetStep
from engine.planner import Plan, Request, plan
from engine.schema.proof import TestDoc, TestRequest
from engine.state import State

from .drive import Course
from .examples import BEGIN, Asked, play
from .solver import Values
from .ways import LOT, Way
from .world import World

#: How many request ids, or values of keys, are tried so that the lots of splits fall as they must.
_MOST_LOTS = 3_000
_FLAGS = ("stream", "tools", "vision", "json_schema")
_C = OutcomeClass
#: In this order: what says most of how it comes about, and is retried least.
_FAULTS = (
    _C.RATE_LIMITED, _C.OVERLOADED, _C.SERVER_ERROR, _C.CONNECTION, _C.TIMEOUT, _C.UNAUTHORIZED, _C.QUOTA_EXHAUSTED,
    _C.MODEL_GONE, _C.CONTEXT_EXCEEDED, _C.GARBLED, _C.CONTENT_REFUSED, _C.INVALID_REQUEST,
)  # fmt: skip

Wanted = Callable[[Request], bool]
"""Whether the request is one that the question is about, as the planner will see it."""


class Example(Struct, frozen=True):
    """A request that really comes to ``target``, and how; ``document`` is the test that shows it when it is played."""

    target: str
    route: str
    copy: bool
    document: Mapping[str, Any]
    course: Course

    @property
    def request(self) -> Mapping[str, Any]:
        """The request, as a test writes it."""
        asked: Mapping[str, Any] = self.document["request"]
        return asked


def realise(graph: Graph, way: Way, values: Values, wanted: Wanted, asked: Asked, name: str) -> Example | None:
    """A request with these values that really comes this way in some moment, if one is found."""
    for fields in _requests(graph, way, values, wanted, asked, name):
        for moment in _moments(graph, way, fields, asked, name):
            document = {"version": 1, "kind": "test", "name": name, "request": fields, **moment}
            course = _played(graph, {**document, "expect": {"route": way.route.name}}, asked)
            if course is None or way.step.target.id not in (course.mirrors if way.copy else course.attempts):
                continue
            expect: dict[str, Any] = {"attempts": list(course.attempts), "outcome": course.outcome.value}
            if course.mirrors:
                expect["mirrors"] = list(course.mirrors)
            document["expect"] = expect
            if _played(graph, document, asked) is not None:
                return Example(way.step.target.id, way.route.name, way.copy, document, course)
    return None


def fields_of(values: Values) -> dict[str, Any] | None:
    """The request of a test that has these values; ``None`` where a test cannot write it."""
    fields: dict[str, Any] = {"model": values.get("model")}
    for attribute, value in sorted(values.items()):
        if attribute.startswith(LOT) or value is None or (attribute in _FLAGS and not value):
            continue
        plain = float(value) if isinstance(value, Decimal) else value
        head, _, rest = attribute.partition(".")
        if rest and head in ("metadata", "header"):
            fields.setdefault("metadata" if head == "metadata" else "headers", {})[rest] = plain
        elif attribute != "team" or "key" not in values or values["key"] is None:
            fields[attribute] = plain
    if fields.get("surface") == "chat":
        del fields["surface"]
    if not fields.get("input_tokens"):
        fields.pop("input_tokens", None)
    return fields


def _requests(
    graph: Graph, way: Way, values: Values, wanted: Wanted, asked: Asked, name: str
) -> Iterator[dict[str, Any]]:
    """The request in one form or another, until the lots of splits and mirrors fall as they must; at most one."""
    fields = fields_of(values)
    request = None if fields is None else _asked(_without_fixed(graph, fields), asked)
    if fields is None or request is None:
        return
    fields = _without_fixed(graph, fields)
    view = World(State())
    for number in range(_MOST_LOTS):
        tried = dict(fields)
        if number % 2 and "user" in fields:
            tried["user"] = f"{fields['user']}{number}"
        if number:
            tried["request_id"] = f"r{number}"
        if "user" in fields:
            request.user = tried["user"]
        request.request_id = tried.get("request_id") or _own_id(name)
        if wanted(request) and _comes(plan(graph, request, view, BEGIN), way):
            yield tried
            return


def _own_id(name: str) -> str:
    """The id that playing a test gives to its one request."""
    return f"{name} 1.1"


def _without_fixed(graph: Graph, fields: dict[str, Any]) -> dict[str, Any]:
    """Without the metadata that the key brings by itself."""
    key = next((one for one in graph.keys.values() if one.name == fields.get("key")), None)
    if key is None or "metadata" not in fields:
        return fields
    free = {name: value for name, value in fields["metadata"].items() if name not in key.metadata}
    rest = {name: value for name, value in fields.items() if name != "metadata"}
    return {**rest, "metadata": free} if free else rest


def _asked(fields: Mapping[str, Any], asked: Asked) -> Request | None:
    try:
        return asked(TestRequest.model_validate(fields))
    except (ValidationError, ValueError):
        return None


def _comes(made: Plan, way: Way) -> bool:
    if way.copy:
        return any(way.step in candidate.mirrors for candidate in made.candidates)
    return any(candidate.step is way.step for candidate in made.candidates)


def _moments(graph: Graph, way: Way, fields: Mapping[str, Any], asked: Asked, name: str) -> Iterator[dict[str, Any]]:
    """Faults and states that may bring the request this way: none, one fault everywhere before, everybody else shut."""
    yield {}
    request = _asked(fields, asked)
    if request is None:
        return
    request.request_id = request.request_id or _own_id(name)
    made = plan(graph, request, World(State()), BEGIN)
    goals = {way.step.target.id} if not way.copy else set()
    before: list[str] = []
    for candidate in made.candidates:
        step = candidate.step
        if step is way.step or way.step in candidate.mirrors:
            goals.add(step.target.id if isinstance(step, TargetStep) else "")
            break
        if isinstance(step, TargetStep) and step.target.id not in before:
            before.append(step.target.id)
    others = [target for target in before if target not in goals]
    for outcome in _FAULTS if others else ():
        yield {"faults": [{"target": target, "outcome": outcome.value} for target in others]}
    everybody = sorted({target.id for target in way.route.targets} - goals)
    if others:
        yield {"state": {"open": others}}
    if everybody:
        yield {"state": {"open": everybody}}
        providers = {graph.targets[target].provider.name for target in everybody}
        kept = {graph.targets[target].provider.name for target in goals if target}
        if gone := sorted(providers - kept):
            yield {"state": {"open": everybody, "no_credential": gone}}


def _played(graph: Graph, document: Mapping[str, Any], asked: Asked) -> Course | None:
    """How the test goes; ``None`` where it does not hold, or cannot be written."""
    try:
        example = play(graph, TestDoc.model_validate(document), asked)
    except (ValidationError, ValueError):
        return None
    return example.steps[0].course if example.holds else None


def in_words(fields: Mapping[str, Any]) -> str:
    """A request of a test in one line for people: ``model chat, metadata.tier free, with tools``."""
    words = [f"model {fields.get('model', '')}"]
    for name, value in fields.items():
        if name in ("metadata", "headers"):
            words += [f"{'header' if name == 'headers' else name}.{key} {_plain(one)}" for key, one in value.items()]
        elif name in _FLAGS:
            words.append(
                {"stream": "streamed", "tools": "with tools", "vision": "with images"}.get(name, "with a schema")
            )
        elif name not in ("model", "request_id"):
            words.append(f"{name.replace('_', ' ')} {_plain(value)}")
    return ", ".join(words)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def explain_line(fields: Mapping[str, Any]) -> str:
    """The ``interlock explain`` command for the same request."""
    words = ["interlock", "explain"]
    for name, value in fields.items():
        option = f"--{name.replace('_', '-')}"
        if name in ("metadata", "headers"):
            option = "--header" if name == "headers" else option
            for key, one in value.items():
                words += [option, f"{key}={_plain(one)}"]
        elif name in _FLAGS:
            words.append(option)
        elif name != "team":
            words += [option, _plain(value)]
    return shlex.join(words)
