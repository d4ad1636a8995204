"""Files made to exhaust the program are refused while little time and memory are spent.

They are read in a process of its own, whose processor time and address space the operating system limits.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SIZE = 4 * 1024 * 1024 - 64
HEAD = "version: 1\nkind: route\nname: chat\n"

#: What fills the file: a start, what is repeated to the full size, and the codes that must be among the findings.
FILLED = {
    "lists in lists": ("", "[", "D111"),
    "mappings in mappings": ("", "{", "D111"),
    "both": ("", "[{", "D111"),
    "entries in entries": ("", "- ", "D111"),
    "keys in keys": ("", "? ", "D111"),
    "values without keys": ("", ": ", "D101"),
    "a mapping in a line": ("", "a: {", "D111"),
    "an open list": ("[", "a,", "D116"),
    "an open mapping": ("{", "a,", "D102"),
    "entries": ("", "- a\n", "D116"),
    "empty lists": ("", "- []\n", "D116"),
    "the same key": ("", "a: 1\n", "D115"),
    "merge keys": ("", "<<: 1\n", "D115"),
    "numbers": ("", f"- {'9' * 30}\n", "D115"),
    "tags": ("", "- !a b\n", "D115"),
    "anchors": ("", "- &a a\n", "D116"),
    "aliases": ("- &a b\n", "- *a\n", "D112"),
    "an endless anchor": ("&", "a", None),
    "an endless tag": ("!", "a", "D104"),
    "a huge text": (HEAD + 'step: "', "a", "D101"),
    "a huge plain text": (HEAD + "step: ", "a", "D110"),
    "a huge block": (HEAD + "step: |\n", " a\n", "D110"),
    "a huge number": (HEAD + "step: ", "9", "D114"),
    "a huge hexadecimal number": (HEAD + "step: 0x", "f", "D114"),
    "a huge exponent": (HEAD + "step: 1e", "9", "D114"),
    "a huge key": ("", "a", "D110"),
    "documents": ("", "a: 1\n---\n", "D109"),
    "empty documents": ("", "---\n", "D109"),
    "ends": ("", "...\n", None),
    "directives": ("", "%a\n", "D101"),
    "comments": ("", "#\n", None),
    "newlines": ("", "\n", None),
    "spaces": ("", " ", None),
    "quotes": ("", "'", "D110"),
    "escapes": ('"', "\\x41", "D101"),
    "NULs": ("", "\0", "D106"),
    "NULs after a text": ("a: b\n", "\0", "D106"),
    "escape sequences": ("", "a: \x1b[0m\n", "D106"),
    "secrets": ("x: [", '"secret":"a",', "D116"),
    "secrets in one word": (HEAD + "step: *", "secret-", "D113"),
    "wide characters": ("", "\u65e5", "D109"),
}
BOMB = (
    HEAD
    + "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))
)
TEXT_BOMB = HEAD + 'a: &a "' + "x" * 200_000 + '"\nb: [' + "*a," * 9000 + "]\n"
DEEP_BOMB = HEAD + "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))
STAIRS = "".join(" " * n + "a:\n" for n in range(2800))
MANY_KEYS = "".join(f"k{n}: v\n" for n in range(300_000))
WHOLE = {
    "an alias bomb": (BOMB, "D112"),
    "an alias bomb of text": (TEXT_BOMB, "D112"),
    "depth through aliases": (DEEP_BOMB, "D111"),
    "stairs": (STAIRS, "D111"),
    "many keys": (MANY_KEYS, "D116"),
    "invalid bytes": (b"\xff" * SIZE, "D107"),
}

_CHILD = """
import json, resource, sys
from engine.documents import load_text
content = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
documents, findings = load_text(content, "x.yaml")
print(json.dumps([[found.code, found.line, found.column, found.end_column, bool(found.hint), len(found.excerpt)]
                  for found in findings]))
"""


def _read(content: str | bytes) -> list[list[int | str | bool]]:
    sent = content.encode() if isinstance(content, str) else content
    done = subprocess.run([sys.executable, "-c", _CHILD], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    findings: list[list[int | str | bool]] = json.loads(done.stdout)
    for _, line, column, end_column, hint, excerpt in findings:
        assert line >= 1
        assert 1 <= column < end_column
        assert hint
        assert excerpt <= 2000
    assert len(findings) <= 101
    return findings


@pytest.mark.parametrize("case", FILLED)
def test_a_file_of_the_full_size(case: str) -> None:
    start, repeated, code = FILLED[case]
    content = start + repeated * ((SIZE - len(start)) // len(repeated))
    found = [one[0] for one in _read(content)]
    assert code in found if code is not None else found == []


@pytest.mark.parametrize("case", WHOLE)
def test_a_crafted_file(case: str) -> None:
    content, code = WHOLE[case]
    assert code in [one[0] for one in _read(content)]
