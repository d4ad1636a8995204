"""README.md beside this file names a test, or a reason, for each of the thirty complaints; and the tests are there."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ROW = re.compile(r"^\| (\d+|\+) \| (.+?) \| (.+) \|$")
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`|`(test_\w+)`")
HERE_FILES = sorted(HERE.glob("test_*.py"))


@functools.cache
def names_in(file: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )


def rows() -> list[tuple[str, str, str]]:
    found = (ROW.match(line) for line in (HERE / "README.md").read_text().splitlines())
    return [(match[1], match[2], match[3]) for match in found if match]


def test_each_complaint_leads_to_a_test_or_a_reason() -> None:
    numbers = [number for number, _, _ in rows() if number != "+"]
    assert numbers == [str(number) for number in range(1, 31)]
    for number, complaint, answer in rows():
        assert TEST.search(answer) or answer.startswith("It cannot occur:"), (number, complaint)


def test_every_test_that_is_named_is_there() -> None:
    here = frozenset[str]().union(*(names_in(file) for file in HERE_FILES))
    for number, _, answer in rows():
        for file, test, own in TEST.findall(answer):
            found = names_in(ROOT / "tests" / file) if file else here
            assert (test or own) in found, f"row {number} names {file}::{test or own}"


def test_every_test_of_a_complaint_is_named_in_its_row() -> None:
    named = {number: answer for number, _, answer in rows() if number != "+"}
    for file in HERE_FILES:
        for test in names_in(file):
            for number in re.findall(r"_(\d\d)(?=_)", test.split("_", 1)[0] + "_" + test.removeprefix("test_"))[:3]:
                assert f"`{test}`" in named[str(int(number))], f"{test} stands in no row {int(number)}"
