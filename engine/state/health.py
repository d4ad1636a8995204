"""What became of the latest attempts at each provider: enough to say whether it works."""

from __future__ import annotations

from msgspec import Struct

from engine.exchange import RULES, Effect, OutcomeClass


class Health(Struct):
    """Times are Unix seconds, ``None`` where nothing of the kind has happened; ``row`` counts failures in a row."""

    served_at: float | None = None
    failed_at: float | None = None
    failure: str = ""
    row: int = 0

    @property
    def state(self) -> str:
        """``healthy`` after an answer, ``failing`` after a failure, ``unknown`` before either."""
        if self.row:
            return "failing"
        return "unknown" if self.served_at is None else "healthy"

    def note(self, outcome: OutcomeClass, now: float) -> None:
        """An attempt ended so."""
        if outcome is OutcomeClass.SERVED:
            self.served_at = now
            self.row = 0
        elif RULES[outcome].breaker is not Effect.NEUTRAL:
            self.failed_at = now
            self.failure = outcome.value
            self.row += 1
