"""What stands below a step."""

from __future__ import annotations

from engine.graph.tree import leaves
from tests.unit.planner.trees import balance, fallback, hedge, mirror, split, switch, use


def test_every_kind_of_step_shows_the_targets_below_it() -> None:
    tree = fallback(
        hedge("a/m", "b/m"),
        mirror("c/m", of="d/m"),
        split({"one": (1, "e/m"), "two": (1, "f/m")}),
        balance("weight", "g/m", "a/m"),
        switch(("true", "h/m"), default="i/m"),
        use("j/m"),
    )
    assert sorted(leaf.target.id for leaf in leaves(tree)) == [f"{name}/m" for name in "aabcdefghij"]
