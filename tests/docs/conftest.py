"""Makes the helpers beside the tests importable, and a folder to run the pages in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pages import Workshop, workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """An empty folder, a stand-in for a model server, and a port for `interlock serve`."""
    with workshop(tmp_path) as made:
        yield made
