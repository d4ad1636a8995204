"""What is left of limits, until they begin anew."""

from __future__ import annotations

from engine.dialects.rate_limits import Limit
from engine.state import Headroom

NOW = 1_800_000_000.0


def limits(*rows: tuple[float, float, float]) -> tuple[Limit, ...]:
    return tuple(Limit("requests", limit, left, NOW + reset) for limit, left, reset in rows)


def test_the_limit_nearest_to_its_end_counts() -> None:
    headroom = Headroom()
    assert headroom.left("a/x", NOW) == 1.0
    headroom.note("a/x", limits((100, 80, 60), (1000, 100, 10)), NOW)
    assert headroom.left("a/x", NOW) == 0.1


def test_what_was_said_of_a_limit_holds_until_it_begins_anew() -> None:
    headroom = Headroom()
    headroom.note("a/x", limits((100, 80, 60), (1000, 100, 10)), NOW)
    assert headroom.left("a/x", NOW + 10) == 0.8
    assert headroom.left("a/x", NOW + 60) == 1.0
    assert headroom.export(NOW + 10) == {
        "a/x": [{"name": "requests", "limit": 100, "remaining": 80, "resets_in": 50.0}]
    }


def test_replies_that_are_older_or_say_nothing_change_nothing() -> None:
    headroom = Headroom()
    headroom.note("a/x", limits((100, 10, 60)), NOW)
    headroom.note("a/x", limits((100, 90, 60)), NOW - 1)
    headroom.note("a/x", (), NOW + 1)
    assert headroom.left("a/x", NOW) == 0.1


def test_removed_targets_are_forgotten() -> None:
    headroom = Headroom()
    headroom.note("a/x", limits((100, 10, 60)), NOW)
    headroom.retain([])
    assert headroom.left("a/x", NOW) == 1.0
