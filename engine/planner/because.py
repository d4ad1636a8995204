"""Why the members of a balance are tried in this order, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Member, Order

_HOW = {
    "weighted": "drawn by weight",
    "hash": "by its hash",
    "least_busy": "the least under way first",
    "latency": "the sooner of two that were drawn, then the others",
    "usage": "drawn by weight and what is left of limits",
    "cheapest": "the least expected cost first",
}


def order_dict(order: Order) -> dict[str, Any]:
    """The order as JSON values: the balance, how it was ordered, and each member with what speaks for its place."""
    members = [{"member": member.name, "because": because(order, member)} for member in order.members]
    return {"path": order.path, "by": order.by, "how": how(order), "members": members}


def how(order: Order) -> str:
    """How the members were ordered."""
    if order.by == "hash":
        return f"by the hash of {order.how}" if order.how else "by the hash of the request's id: it has no key"
    if order.how == "explored":
        return "drawn by weight, as one request in 256 is, to learn how the others do"
    return _HOW[order.by]


def because(order: Order, member: Member) -> str:
    """The facts that a member's place was decided by."""
    words = [_FACTS[order.by](member)] if order.by in _FACTS else []
    if member.weight != 1 or order.by == "weighted":
        words.append(f"weight {member.weight:g}")
    return ", ".join(word for word in words if word)


def _load(member: Member) -> str:
    return f"{member.busy} under way"


def _bound(member: Member) -> str:
    if member.value is None or member.busy < member.value:
        return _load(member)
    return f"{member.busy} under way, {member.value} is its bound: after the others"


def _latency(member: Member) -> str:
    if member.target is None:
        return "no target of it can be tried"
    if member.value is None:
        return f"not known yet, {member.busy} under way" if member.busy else "not known yet: to be tried"
    return f"estimated {member.value:.3g} s x {member.busy + 1} ({member.busy} under way)"


def _left(member: Member) -> str:
    return "" if member.value is None else f"{member.value:.0%} left of its limits"


def _cost(member: Member) -> str:
    return "price unknown" if member.value is None else f"{member.value:.9f}".rstrip("0").rstrip(".") + " USD"


_FACTS = {"hash": _bound, "least_busy": _load, "latency": _latency, "usage": _left, "cheapest": _cost}
