"""A tree of steps, and what stands below each of them."""

from __future__ import annotations

from collections.abc import Iterator

from .beside import Hedge, Mirror
from .nodes import Balance, Fallback, RouteStep, Split, Step, Switch, TargetStep


def children(step: Step) -> tuple[Step, ...]:
    """The steps directly below; of a mirror also the target that its copies go to."""
    if isinstance(step, Fallback | Hedge):
        return step.steps
    if isinstance(step, Mirror):
        return (step.step, step.to)
    if isinstance(step, Split):
        return tuple(variant.step for variant in step.variants)
    if isinstance(step, Balance):
        return tuple(member for _, member in step.members)
    if isinstance(step, Switch):
        cases = tuple(case for _, case in step.cases)
        return cases if step.default is None else (*cases, step.default)
    if isinstance(step, RouteStep):
        return (step.step,)
    return ()


def leaves(step: Step) -> Iterator[TargetStep]:
    """The target steps below ``step``, in tree order; one that stands there several times comes several times."""
    if isinstance(step, TargetStep):
        yield step
    for child in children(step):
        yield from leaves(child)
