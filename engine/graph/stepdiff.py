"""What changed between two step trees, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .beside import Hedge, Mirror
from .conditions import describe
from .fingerprint import digest
from .nodes import Balance, Fallback, Params, Reject, RouteStep, Split, Step, Switch, TargetStep
from .words import HIDDEN, is_secret_name, label, shorten, show


def step_changes(old: Step, new: Step) -> Iterator[str]:
    """A line for every difference in meaning; none where the trees behave alike (their targets' own content apart)."""
    if isinstance(old, TargetStep) and isinstance(new, TargetStep):
        yield from _target(old, new)
    elif isinstance(old, Fallback) and isinstance(new, Fallback):
        yield from _fallback(old, new)
    elif isinstance(old, Split) and isinstance(new, Split):
        yield from _split(old, new)
    elif isinstance(old, Balance) and isinstance(new, Balance):
        yield from _balance(old, new)
    elif isinstance(old, Switch) and isinstance(new, Switch):
        yield from _switch(old, new)
    elif isinstance(old, Hedge) and isinstance(new, Hedge):
        yield from _plain(old, new, ("delay", "extra", "tools"), f"hedge{_at(new)}")
        yield from _in_turn(old.steps, new.steps, "hedge", _at(new))
    elif isinstance(old, Mirror) and isinstance(new, Mirror):
        yield from _plain(old, new, ("share", "tools"), f"mirror{_at(new)}")
        yield from _target(old.to, new.to)
        yield from step_changes(old.step, new.step)
    elif isinstance(old, Reject) and isinstance(new, Reject):
        yield from _plain(old, new, ("status", "message"), f"reject{_at(new)}")
    elif isinstance(old, RouteStep) and isinstance(new, RouteStep):
        if old.route != new.route:
            yield f"route{_at(new)}: {old.route} -> {new.route}"
        yield from step_changes(old.step, new.step)
    else:
        yield f"step{_at(new)}: {label(old)} -> {label(new)}"


def params_rows(params: Params, prefix: str) -> dict[str, tuple[Any, str]]:
    """Field -> (what is compared, what is shown) for each overridden request field."""
    return {
        f"{prefix}{kind}.{name}": (
            digest(Params(set=((name, text),))),
            HIDDEN if is_secret_name(name) else shorten(show(text)),
        )
        for kind, pairs in (("set", params.set), ("default", params.default))
        for name, text in sorted(pairs)
    }


def _at(step: Step) -> str:
    """Where the step is, unless it is the route's root."""
    return f" at {step.path}" if step.path else ""


def _plain(old: Any, new: Any, fields: Sequence[str], where: str) -> Iterator[str]:
    for field in fields:
        left, right = getattr(old, field), getattr(new, field)
        if left != right:
            yield f"{field} of {where}: {show(left)} -> {show(right)}"


def _target(old: TargetStep, new: TargetStep) -> Iterator[str]:
    if old.target.id != new.target.id:
        yield f"target{_at(new)}: {old.target.id} -> {new.target.id}"
    before, after = params_rows(old.params, "params."), params_rows(new.params, "params.")
    for name in sorted(before.keys() | after.keys()):
        left, right = before.get(name), after.get(name)
        if left is None or right is None or left[0] != right[0]:
            words = [row[1] if row else "none" for row in (left, right)]
            yield f"{name} of {new.target.id}: {words[0]} -> {words[1]}"
    for group in ("retry", "timeouts", "breaker"):
        left_group, right_group = getattr(old, group), getattr(new, group)
        for line in _plain(left_group, right_group, type(left_group).__slots__, new.target.id):
            yield f"{group}.{line}"
    yield from _plain(old, new, ("unsupported",), new.target.id)


def _fallback(old: Fallback, new: Fallback) -> Iterator[str]:
    yield from _plain(old, new, ("on",), f"fallback{_at(new)}")
    yield from _in_turn(old.steps, new.steps, "fallback", _at(new))


def _in_turn(old: Sequence[Step], new: Sequence[Step], kind: str, where: str) -> Iterator[str]:
    left, right = _named(old), _named(new)
    for name in (name for name in right if name not in left):
        yield f"{kind}{where} gains {name}"
    for name in (name for name in left if name not in right):
        yield f"{kind}{where} loses {name}"
    kept = [name for name in left if name in right]
    if kept != [name for name in right if name in left]:
        yield f"{kind} order{where}: {', '.join(left)} -> {', '.join(right)}"
    for name in kept:
        yield from step_changes(left[name], right[name])


def _split(old: Split, new: Split) -> Iterator[str]:
    where = f'split "{new.name}"'
    yield from _plain(old, new, ("name", "key"), where)
    left, right = ({v.name: v for v in split.variants} for split in (old, new))
    for name in sorted(left.keys() | right.keys()):
        if name not in left:
            yield f"{where} gains variant {name} (weight {show(right[name].weight)})"
        elif name not in right:
            yield f"{where} loses variant {name}"
        else:
            if left[name].weight != right[name].weight:
                yield f"weight of {where} variant {name}: {show(left[name].weight)} -> {show(right[name].weight)}"
            yield from step_changes(left[name].step, right[name].step)
    for value in sorted(old.pins.keys() | new.pins.keys()):
        if old.pins.get(value) != new.pins.get(value):
            yield f"pin of {where} for {value}: {show(old.pins.get(value))} -> {show(new.pins.get(value))}"


def _balance(old: Balance, new: Balance) -> Iterator[str]:
    where = f"balance{_at(new)}"
    yield from _plain(old, new, ("by", "key"), where)
    left, right = _named([s for _, s in old.members]), _named([s for _, s in new.members])
    weights = [dict(zip(names, (w for w, _ in b.members), strict=True)) for names, b in ((left, old), (right, new))]
    for name in sorted(left.keys() | right.keys()):
        if name not in left:
            yield f"{where} gains {name} (weight {show(weights[1][name])})"
        elif name not in right:
            yield f"{where} loses {name}"
        else:
            if weights[0][name] != weights[1][name]:
                yield f"weight of {where} member {name}: {show(weights[0][name])} -> {show(weights[1][name])}"
            yield from step_changes(left[name], right[name])
    if left.keys() == right.keys() and list(left) != list(right):
        yield f"order of {where}: {', '.join(left)} -> {', '.join(right)}"


def _switch(old: Switch, new: Switch) -> Iterator[str]:
    where = f"switch{_at(new)}"
    for number in range(max(len(old.cases), len(new.cases))):
        left = old.cases[number] if number < len(old.cases) else None
        right = new.cases[number] if number < len(new.cases) else None
        if left is None or right is None:
            case = right or left
            assert case is not None  # noqa: S101  - one of them is there; tells the type checker
            yield f"{where} {'gains' if right else 'loses'} case {number + 1} (when {describe(case[0])})"
            continue
        if digest(left[0]) != digest(right[0]):
            yield f"case {number + 1} of {where}: when {describe(left[0])} -> when {describe(right[0])}"
        yield from step_changes(left[1], right[1])
    if old.default is not None and new.default is not None:
        yield from step_changes(old.default, new.default)
    elif old.default is not new.default:
        words = [label(step) if step else "none" for step in (old.default, new.default)]
        yield f"default of {where}: {words[0]} -> {words[1]}"


def _named(steps: Sequence[Step]) -> dict[str, Step]:
    """The steps by what they are; the second of a kind is ``fallback (2)``."""
    out: dict[str, Step] = {}
    for step in steps:
        name, number = label(step), 1
        while (key := name if number == 1 else f"{name} ({number})") in out:
            number += 1
        out[key] = step
    return out
