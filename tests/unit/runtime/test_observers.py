"""Observers hear of every outcome and cannot hurt a request."""

from __future__ import annotations

import pytest

from engine.exchange import Outcome, OutcomeClass
from engine.runtime.observers import Observers


def test_one_that_raises_is_logged_and_the_others_still_hear(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Outcome] = []

    def broken(outcome: Outcome) -> None:
        raise ValueError("no")

    outcome = Outcome("r-1", OutcomeClass.SERVED, 200, "chat", "m", "m", "p/m", "f00", False, 0.0, 0.1)
    Observers([heard.append, broken, heard.append])(outcome)
    assert heard == [outcome, outcome]
    assert "r-1" in caplog.text
    assert "ValueError: no" in caplog.text
