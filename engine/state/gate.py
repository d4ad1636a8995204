"""A way that is shut until an absolute time; after it, a few attempts at a time find out whether it may open again."""

from __future__ import annotations

from .closure import Closure, Reason


class Gate:
    """What a circuit, a hold and a refused credential have in common. Times are Unix seconds.

    ``until`` is never shortened: shutting a gate again keeps the later end, and only an attempt that was served, begun
    after the gate had been shut, opens it. What began before says nothing of the time since.
    """

    __slots__ = ("_probes", "detail", "free", "reason", "since", "tried", "until")

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        self.until = 0.0
        """0 is open; a time that has passed is half open."""
        self.since = 0.0
        """When it was last shut or opened: attempts begun before do not count."""
        self.tried = 0.0
        """When an attempt was last let through although it is shut; 0 is never."""
        self.detail = ""
        self.free = False
        """Whether last resorts need no bound."""
        self._probes: list[tuple[float, float]] = []
        """(when it began, when it counts as vanished) of the attempts that find out whether it may open."""

    @property
    def is_shut(self) -> bool:
        """Whether it is shut, or half open."""
        return self.until > 0.0

    @property
    def probes(self) -> int:
        """How many attempts at a time may find out whether it may open."""
        return 1

    def shut(self, until: float, now: float, detail: str) -> None:
        """Let nobody through until ``until``, or later if that was said before."""
        self.until = max(self.until, until)
        self.since = now
        self.detail = detail

    def open(self, now: float) -> None:
        """Let everybody through."""
        self.until = self.tried = 0.0
        self.since = now
        self.detail = ""

    def closure(self, now: float, recovered: float) -> Closure | None:
        """Why an attempt is not let through the ordinary way at ``now``, ``None`` if it is.

        ``recovered`` is when anything at all was last served again after it had failed.
        """
        if self.until <= 0.0:
            return None
        if (self.until <= now or self.early(now, recovered)) and self.probing(now) < self.probes:
            return None
        return Closure(self.until, self.reason, self.detail, self.tried, self.free)

    def early(self, now: float, recovered: float) -> bool:
        """Whether a probe is worth its while before ``until``."""
        return False

    def probing(self, now: float) -> int:
        """Probes under way. One that vanished, because whoever made it failed, counts no longer."""
        probes = self._probes
        if probes and any(gone <= now for _, gone in probes):
            probes[:] = [probe for probe in probes if probe[1] > now]
        return len(probes)

    def enter(self, now: float, longest: float, recovered: float) -> None:
        """An attempt begins, whether it was let through or is a last resort; it takes at most ``longest`` seconds."""
        self.tried = now
        if self.until <= now or self.early(now, recovered):
            self._probes.append((now, now + longest))

    def leave(self, began: float) -> None:
        """The attempt that began then has ended, or its client left: its place is free."""
        for i, probe in enumerate(self._probes):
            if probe[0] == began:
                del self._probes[i]
                return

    def served(self, began: float, now: float, took: float) -> bool:
        """An attempt was served within ``took`` seconds; whether that opens the gate."""
        if self.until <= 0.0 or began < self.since:
            return False
        self.open(now)
        return True
