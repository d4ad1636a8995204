"""Every use of a target in a tree of steps."""

from __future__ import annotations

from collections.abc import Iterator

from .nodes import Balance, Fallback, Reject, RouteStep, Split, Step, Switch, TargetStep


def leaves(step: Step) -> Iterator[TargetStep]:
    """The target steps below ``step``, in tree order; one that stands there several times comes several times."""
    if isinstance(step, TargetStep):
        yield step
        return
    for child in _children(step):
        yield from leaves(child)


def _children(step: Step) -> Iterator[Step]:
    match step:
        case Fallback(steps=steps):
            yield from steps
        case Split(variants=variants):
            yield from (variant.step for variant in variants)
        case Balance(members=members):
            yield from (member for _, member in members)
        case Switch(cases=cases, default=default):
            yield from (case for _, case in cases)
            if default is not None:
                yield default
        case RouteStep(step=inner):
            yield inner
        case Reject() | TargetStep():
            return
