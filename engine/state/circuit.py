"""The circuit breaker of one use of a target: closed, open, half open.

Closed, it counts. It opens by the share of failures (or of slow attempts) among enough attempts in a rolling window, or
by failures in a row. Open, it has an absolute end. Half open, a few attempts at a time find out: one that is served
closes it at once, one that fails opens it for twice as long.
"""

from __future__ import annotations

from typing import Any

from engine.graph import Breaker
from engine.units import format_duration

from .gate import Gate

#: A row of failures that is less likely than this, by the failures before it, is an outage and no accident.
UNLIKELY = 1e-6
#: How many times ``consecutive`` or ``min_requests`` failures count whatever is under way.
HASTE = 4
#: Parts of the window that are forgotten at once.
PARTS = 10


class Window:
    """Attempts, failures and slow ones of the last ``seconds``, to a tenth of it."""

    __slots__ = ("_part", "_rows", "_turn", "counts")

    def __init__(self, seconds: float) -> None:
        self._part = seconds / PARTS
        self._rows: list[list[int]] = []
        self._turn = 0.0
        """When the part that is counted into ends."""
        self.counts = [0, 0, 0]
        """Attempts, failures and slow ones of the part that is counted into."""

    def at(self, moment: float) -> list[int]:
        """The counts to add to at this moment."""
        if moment >= self._turn:
            self._roll(moment)
        return self.counts

    def _roll(self, moment: float) -> None:
        # Parts without a count are kept too, as far as they are within the window.
        gone = int((moment - self._turn) / self._part) if self._turn else PARTS
        if gone >= PARTS:
            self._rows.clear()
            self._turn = moment
            gone = 0
        for _ in range(gone + 1):
            self._rows.append([0, 0, 0])
            self._turn += self._part
        del self._rows[:-PARTS]
        self.counts = self._rows[-1]

    def sums(self, moment: float) -> tuple[int, int, int]:
        """Attempts, failures and slow ones."""
        self.at(moment)
        rows = self._rows
        return sum([row[0] for row in rows]), sum([row[1] for row in rows]), sum([row[2] for row in rows])

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._turn = 0.0


class Circuit(Gate):
    """One circuit. It belongs to one event loop and has no clock: every moment is an argument, in Unix seconds."""

    __slots__ = ("_called", "_early", "_late", "_row", "_span", "_window", "id", "opened", "rules", "target")

    def __init__(self, id_: str, target: str, rules: Breaker) -> None:
        super().__init__("breaker")
        self.id = id_
        self.target = target
        self.rules = rules
        self.opened = 0
        """How often it opened or stayed open after a probe."""
        self._window = Window(rules.window)
        self._row = 0
        self._late = False
        """Whether slow attempts opened it."""
        self._span = 0.0
        """How long it was open last; 0 before the first time."""
        self._early = 0.0
        """When the last early probe began."""
        self._called = 0.0
        """The recovery elsewhere that the last early probe answered to."""

    @property
    def probes(self) -> int:
        """As the rules say."""
        return self.rules.probes

    def state(self, now: float) -> str:
        """``closed``, ``open`` or ``half_open``."""
        return "closed" if not self.is_shut else "open" if self.until > now else "half_open"

    def success(self, began: float, now: float, took: float) -> bool:
        """An attempt was served; whether that opens the circuit, because it and others were slow."""
        if began < self.since:
            return False
        self._window.at(now)[0] += 1
        self._row = 0
        slow = self.rules.slow_longer_than
        return slow is not None and took > slow and self.too_long(began, now, counted=True)

    def too_long(self, began: float, now: float, *, counted: bool = False) -> bool:
        """An attempt took longer than the rules allow; whether that opens the circuit."""
        if began < self.since or self.is_shut:
            return False
        counts = self._window.at(now)
        counts[0] += 0 if counted else 1
        counts[2] += 1
        total, _, late = self._window.sums(now)
        rules = self.rules
        if total < rules.min_requests or late < rules.slow_rate * total:
            return False
        bound = format_duration(rules.slow_longer_than or 0.0)
        self._open(now, f"{late} of {total} attempts in {format_duration(rules.window)} took longer than {bound}")
        self.free = self._late = True
        return True

    def failure(self, began: float, now: float, why: str, under_way: int = 0, *, counted: bool = False) -> bool:
        """An attempt failed; whether that opens the circuit, or keeps it open for longer.

        ``under_way`` are the attempts that have not ended yet, ``counted`` is one that had begun to answer.
        """
        if began < self.since:
            return False
        if self.is_shut:
            return self._failed_probe(began, now, why)
        counts = self._window.at(now)
        counts[0] += 0 if counted else 1
        counts[1] += 1
        self._row += 1
        rules = self.rules
        total, failed, _ = self._window.sums(now)
        if self._row >= rules.consecutive and not self._usual(total, failed, under_way):
            self._open(now, f"{self._row} failures in a row, the last: {why}")
            return True
        # Failures are faster than answers: what is under way may serve yet.
        undecided = min(under_way, HASTE * rules.min_requests)
        if total < rules.min_requests or failed < rules.error_rate * (total + undecided):
            return False
        window = format_duration(rules.window)
        self._open(now, f"{failed} of {total} attempts in {window} failed, the last: {why}")
        return True

    def _usual(self, total: int, failed: int, under_way: int) -> bool:
        """Whether so many failures in a row are to be expected of a target that fails as often as it did before them.

        One in five failing at random brings forth five in a row every 3,000 attempts, and is no outage. Where little is
        known yet, failures may just have been faster than the answers that are under way.
        """
        before = total - self._row
        if before < self.rules.min_requests:
            return self._row < min(under_way, HASTE * self.rules.consecutive)
        return (max(0, failed - self._row) / before) ** self._row > UNLIKELY

    def trip(self, began: float, now: float, why: str) -> bool:
        """An attempt found out what no count is needed for; whether that opens the circuit, or keeps it open longer."""
        if began < self.since:
            return False
        if self.is_shut:
            return self._failed_probe(began, now, why)
        self._open(now, why)
        self.free = True  # it may have been about that one request: whoever has nobody else may try
        return True

    def take_over(self, gate: Gate) -> None:
        """Be as shut as this, which another process has found out before there was an attempt here."""
        self._span = self.rules.open_for
        self.free = gate.free
        self.shut(gate.until, gate.since, gate.detail)

    def _failed_probe(self, began: float, now: float, why: str, *, slow: bool = False) -> bool:
        # A last resort, or an early probe, was made although nobody thought that it has recovered: nothing is learnt.
        if began < self.until:
            return False
        self.free = self.free and slow
        self._span = min(self._span * 2, self.rules.max_open_for)
        self.shut(now + self._span, now, f"a probe failed: {why}")
        self.opened += 1
        return True

    def _open(self, now: float, detail: str) -> None:
        rules = self.rules
        # What was healthy for less long than it had been open has not recovered: it is left alone for longer.
        relapsed = self._span > 0.0 and now - self.since < max(rules.window, self._span)
        self._span = min(self._span * 2 if relapsed else rules.open_for, rules.max_open_for)
        self.free = self._late = False
        self.shut(now + self._span, now, detail)
        self.opened += 1

    def served(self, began: float, now: float, took: float) -> bool:
        """See :class:`Gate`. A circuit that slow attempts opened is not closed by another slow one."""
        slow = self.rules.slow_longer_than
        if self._late and slow is not None and took > slow:
            if self.is_shut and began >= self.since:
                self._failed_probe(began, now, "slow", slow=True)
            return False
        if not super().served(began, now, took):
            return False
        self._window.clear()
        self._row = 0
        self.free = False
        return True

    def early(self, now: float, recovered: float) -> bool:
        """Outages have causes in common: when somebody recovers, everybody is asked once before his time."""
        return recovered > max(self.since, self._called) and now - self._early >= self.rules.open_for

    def enter(self, now: float, longest: float, recovered: float) -> None:
        """See :class:`Gate`."""
        super().enter(now, longest, recovered)
        if self.until > now and self.early(now, recovered):
            self._early, self._called = now, recovered

    def export(self, now: float) -> dict[str, Any]:
        """Its state, with reasons and times, as plain JSON values; times are Unix seconds."""
        total, failed, slow = self._window.sums(now)
        out: dict[str, Any] = {"target": self.target, "id": self.id, "state": self.state(now), "opened": self.opened}
        if self.is_shut:
            out |= {"since": self.since, "until": self.until, "reason": self.detail, "probes": self.probing(now)}
        else:
            out |= {"attempts": total, "failures": failed, "slow": slow, "in_a_row": self._row}
        return out
