"""What replaying a file of records has come to, counted while it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from engine.graph import Graph
from engine.planner.record import PLACES, RACE, Record, UnreadError

from .replay import KINDS, Broken, Change, Dropped, check, compare

#: Differences and broken lines that are listed; all are counted.
LISTED = 20
#: Distinct changes that are counted apart.
DISTINCT = 1_000


class Difference(Struct, frozen=True):
    """A decision that its own configuration does not take again: which request, and the first fact that differs."""

    request_id: str
    fact: str


class Tally(Struct):
    """How often a change was seen, and by which request first."""

    count: int
    example: str


class Replayed:
    """Takes records one by one: by the graph that decided them where that is given, else compared with ``other``."""

    def __init__(self, graphs: Iterable[Graph]) -> None:
        all_of_them = list(graphs)
        self.other = all_of_them[0]
        self._graphs: Mapping[str, Graph] = {graph.fingerprint: graph for graph in all_of_them}
        self.records = self.identical = self.differing = self.unchanged = self.changed = 0
        self.withheld = self.unplanned = self.dropped = self.broken = 0
        self.taken = {RACE: 0, PLACES: 0}
        self.differences: list[Difference] = []
        self.lines: list[Broken] = []
        self.kinds: Counter[str] = Counter()
        self.changes: dict[Change, Tally] = {}
        self.unread: Counter[str] = Counter()
        self.fingerprints: Counter[str] = Counter()

    def take(self, found: Record | Broken | Dropped) -> None:
        """One line of the file."""
        if isinstance(found, Record):
            self._record(found)
        elif isinstance(found, Dropped):
            self.dropped += found.count
        else:
            self.broken += 1
            if len(self.lines) < LISTED:
                self.lines.append(found)

    @property
    def checked(self) -> int:
        """The records whose own configuration was given, and which were replayed by it."""
        return self.identical + self.differing

    @property
    def compared(self) -> int:
        """The records that were replayed by another configuration."""
        return self.unchanged + self.changed

    @property
    def holds(self) -> bool:
        """Whether every line is a record, and every decision that was checked is the same."""
        return not self.differing and not self.broken

    def _record(self, record: Record) -> None:
        self.records += 1
        self.fingerprints[record.graph] += 1
        if record.plan is None:
            self.unplanned += 1
        elif record.withheld:
            self.withheld += 1
        elif (graph := self._graphs.get(record.graph)) is not None:
            for what in record.taken:
                self.taken[what] = self.taken.get(what, 0) + 1
            fact = check(graph, record)
            if fact is None:
                self.identical += 1
                return
            self.differing += 1
            if len(self.differences) < LISTED:
                self.differences.append(Difference(record.id, fact))
        else:
            self._compare(record)

    def _compare(self, record: Record) -> None:
        try:
            changes = compare(self.other, record)
        except UnreadError as unread:
            self.unread[unread.args[0]] += 1
            return
        if not changes:
            self.unchanged += 1
            return
        self.changed += 1
        for change in changes:
            self.kinds[change.kind] += 1
            tally = self.changes.get(change)
            if tally is not None:
                tally.count += 1
            elif len(self.changes) < DISTINCT:
                self.changes[change] = Tally(1, record.id)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "records": self.records,
            "graphs": [{"graph": graph, "records": count} for graph, count in self.fingerprints.most_common()],
            "checked": self.checked,
            "identical": self.identical,
            "differing": self.differing,
            "differences": [{"request_id": one.request_id, "fact": one.fact} for one in self.differences],
            "compared": self.compared,
            "unchanged": self.unchanged,
            "changed": self.changed,
            "kinds": {kind: self.kinds[kind] for kind in KINDS if self.kinds[kind]},
            "changes": [
                {"kind": c.kind, "then": c.then, "here": c.here, "count": t.count, "example": t.example}
                for c, t in self.ordered()
            ],
            "not_replayed": {"withheld": self.withheld, "never_planned": self.unplanned, "unread": dict(self.unread)},
            "taken_from_the_record": dict(self.taken),
            "dropped": self.dropped,
            "broken": self.broken,
            "broken_lines": [{"line": one.line, "why": one.why} for one in self.lines],
        }

    def ordered(self) -> list[tuple[Change, Tally]]:
        """The changes by kind, the most frequent first."""
        rows = self.changes.items()
        return sorted(rows, key=lambda row: (KINDS.index(row[0].kind), -row[1].count, row[0].then, row[0].here))
