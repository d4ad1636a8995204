"""What became of copies of requests, added up by route and target."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from engine.exchange import Mirrored, OutcomeClass


class Tally(Struct):
    """``outcomes`` counts copies by their class, ``dropped`` those never sent, by why.

    Seconds are those of served copies, and of the answers that clients got instead. ``compared`` counts the pairs of
    texts that ``equal`` and ``similarity`` (a sum) are of.
    """

    outcomes: dict[str, int] = {}
    dropped: dict[str, int] = {}
    seconds: float = 0.0
    served_seconds: float = 0.0
    finish_differs: int = 0
    compared: int = 0
    equal: int = 0
    similarity: float = 0.0


class MirrorTallies:
    """One tally for each (route, target) that copies were meant for. It belongs to one event loop."""

    __slots__ = ("_tallies",)

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def _of(self, route: str, target: str) -> Tally:
        found = self._tallies.get((route, target))
        if found is None:
            found = self._tallies[route, target] = Tally()
        return found

    def note(self, record: Mirrored) -> None:
        """A copy has been answered, or failed."""
        tally = self._of(record.route, record.copy.target)
        name = record.copy.outcome_class.value
        tally.outcomes[name] = tally.outcomes.get(name, 0) + 1
        if record.copy.outcome_class is OutcomeClass.SERVED:
            tally.seconds += record.copy.duration
            tally.served_seconds += record.served.duration
            tally.finish_differs += record.copy.finish != record.served.finish
        if record.similarity is not None:
            tally.compared += 1
            tally.equal += bool(record.equal)
            tally.similarity += record.similarity

    def drop(self, route: str, target: str, why: str) -> None:
        """A copy was not sent: ``busy``, ``unsendable``, or the reason of a closure."""
        dropped = self._of(route, target).dropped
        dropped[why] = dropped.get(why, 0) + 1

    def retain(self, routes: Any) -> None:
        """Forget the routes that are not among these."""
        for key in [key for key in self._tallies if key[0] not in routes]:
            del self._tallies[key]

    def export(self) -> list[dict[str, Any]]:
        """A row of plain JSON values for each route and target; means of nothing are ``None``."""
        rows = []
        for (route, target), tally in sorted(self._tallies.items()):
            answered = tally.outcomes.get(OutcomeClass.SERVED.value, 0)
            compared = tally.compared
            rows.append(
                {
                    "route": route,
                    "to": target,
                    "copies": sum(tally.outcomes.values()),
                    "outcomes": dict(sorted(tally.outcomes.items())),
                    "dropped": dict(sorted(tally.dropped.items())),
                    "mean_seconds": round(tally.seconds / answered, 6) if answered else None,
                    "mean_seconds_of_clients": round(tally.served_seconds / answered, 6) if answered else None,
                    "finish_differs": tally.finish_differs,
                    "compared": compared,
                    "equal": tally.equal,
                    "mean_similarity": round(tally.similarity / compared, 4) if compared else None,
                }
            )
        return rows
