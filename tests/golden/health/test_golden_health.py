"""Every file beside this one is what a server answers about its providers, and what people read of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli.health import health_page, health_table

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.txt"))
#: The moment at which they are read, in Unix seconds.
NOW = 1_000_000.0


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_health_as_people_read_it(case: Path, golden: Callable[..., None]) -> None:
    def produce(files: dict[str, str]) -> str:
        rows = json.loads(files["providers.json"])["providers"]
        shown = [health_table(rows, NOW, 100, False), *(health_page(row, NOW, 100, False) for row in rows)]
        assert all(len(line) <= 100 for text in shown for line in text.splitlines())
        return "\n\n".join(shown)

    golden(case, produce)


def test_there_are_cases() -> None:
    assert len(CASES) >= 2
