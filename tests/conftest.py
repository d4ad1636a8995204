"""Shared by all tests: golden files in two parts, and properties that do not fail for want of speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy with something else is no counter-example. The usual run tries the same examples every time, so
# that it judges the change and not the dice; `make search` throws new ones.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", settings.get_profile("search"), derandomize=True)
settings.load_profile("patient")

#: Between the two parts of a golden file.
DASHES = "-" * 60

Golden = Callable[[Path, Callable[[dict[str, str]], str]], None]


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers that tests start write into a folder of the tests, not into that of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what golden tests get into their golden files")


def split_files(text: str) -> dict[str, str]:
    """The files in the first part of a golden file, each begun by a line ``=== path``."""
    files: dict[str, str] = {}
    for block in ("\n" + text).split("\n=== ")[1:]:
        name, _, content = block.partition("\n")
        files[name.strip()] = content if content.endswith("\n") or not content else content + "\n"
    return files


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """``golden(path, produce)``: ``produce`` turns the files of the first part into what the second part has to be.

    With ``--update-golden`` the second part is written instead; the difference is for a person to read.
    """

    def check(path: Path, produce: Callable[[dict[str, str]], str]) -> None:
        given, dashes, expected = path.read_text(encoding="utf-8").partition(f"\n{DASHES}\n")
        actual = produce(split_files(given)).rstrip("\n") + "\n"
        if request.config.getoption("--update-golden"):
            path.write_text(f"{given.rstrip()}\n{DASHES}\n{actual}", encoding="utf-8")
            return
        assert dashes, f"{path.name} has no line of {len(DASHES)} dashes; run pytest with --update-golden"
        assert actual == expected

    return check
