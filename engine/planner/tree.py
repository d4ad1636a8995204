"""The step tree as the planner walks it."""

from __future__ import annotations

from engine.graph import Balance, Fallback, Hedge, Mirror, RouteStep, Split, Step, Switch, Target, TargetStep


def targets_of(step: Step) -> tuple[Target, ...]:
    """Every target in the tree below ``step``, in tree order, each once."""
    if isinstance(step, TargetStep):
        return (step.target,)
    found: dict[str, Target] = {}
    for child in children(step):
        for target in targets_of(child):
            found.setdefault(target.id, target)
    return tuple(found.values())


def children(step: Step) -> tuple[Step, ...]:
    """The direct sub-steps of ``step``; of a mirror also the target that its copies go to."""
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
