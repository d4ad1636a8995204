"""README.md and engine/README.md are run as they stand, and show what they print."""

from __future__ import annotations

import re

import pytest
from pages import PAGES, ROOT, Workshop, blocks, masked, replayed


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_its_blocks_print(name: str, shop: Workshop) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert masked(replayed(page, shop)) == masked(page), "look at the difference; `make docs` writes it"


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_run_or_cannot_be(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert {block.language for block in blocks(page)} >= {"python", "text", "yaml"}
    others = re.findall(r"^```(?!console|python|text|yaml)(.+)$", page, re.MULTILINE)
    assert set(others) <= {"sh"}, "`sh` is for what takes too long or changes the machine"
    for session in (block.text for block in blocks(page) if block.language == "console"):
        assert session.startswith("$ ")


def test_a_page_that_is_not_true_is_noticed(shop: Workshop) -> None:
    page = (
        "```console\n$ echo one\ntwo\n```\n\n```python\nprint(1)\n```\n\n```text\n2\n```\n\n```text\nno output\n```\n"
    )
    true = page.replace("two", "one").replace("2", "1")
    assert replayed(page, shop) == true
    assert replayed(true, shop) == true


def test_files_and_shell_last_through_a_page(shop: Workshop) -> None:
    page = "```yaml\n# a/b.yaml\nx: 1\n```\n\n```console\n$ N=7\n$ cat a/b.yaml; echo $N\n# a/b.yaml\nx: 1\n7\n```\n"
    assert replayed(page, shop) == page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x-request-id: req_0123456789abcdef01234567", "x-request-id: REQUEST_ID"),
        ("graph 89dd1a0288e75c59: 1 route", "graph FINGERPRINT: 1 route"),
        ("loaded 2026-11-24T06:01:49.353+00:00", "loaded TIME"),
        ("x-interlock-attempts: 3", "x-interlock-attempts: 3"),
    ],
)
def test_only_what_differs_from_run_to_run_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
