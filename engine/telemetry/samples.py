"""From facts to samples: each metric with its label values and numbers, whatever notation they are written in then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.exchange import OutcomeClass

from . import definitions as d
from .definitions import Definition
from .facts import Facts
from .live import live
from .meter import Attempts, Histogram, Requests

Value = float | Histogram
Row = tuple[tuple[str, ...], Value]

#: What OpenTelemetry calls the operations that have a name there; the others keep ours.
_OPERATIONS: Mapping[str, str] = {
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
}
_SERVED = OutcomeClass.SERVED.value


def samples(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    """Every metric of one process, those without any sample left out."""
    parts = (_requests, _attempts, _moves, _process, _config, _state)
    for definition, rows in (pair for part in parts for pair in part(facts)):
        if rows:
            yield definition, rows


def operation(surface: str) -> str:
    """The value of ``gen_ai_operation_name`` for requests of this surface."""
    return _OPERATIONS.get(surface, surface)


def error_type(outcome: str) -> str:
    """The value of ``error_type``: the outcome class, empty where there was no error."""
    return "" if outcome == _SERVED else outcome


def _requests(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    rows = facts.requests
    yield d.REQUESTS, [((r.route, r.target, r.outcome, str(r.status), r.surface), r.count) for r in rows]

    def duration(r: Requests) -> tuple[str, ...]:
        return operation(r.surface), r.route, error_type(r.outcome)

    yield d.DURATION, _merged((duration(r), r.duration) for r in rows)
    yield d.FIRST_TOKEN, _merged(((operation(r.surface), r.route, r.target), r.first) for r in rows)
    yield d.ADDED_LATENCY, _merged(((r.surface, r.outcome), r.added) for r in rows)


def _attempts(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    rows = facts.attempts
    yield d.ATTEMPTS, _added(((a.target, a.outcome), a.count) for a in rows)
    yield d.OPERATION, _merged(((*_gen_ai(a), error_type(a.outcome)), a.duration) for a in rows)
    yield d.FIRST_CHUNK, _merged((_gen_ai(a), a.first) for a in rows)
    usage = [((*_gen_ai(a), kind), used) for a in rows for kind, used in (("input", a.input), ("output", a.output))]
    yield d.TOKEN_USAGE, _merged(usage)
    yield d.TOKEN_COUNT, _added(((a.target, kind), count) for a in rows for kind, count in _tokens(a))
    yield d.UNREPORTED, _added(((a.target,), a.unreported) for a in rows)


def _gen_ai(row: Attempts) -> tuple[str, ...]:
    provider, _, model = row.target.partition("/")
    return operation(row.surface), provider, model


def _tokens(row: Attempts) -> Iterator[tuple[str, float]]:
    yield "input", row.input.sum
    yield "output", row.output.sum
    yield "cached", row.cached
    yield "cache_write", row.cache_write
    yield "reasoning", row.reasoning


def _moves(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    for kind, definition in (("retry", d.RETRIES), ("failover", d.FAILOVERS), ("hedge", d.HEDGES)):
        rows = [move for move in facts.moves if move.kind == kind]
        yield definition, [((move.route, move.target, move.outcome), move.count) for move in rows]
    served = [move for move in facts.moves if move.kind == "fallback"]
    yield d.FALLBACKS, [((move.route, move.target), move.count) for move in served]


def _process(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    yield d.REFUSED, [((code,), count) for code, count in facts.refused.items()]
    yield d.UNDER_WAY, [((), facts.under_way)]
    yield d.BUSY, [((target,), count) for target, count in facts.busy.items()]
    yield d.HEALTH, [((provider,), count) for provider, count in facts.failures.items()]
    yield d.LOOP_DELAY, [((), facts.loop_delay)]
    yield d.BUILD, [((facts.version,), 1)]
    yield d.SERIES, [((), facts.series)]
    yield d.OVERFLOWN, [((), facts.overflown)]


def _config(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    yield d.RELOADS, [((result,), count) for result, count in facts.reloads.items()]
    yield d.CONFIG, [((facts.fingerprint, facts.git_commit), 1)]
    yield d.LOADED, [((), facts.loaded_at)]
    yield d.PENDING, [((), int(facts.pending))]
    yield d.ON_LAST_GOOD, [((), int(facts.on_last_good))]


def _state(facts: Facts) -> Iterator[tuple[Definition, list[Row]]]:
    for definition, numbers in live(facts.state, facts.at):
        yield definition, list(numbers)


def _merged(rows: Iterable[tuple[tuple[str, ...], Histogram]]) -> list[Row]:
    """One histogram for each label set, those without any observation left out."""
    out: dict[tuple[str, ...], Histogram] = {}
    for labels, one in rows:
        if not any(one.counts):
            continue
        found = out.get(labels)
        counts = one.counts if found is None else [a + b for a, b in zip(found.counts, one.counts, strict=True)]
        out[labels] = Histogram(counts, one.sum + (0.0 if found is None else found.sum))
    return list(out.items())


def _added(rows: Iterable[tuple[tuple[str, ...], float]]) -> list[Row]:
    """One number for each label set."""
    out: dict[tuple[str, ...], float] = {}
    for labels, number in rows:
        out[labels] = out.get(labels, 0) + number
    return list(out.items())
