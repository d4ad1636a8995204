"""What changes in behaviour between two configurations: by kinds of request, each with a witness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct

from engine.graph import Graph, diff
from engine.planner import Request

from .behaviour import Behaviour, Observer
from .fixing import Draw
from .kinds import kinds


class Change(Struct, frozen=True):
    """One change of behaviour: the plainest request that shows it, and how many kinds of request it is the same for."""

    request: Request
    before: Behaviour
    after: Behaviour
    kinds: int = 1


class Move(Struct, frozen=True):
    """Who moves in a split: the share of its keys that change their variant (exact), and each variant's shares."""

    route: str
    split: str
    key: str | None
    moved: float
    shares: tuple[tuple[str, float, float], ...]
    pins: tuple[tuple[str, str | None, str | None], ...] = ()
    """(key value, variant before, variant after) of pins that differ."""


class Comparison(Struct, frozen=True):
    """Everything that differs. ``other`` are differences of documents, ``unread`` models with too many kinds."""

    base: str
    head: str
    changes: tuple[Change, ...]
    moves: tuple[Move, ...]
    models_gained: tuple[str, ...]
    models_lost: tuple[str, ...]
    rerouted: tuple[tuple[str, str, str], ...]
    """(model, route before, route after) of names that another route answers to now."""
    other: tuple[tuple[str, tuple[str, ...]], ...]
    unread: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing changes in behaviour."""
        return not (self.changes or self.moves or self.keys)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the clients' keys that differ."""
        return tuple(node.partition(" key:")[2] for node, _ in self.other if " key:" in node)

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of the routes that any change is about."""
        found = {name for change in self.changes for name in (change.before.route, change.after.route) if name}
        return tuple(sorted(found | {move.route for move in self.moves}))


def compare(base: Graph, head: Graph) -> Comparison:
    """What becomes different from ``base`` to ``head``, sorted by route and model; the same inputs say the same."""
    before, after = Observer(base), Observer(head)
    changes: dict[tuple[object, ...], Change] = {}
    unread = []
    for group in kinds(base, head):
        if not group.complete:
            unread.append(group.model)
        for request in group.requests:
            old, new = before.of(request), after.of(request)
            if old == new:
                continue
            seen = changes.get((group.model, old, new))
            changes[group.model, old, new] = (
                Change(request, old, new) if seen is None else Change(seen.request, old, new, seen.kinds + 1)
            )
    found = tuple(_merged(changes.values()))
    names = {*base.index.names()}, {*head.index.names()}
    return Comparison(
        base.fingerprint,
        head.fingerprint,
        found,
        tuple(_moves(found)),
        tuple(sorted(names[1] - names[0])),
        tuple(sorted(names[0] - names[1])),
        tuple(dict.fromkeys(_rerouted(changes.values()))),
        tuple((f"{c.kind} {c.node}", c.details) for c in diff(base, head)),
        tuple(unread),
    )


def _merged(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes, those of several names for the same told once, by the first of the names."""
    merged: dict[tuple[object, object], Change] = {}
    for change in changes:
        key = change.before, change.after
        seen = merged.get(key)
        merged[key] = (
            change if seen is None else Change(seen.request, seen.before, seen.after, seen.kinds + change.kinds)
        )
    yield from sorted(merged.values(), key=lambda c: (c.before.route or c.after.route or "", c.request.model or ""))


def _rerouted(changes: Iterable[Change]) -> Iterator[tuple[str, str, str]]:
    for change in changes:
        old, new = change.before.route, change.after.route
        if old is not None and new is not None and old != new:
            yield change.request.model or "", old, new


def _moves(changes: tuple[Change, ...]) -> Iterator[Move]:
    seen = set()
    for change in changes:
        route = change.after.route
        if route is None or change.before.route is None:
            continue
        old, new = (tuple(d for d in b.draws if d.kind == "split") for b in (change.before, change.after))
        for left, right in _paired(old, new):
            if left != right and (route, left, right) not in seen:
                seen.add((route, left, right))
                yield _move(route, left, right)


def _paired(old: tuple[Draw, ...], new: tuple[Draw, ...]) -> Iterator[tuple[Draw, Draw]]:
    """The splits of one name, and what one that is gone was replaced by, where that is plain."""
    named = {draw.name: draw for draw in old}
    yield from ((named[draw.name], draw) for draw in new if draw.name in named)
    gone = [draw for draw in old if draw.name not in {d.name for d in new}]
    come = [draw for draw in new if draw.name not in named]
    if len(gone) == len(come) == 1:
        yield gone[0], come[0]


def _move(route: str, old: Draw, new: Draw) -> Move:
    before, after = _shares(old), _shares(new)
    pins = dict(old.pins), dict(new.pins)
    differ = [v for v in sorted(pins[0].keys() | pins[1].keys()) if pins[0].get(v) != pins[1].get(v)]
    return Move(
        route,
        new.name,
        new.key,
        1.0 - stay(old, new),
        tuple((name, before.get(name, 0.0), after.get(name, 0.0)) for name in sorted(before.keys() | after.keys())),
        tuple((value, pins[0].get(value), pins[1].get(value)) for value in differ),
    )


def _shares(draw: Draw) -> dict[str, float]:
    return {name: float(share) for name, share in draw.shares}


def stay(old: Draw, new: Draw) -> float:
    """The share of keys, pins apart, whose variant is the same in both; exact.

    A variant wins a key with the largest ``weight / E``, ``E`` being exponential and the key's own: it wins under both
    weights with probability ``1 / sum(max(w_j / w_i, v_j / v_i))``. Where the split's name or key is another, the
    draws have nothing to do with each other.
    """
    before, after = _shares(old), _shares(new)
    if (old.name, old.key) != (new.name, new.key):
        return sum(share * after.get(name, 0.0) for name, share in before.items())
    both = 0.0
    for name, share in before.items():
        now = after.get(name, 0.0)
        if share > 0 and now > 0:
            ratios = (max(before.get(o, 0.0) / share, after.get(o, 0.0) / now) for o in before.keys() | after.keys())
            both += 1.0 / sum(ratios)
    return both


def money(value: Decimal | None) -> str:
    """USD as people read it."""
    return "unknown" if value is None else f"{value.quantize(Decimal('0.00000001')).normalize():f} USD"
