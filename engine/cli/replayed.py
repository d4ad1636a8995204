"""What a replay came to, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.planner.record import PLACES, RACE

from .terminal import paint, plural

if TYPE_CHECKING:
    from engine.proof.replayed import Replayed

#: Changes of one kind that are shown.
_SHOWN = 5
_KINDS = {
    "route": "another route",
    "variant": "another variant",
    "end": "another end without attempts",
    "order": "another order of targets",
    "attempts": "other attempts",
}


def replayed_text(replayed: Replayed, log: str, color: bool) -> str:
    """Counts, differences, changes with an example each, and what could not be replayed."""
    lines = [f"{plural(replayed.records, 'decision')} in {log}"]
    if replayed.checked:
        word = paint("identical", "green", color) if not replayed.differing else "identical"
        lines.append(f"  same configuration: {replayed.identical} {word}, {_differing(replayed.differing, color)}")
    if replayed.compared or replayed.unread:
        lines.append(
            f"  another configuration (graph {replayed.other.fingerprint}): {replayed.unchanged} unchanged,"
            f" {replayed.changed} changed"
        )
    lines += [f"  {line}" for line in _caveats(replayed)]
    if replayed.differences:
        lines += ["", paint("differences", "bold", color) + "  (the first fact of each)"]
        lines += [f"  {one.request_id}  {one.fact}" for one in replayed.differences]
        if replayed.differing > len(replayed.differences):
            lines.append(f"  and {replayed.differing - len(replayed.differences)} more")
    if replayed.lines:
        lines += ["", paint("broken lines", "bold", color)]
        lines += [f"  {log}:{one.line}: {one.why}" for one in replayed.lines]
        if replayed.broken > len(replayed.lines):
            lines.append(f"  and {replayed.broken - len(replayed.lines)} more")
    for kind, word in _KINDS.items():
        rows = [row for row in replayed.ordered() if row[0].kind == kind]
        if not rows:
            continue
        lines += ["", f"{paint(word, 'bold', color)}  ({replayed.kinds[kind]})"]
        for change, tally in rows[:_SHOWN]:
            lines.append(f"  {tally.count} x  {change.then}  ->  {change.here}  (for example {tally.example})")
        if len(rows) > _SHOWN:
            lines.append(f"  and {plural(len(rows) - _SHOWN, 'other change')}; --format json lists them")
    return "\n".join(lines)


def _differing(count: int, color: bool) -> str:
    return paint(f"{count} different", "red", color) if count else "0 different"


def _caveats(replayed: Replayed) -> list[str]:
    """What is not as exact as it may look."""
    lines = []
    if count := replayed.taken.get(RACE, 0):
        lines.append(f"{count} raced attempts: each decision was checked; who was faster is taken from the record")
    if count := replayed.taken.get(PLACES, 0):
        lines.append(f"{count} asked for room under limits: each decision was checked; who had some is taken from it")
    if replayed.withheld:
        lines.append(f"{replayed.withheld} not replayed: they went by values that may not be written down")
    if replayed.unplanned:
        lines.append(f"{replayed.unplanned} not replayed: they ended before there was a plan")
    lines += [
        f"{count} not compared: this configuration reads {name}, which nothing read then"
        for name, count in replayed.unread.most_common()
    ]
    if replayed.dropped:
        lines.append(f"{replayed.dropped} missing: they came faster than they could be written")
    if replayed.broken:
        lines.append(f"{plural(replayed.broken, 'line')} that {'is' if replayed.broken == 1 else 'are'} no record")
    return lines
