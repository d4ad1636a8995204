"""The order in which the members of a balance are tried; every one of them is tried, whatever the order.

What an order may depend on is the request (its id is the seed of every draw, so that the same request is placed alike
everywhere), the weights, and the view of the moment. It never depends on the order in which members are written.
"""

from __future__ import annotations

from math import ceil, inf

from engine.graph import Balance, Target, TargetStep

from .hashing import score, uniform
from .members import Usable, distinct, identity, leading
from .model import Member, Order, Request, View
from .prices import expected_cost
from .splits import text
from .tree import targets_of

#: By ``latency``, the share of requests that is placed by weight alone: it finds out that a slow target has recovered.
#: One in 256 is few enough to keep a slow target out of the slowest hundredth of requests.
EXPLORED = 1 / 256
#: By ``latency``, one that takes longer than this many times the other of a pair is passed over, however much the other
#: has under way: what it has too much of shows in its own times, and then it is not so much faster any more.
FAR_SLOWER = 4.0
#: By ``hash``, how many times its fair share of all that is under way a member may have under way before a key goes on
#: to the next (consistent hashing with bounded loads; Mirrokni, Thorup and Zadimoghaddam, SODA 2018) ...
BOUND = 2.0
#: ... and how many it may have in any case: with little under way a key has better reasons to stay than to go.
FEW = 4
#: By ``usage``, what a member with nothing left counts as: it comes after all others, and is no less likely than its
#: likes.
NOTHING_LEFT = 1e-6


def ordered(balance: Balance, request: Request, view: View, now: float, usable: Usable) -> Order:
    """The order for this request at ``now`` (Unix seconds), with the facts that decided it.

    ``usable`` tells whether a target can serve the request at this moment; draws between two need to know.
    """
    seed = how = ""
    if balance.by == "hash":
        value = request.get(balance.key) if balance.key else None
        if value is not None:
            seed, how = f"key {text(value)}", f"{balance.key} {text(value)}"
    seed = seed or request.request_id
    members = _members(balance, request, view, now, usable)
    for member in members:
        member.rank = score(member.weight, "balance", seed, member.name)
    if balance.by == "latency":
        how, members = _by_latency(members, request, view, now, usable)
    elif balance.by == "least_busy":
        _by_load(members, view)
    elif balance.by == "usage":
        _by_headroom(members, seed, view, now)
    elif balance.by == "cheapest":
        _by_price(members, request)
    elif balance.by == "hash":
        _by_hash(members, view)
    else:
        members.sort(key=_drawn)
    return Order(balance.path, balance.by, how, tuple(members))


def _members(balance: Balance, request: Request, view: View, now: float, usable: Usable) -> list[Member]:
    out = []
    for weight, name, step in distinct([(float(weight), identity(step), step) for weight, step in balance.members]):
        if isinstance(step, TargetStep):
            target: Target | None = step.target
        else:
            first = leading(step, request, usable)
            below = (first.target,) if first is not None else targets_of(step)
            target = below[0] if below else None
        if target is not None:
            weight *= view.share(target.id, now)
        out.append(Member(name, weight, step, target))
    return out


def _drawn(member: Member) -> tuple[float, str]:
    return (-member.rank, member.name)


def _busy(member: Member, view: View) -> int:
    """Attempts under way at all that stands below a member."""
    step = member.step
    if isinstance(step, TargetStep):
        return view.in_flight(step.target.id)
    return sum(view.in_flight(target.id) for target in targets_of(step))


def _by_load(members: list[Member], view: View) -> None:
    """The least under way first, in proportion to weights; draws decide between equals."""
    for member in members:
        member.busy = _busy(member, view)
    # +1: of two idle members the heavier one comes first.
    members.sort(key=lambda m: ((m.busy + 1) / m.weight if m.weight > 0 else inf, *_drawn(m)))


def _by_hash(members: list[Member], view: View) -> None:
    """By rendezvous over the key; members that have far more than their share under way come after the others."""
    members.sort(key=_drawn)
    total, weights = 1, 0.0
    for member in members:
        member.busy = _busy(member, view)
        total += member.busy
        weights += member.weight
    if total > FEW and weights > 0:
        for member in members:
            member.value = max(FEW, ceil(BOUND * total * member.weight / weights))
        members.sort(key=lambda m: (m.weight <= 0, m.busy >= (m.value or 0)))


def _by_headroom(members: list[Member], seed: str, view: View, now: float) -> None:
    """A draw by weight times the share that is left of limits: who has most gets most, and nobody gets all."""
    for member in members:
        if member.target is not None and member.weight > 0:
            left = member.value = view.headroom(member.target.id, now)
            if left < 1.0:
                member.rank = score(member.weight * max(left, NOTHING_LEFT), "balance", seed, member.name)
    members.sort(key=_drawn)


def _by_price(members: list[Member], request: Request) -> None:
    """The least money first, unknown prices last; draws decide between equals."""
    for member in members:
        if member.target is not None:
            member.value = expected_cost(member.target, request)
    members.sort(key=lambda m: (m.weight <= 0, m.value is None, m.value or 0, *_drawn(m)))


def _by_latency(
    members: list[Member], request: Request, view: View, now: float, usable: Usable
) -> tuple[str, list[Member]]:
    """Two are drawn, and the one that would be done sooner comes first (power of two choices); the rest by the same.

    Of two the better one is enough to keep all of them even, while the best of all would draw every request at once
    (Mitzenmacher, "The power of two choices in randomized load balancing", 2001).
    """
    members.sort(key=_drawn)
    for member in members:
        if member.target is not None:
            member.busy = view.in_flight(member.target.id)
            member.value = view.latency(member.target.id, request.stream, now) or None
    if uniform("explore", request.request_id) < EXPLORED:
        return "explored", members
    pair = []
    for member in members:
        if member.weight > 0 and leading(member.step, request, usable) is not None:
            pair.append(member)
            if len(pair) == 2:
                break
    members.sort(key=_time)
    if pair:
        first = _sooner(*pair) if len(pair) == 2 else pair[0]
        members.remove(first)
        members.insert(0, first)
    return "faster", members


def _sooner(one: Member, two: Member) -> Member:
    """The one of two that a request should be done sooner with; the first where nothing tells them apart."""
    if one.value is not None and two.value is not None:
        left, right = float(one.value), float(two.value)
        if left > FAR_SLOWER * right:
            return two
        if right > FAR_SLOWER * left:
            return one
    return min(one, two, key=_time)


def _time(member: Member) -> tuple[int, float]:
    """What a member costs in time: the estimate, as often as there are attempts under way and this one.

    One that nobody knows is tried at once, but by one request at a time: until it has answered, others go elsewhere.
    """
    if member.weight <= 0 or member.target is None:
        return (3, 0.0)
    load = (member.busy + 1) / member.weight
    if member.value is None:
        return (2, load) if member.busy else (0, load)
    return (1, float(member.value) * load)
