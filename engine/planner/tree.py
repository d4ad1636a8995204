"""The step tree as the planner walks it."""

from __future__ import annotations

from engine.graph import Step, Target
from engine.graph.tree import leaves


def targets_of(step: Step) -> tuple[Target, ...]:
    """Every target in the tree below ``step``, in tree order, each once."""
    return tuple({leaf.target.id: leaf.target for leaf in leaves(step)}.values())
