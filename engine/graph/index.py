"""Which routes a model name may mean, in the order in which they are to be considered."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType

from .globs import Matcher, is_glob, literal_prefix, literal_suffix, matcher
from .nodes import Route

#: Rank, route, and what is still to be tested of a model that has the pattern's ends; ``None``: nothing.
_Entry = tuple[int, Route, Matcher | None]
_Hit = tuple[int, Route]
#: Lengths of the literal ends, and by these ends, written ``start*end``, the patterns that have them.
_Ends = tuple[int, int, Mapping[str, tuple[_Entry, ...]]]

_rank = itemgetter(0)
#: Names looked at on each side of where a model would stand, in either order.
_NEAR = 3
#: A longer model is nobody's slip of the keyboard.
_LONGEST = 200


class RouteIndex:
    """Finds a model's candidate routes in time that does not depend on how many routes there are.

    The order: highest ``priority``; an exact name before a glob; the glob with the longest literal prefix; a route with
    ``when`` before one without; the route's name, so that the order never depends on files. Immutable; safe to share.
    """

    __slots__ = ("_by_end", "_by_start", "_exact", "_globs", "_names")

    def __init__(self, exact: Mapping[str, tuple[_Hit, ...]], globs: tuple[_Ends, ...]) -> None:
        self._globs = globs
        self._names = tuple(sorted(exact))
        self._by_start = sorted((name.casefold(), name) for name in exact)
        self._by_end = sorted((name.casefold()[::-1], name) for name in exact)
        self._exact: Mapping[str, tuple[Route, ...]] = MappingProxyType(
            {model: self._order([*hits, *self._glob_hits(model)]) for model, hits in exact.items()}
        )

    @classmethod
    def build(cls, routes: Iterable[Route]) -> RouteIndex:
        """The index of these routes; their names are unique. The order of ``routes`` does not matter."""
        exact: dict[str, list[_Hit]] = {}
        globs: dict[tuple[int, int], dict[str, list[_Entry]]] = {}
        for rank, (route, pattern) in enumerate(deciding_order(routes)):
            if not is_glob(pattern):
                exact.setdefault(pattern, []).append((rank, route))
                continue
            start, end = literal_prefix(pattern), literal_suffix(pattern)
            ends = f"{start}*{end}"
            entry = (rank, route, None if pattern == ends else matcher(pattern))
            globs.setdefault((len(start), len(end)), {}).setdefault(ends, []).append(entry)
        return cls(
            {model: tuple(hits) for model, hits in exact.items()},
            tuple(
                (start, end, {ends: tuple(entries) for ends, entries in by_ends.items()})
                for (start, end), by_ends in globs.items()
            ),
        )

    def find(self, model: str) -> tuple[Route, ...]:
        """Every route whose patterns match the model, each once, in deciding order; none: an empty tuple.

        The first whose ``when`` holds (or is ``None``) is the request's route.
        """
        known = self._exact.get(model)
        return known if known is not None else self._order(self._glob_hits(model))

    def names(self) -> tuple[str, ...]:
        """The exact model names that clients can use, sorted; globs have no name to list."""
        return self._names

    def near(self, model: str) -> tuple[str, ...]:
        """The few exact names that an unknown model may be a slip for; the cost hardly grows with the number of names.

        Of many names, those that share the longest start or the longest end with it, in upper or lower case.
        """
        if len(model) > _LONGEST:
            return ()
        if len(self._names) <= 4 * _NEAR:
            return self._names
        folded = model.casefold()
        found: list[str] = []
        for table, key in ((self._by_start, folded), (self._by_end, folded[::-1])):
            at = bisect_left(table, (key,))
            found += [name for _, name in table[max(0, at - _NEAR) : at + _NEAR]]
        return tuple(dict.fromkeys(found))

    def _glob_hits(self, model: str) -> list[_Hit]:
        hits: list[_Hit] = []
        size = len(model)
        for start, end, by_ends in self._globs:
            if size >= start + end:
                for rank, route, match in by_ends.get(f"{model[:start]}*{model[size - end :]}", ()):
                    if match is None or match(model):
                        hits.append((rank, route))
        return hits

    @staticmethod
    def _order(hits: list[_Hit]) -> tuple[Route, ...]:
        if len(hits) == 1:
            return (hits[0][1],)
        hits.sort(key=_rank)
        return tuple(dict.fromkeys(route for _, route in hits))


def deciding_order(routes: Iterable[Route]) -> list[tuple[Route, str]]:
    """Each route with each of its patterns, in the order in which they are considered for a request's model."""
    pairs = [(route, pattern) for route in routes for pattern in set(route.models)]
    return sorted(pairs, key=lambda pair: _sort_key(*pair))


def _sort_key(route: Route, pattern: str) -> tuple[int, int, int, bool, str, str]:
    glob = is_glob(pattern)
    reach = -len(literal_prefix(pattern)) if glob else 0
    return (-route.priority, glob, reach, route.when is None, route.name, pattern)
