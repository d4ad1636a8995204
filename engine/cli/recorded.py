"""A past request from its record: why it went where it went, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from engine.graph import Graph
from engine.planner import Plan, plan
from engine.planner.record import Answer, Planned, Recalled, Record, Remembered, UnreadError, recalled
from engine.proof.replay import read

from .explained import explained_dict, explained_text
from .findings import compile_graph
from .options import is_config
from .replay import named, opened
from .terminal import Problem, emit, paint, wants_color


def explain_past(
    log: Path | None,
    request_id: str | None,
    config: Path | None,
    overlays: Sequence[Path],
    format_: str,
    given: Sequence[str],
) -> int:
    """Print the explanation. Raises :class:`Problem` where the request is not in the file."""
    if log is None or request_id is None:
        raise Problem("a past request is named by --record LOG and --id REQUEST_ID", "give both of them")
    if given:
        option = "--" + {"file": "request", "headers": "header"}.get(given[0], given[0]).replace("_", "-")
        raise Problem(f"{option} describes a request, and --record has it already", f"leave out {option}")
    record, count = find(log, request_id)
    folder = config or Path()
    graph = None if config is None and not is_config(folder) else compile_graph(folder, overlays)
    again = None if graph is None or graph.fingerprint != record.graph else _again(graph, record)
    if format_ == "json":
        shown = None if again is None or graph is None else explained_dict(graph, again[0], again[1])
        past = {"record": msgspec.to_builtins(record), "explained": shown, "attempts": happened(record)}
        emit(json.dumps(past, indent=2, ensure_ascii=False))
        return 0
    emit(_text(record, count, graph, again, wants_color(sys.stdout)))
    return 0


def find(log: Path, request_id: str) -> tuple[Record, int]:
    """The latest record of this id, and how many there are. Raises :class:`Problem` if there is none."""
    needle = msgspec.json.encode(request_id)
    with opened(log) as file:
        found = [
            record
            for record in read(line for line in file if needle in line)
            if isinstance(record, Record) and record.id == request_id
        ]
    if not found:
        raise Problem(
            f'there is no record of request "{request_id}" in {named(log)}',
            "older records are set aside as LOG.1, LOG.2, ...; with telemetry.records.sample not every request has one",
        )
    return found[-1], len(found)


def _again(graph: Graph, record: Record) -> tuple[Recalled, Plan] | None:
    """The request and its plan, as they were; ``None`` where the record cannot say."""
    request = recalled(record)
    try:
        made = plan(graph, request, Remembered(record.seen), record.at)
    except UnreadError:
        return None
    request.show = True
    return request, made


def happened(record: Record) -> list[dict[str, Any]]:
    """Each attempt, what it came to, and what was decided then."""
    asked = [step for step in record.steps if step.do == "advance"]
    made = record.plan or Planned()
    rows = []
    for attempt in record.attempts:
        answered = None
        for step in asked:
            if step.outcome is attempt.outcome_class and made.candidates[step.at].target == attempt.target:
                asked.remove(step)
                answered = step.answer
                break
        row = {
            "target": attempt.target,
            "outcome": attempt.outcome_class.value,
            "status": attempt.status,
            "began": round(attempt.started, 6),
            "took": round(attempt.duration, 6),
            "detail": attempt.detail,
            "beside_another": attempt.hedged,
            "then": None if answered is None else _words(made, answered),
        }
        rows.append(row)
    return rows


def _text(record: Record, count: int, graph: Graph | None, again: tuple[Recalled, Plan] | None, color: bool) -> str:
    at = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    commit = f", commit {record.commit}" if record.commit else ""
    head = [paint(f"request {record.id}", "bold", color) + f"  {at}, decided by graph {record.graph}{commit}"]
    if count > 1:
        head.append(f"  the latest of {count} records of this id")
    code = f" ({record.code})" if record.code else ""
    head.append(f"  ended after {_time(record.duration)}: {record.outcome.value}, {record.status}{code}")
    if record.withheld:
        head.append(f"  decided also by values that may not be written down: {', '.join(record.withheld)}")
    blocks = ["\n".join(head)]
    if again is not None and graph is not None:
        blocks.append(explained_text(graph, again[0], again[1], color))
    else:
        blocks += _by_record(record, graph, color)
    blocks += _course(record, color)
    return "\n\n".join(blocks)


def _by_record(record: Record, graph: Graph | None, color: bool) -> list[str]:
    """The plan in short, where the configuration that made it is not at hand."""
    made = record.plan
    if made is None:
        return ["it ended before there was a plan"]
    of = "no CONFIG was given" if graph is None else f"CONFIG is graph {graph.fingerprint}"
    first = f'route "{made.route}"' if made.route is not None else "no route answered"
    lines = [f"{paint(first, 'bold', color)}  (why is not told: {of})"]
    lines += [f"  split {split}: {variant}" for split, variant in made.variants]
    if made.stop is not None:
        lines.append(f"  ended without any attempt: {made.stop.value}: {made.message}")
    blocks = ["\n".join(lines)]
    if made.candidates:
        rows = [paint("candidates", "bold", color)]
        for number, row in enumerate(made.candidates, 1):
            closed = f"  (to be passed over: {row.closed})" if row.closed else ""
            begin = "  (to begin with)" if number - 1 == made.start and number > 1 else ""
            rows.append(f"  {number}. {row.target}{closed}{begin}")
        blocks.append("\n".join(rows))
    if made.skips:
        width = max(len(skip.target) for skip in made.skips)
        rows = [f"  {skip.target:{width}}  {skip.reason}  {skip.detail}".rstrip() for skip in made.skips]
        blocks.append("\n".join([paint("not tried", "bold", color), *rows]))
    return blocks


def _course(record: Record, color: bool) -> list[str]:
    """What happened, attempt by attempt."""
    lines = []
    for number, row in enumerate(happened(record), 1):
        status = "" if row["status"] is None else f" {row['status']}"
        detail = f" ({row['detail']})" if row["detail"] else ""
        beside = ", beside another" if row["beside_another"] else ""
        row_text = f"{row['target']}  {row['outcome']}{status}{detail}"
        lines.append(f"  {number}. {row_text} after {_time(row['took'])}{beside}")
        if row["then"]:
            lines.append(f"     so: {row['then']}")
    made = record.plan or Planned()
    for step in record.steps:
        said = step.answer
        if step.do in ("try", "advance") or said is None or (said.go is None and said.stop is None):
            continue
        why = {
            "beside": "was slow",
            "instead": "had no room under its limits",
            "pass_over": "could not take the request",
        }[step.do]
        goal = _words(made, said) if step.do != "beside" or said.go is None else _begun(made, said.go)
        lines.append(f"  {made.candidates[step.at].target} {why}: {goal}")
    if record.entered is not None:
        lines.append(f"  refused by a limit: {record.entered.key}")
    return ["\n".join([paint("what happened", "bold", color), *lines])] if lines else []


def _words(made: Planned, said: Answer) -> str:
    if said.go is not None:
        again = ", once more" if said.again else ""
        passed = "".join(f"; {skip.target} passed over ({skip.reason}: {skip.detail})" for skip in said.skips)
        return f"on to candidate {said.go + 1}, {made.candidates[said.go].target}{again}{passed}"
    if said.wait is not None:
        return f"the same again after {_time(said.wait)}"
    return "nothing" if said.stop is None else f"the request ends with {said.stop.value}"


def _begun(made: Planned, position: int) -> str:
    return f"candidate {position + 1}, {made.candidates[position].target}, was begun beside it"


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
