"""Which bucket of a limit a value counts in, where clients choose the values and could choose endless ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from hashlib import blake2b

#: Distinct values of one limit that have a bucket of their own at a time; all others share one.
MOST = 10_000
#: Characters of a value that a key holds; longer ones are told apart by their hash.
_LONGEST = 64
#: Seconds after which a value that nobody sends any more makes room for another, if its windows are no longer.
IDLE = 60.0

ABSENT = "absent"
OTHERS = "others"


def bucket(value: str | None) -> str:
    """The bucket of a value; absence is one of its own, that no value can be mistaken for."""
    if value is None:
        return ABSENT
    if len(value) > _LONGEST:
        return "#" + blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return "=" + value


class Buckets:
    """The values that each limit has seen of late, the latest last."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, OrderedDict[str, float]] = {}

    def of(self, limit: str, value: str | None, longest: float, now: float) -> str:
        """The bucket in which ``value`` counts for a limit whose longest window is ``longest`` seconds."""
        name = bucket(value)
        if value is None:
            return name
        seen = self._seen.setdefault(limit, OrderedDict())
        if name not in seen and len(seen) >= MOST:
            oldest, at = next(iter(seen.items()))
            if now - at < max(IDLE, longest):
                return OTHERS
            del seen[oldest]
        seen[name] = now
        seen.move_to_end(name)
        return name

    def retain(self, limits: Collection[str]) -> None:
        """Forget the limits that are not among these."""
        for name in self._seen.keys() - set(limits):
            del self._seen[name]
