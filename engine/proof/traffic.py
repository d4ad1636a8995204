"""Recorded requests under two configurations: how many go elsewhere, and what that costs.

Every target counts as healthy, every secret as set, and nothing else as under way. A record need not say more than its
``model``; what it does not say is absent, as it is of a request. Without a request id splits and balances draw by the
record's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from engine.graph import Graph, TargetStep
from engine.planner import Plan, Request, plan
from engine.state import State

from .behaviour import REFERENCE_INPUT, REFERENCE_OUTPUT
from .drive import cost
from .kinds import SURFACES
from .world import World

_FLAGS = ("stream", "tools", "vision", "json_schema")
_SURFACE = {row[0]: row for row in SURFACES}


class Tokens(Struct):
    """Tokens of a record's ``usage``."""

    input: int | None = None
    output: int | None = None


class Record(Struct):
    """One recorded request: fields of the access log, and attributes of requests. Others are ignored."""

    model: str
    request_id: str = ""
    surface: str = "chat"
    stream: bool = False
    user: str | None = None
    key: str | None = None
    team: str | None = None
    metadata: dict[str, str | int | float | bool | None] = {}
    headers: dict[str, str] = {}
    input_tokens: int | None = None
    output_tokens: int | None = None
    max_tokens: int | None = None
    tools: bool = False
    vision: bool = False
    json_schema: bool = False
    usage: Tokens | None = None

    def request(self, number: int) -> Request:
        """The attributes that routing goes by."""
        surface, kind, front, needed = _SURFACE.get(self.surface, (self.surface, "chat", "openai-chat", "chat"))
        return Request(
            model=self.model,
            surface=surface,
            stream=self.stream,
            user=self.user,
            key=self.key,
            metadata={name: value for name, value in self.metadata.items() if value is not None},
            headers={name.lower(): value for name, value in self.headers.items()},
            team=self.team,
            input_tokens=self.tokens[0],
            max_tokens=self.max_tokens,
            tools=self.tools,
            vision=self.vision,
            json_schema=self.json_schema,
            request_id=self.request_id or f"record {number}",
            needs=frozenset({needed, *(flag for flag in _FLAGS if getattr(self, flag))}),
            wire=frozenset({kind}),
            kind=kind,
            front=front,
        )

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens in and out: measured where that is known, estimated, or those of the reference request."""
        usage = self.usage or Tokens()
        given = self.input_tokens if self.input_tokens is not None else usage.input
        answer = self.output_tokens if self.output_tokens is not None else usage.output
        return (
            REFERENCE_INPUT if given is None else given,
            REFERENCE_OUTPUT if answer is None else answer,
        )


class Traffic(Struct):
    """What becomes of recorded requests. ``usd`` are sums over the requests that both configurations can price."""

    requests: int = 0
    rerouted: int = 0
    reassigned: int = 0
    moved: int = 0
    lost: int = 0
    gained: int = 0
    priced: int = 0
    usd_before: Decimal = Decimal()
    usd_after: Decimal = Decimal()
    ways: dict[tuple[str, str], int] = {}
    """(first target before, after) -> requests, of those that differ; ``-`` is nobody."""


class BadRecordError(ValueError):
    """A line that is no record; the message names it."""


def read(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of JSON lines. Lines of the access log that no route had a part in are passed over.

    Raises :class:`BadRecordError` for a line that is not JSON, or whose fields are of other types.
    """
    decode = msgspec.json.Decoder(Record).decode
    loose = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            try:
                row: Mapping[str, Any] = loose(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise BadRecordError(f"line {number} is not a JSON object: {error}") from error
            if "model" in row or not ("path" in row or "dropped_lines" in row):
                raise BadRecordError(f"line {number} is no record of a request: {error}") from error


def weigh(base: Graph, head: Graph, records: Iterable[Record]) -> Traffic:
    """What becomes of the records from ``base`` to ``head``."""
    worlds = [(graph, _world(graph)) for graph in (base, head)]
    seen = Traffic(ways={})
    for number, record in enumerate(records, 1):
        request = record.request(number)
        old, new = (plan(graph, request, world, 0.0) for graph, world in worlds)
        seen.requests += 1
        seen.rerouted += _route(old) != _route(new)
        seen.reassigned += _route(old) == _route(new) and old.variants != new.variants
        before, after = _first(old), _first(new)
        names = before.target.id if before else "-", after.target.id if after else "-"
        if names[0] != names[1]:
            seen.moved += 1
            seen.lost += after is None
            seen.gained += before is None
            seen.ways[names] = seen.ways.get(names, 0) + 1
        if before is None or after is None:
            continue
        answer = record.tokens[1]
        costs = cost(before.target, request, answer), cost(after.target, request, answer)
        if costs[0] is not None and costs[1] is not None:
            seen.priced += 1
            seen.usd_before += costs[0]
            seen.usd_after += costs[1]
    return seen


def _world(graph: Graph) -> World:
    state = State()
    state.retain(graph)
    return World(state)


def _route(made: Plan) -> str | None:
    return made.route.name if made.route else None


def _first(made: Plan) -> TargetStep | None:
    if made.stop is not None or not made.candidates:
        return None
    step = made.candidates[made.start].step
    return step if isinstance(step, TargetStep) else None
