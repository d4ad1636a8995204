"""Runs the transcripts beside this file: ``$ interlock ...``, the output of both streams, and the exit code.

``$ ls FOLDER`` and ``$ cat FILE`` show what a command left behind. A transcript runs in a fresh copy of ``fixtures``,
without a terminal. ``--update-golden`` writes what is printed into the files.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import cli
from engine.compiler import compile_folder

HERE = Path(__file__).parent
TRANSCRIPTS = sorted(HERE.glob("*.txt"))

#: What differs from run to run, and what it is written as.
VARIABLE = (
    (re.compile(r"\bil_[0-9a-f]{8}_[0-9a-f]{48}\b"), "il_PREFIX_SECRET"),
    (re.compile(r"\bil_[0-9a-f]{8}\b"), "il_PREFIX"),
    (re.compile(r'sha256: "[0-9a-f]{64}"'), 'sha256: "HASH"'),
    (re.compile(r'(graph |"graph": ")[0-9a-f]{16}\b'), r"\1FINGERPRINT"),
    (re.compile(r"^interlock \S+ \(Python \S+\)$", re.MULTILINE), "interlock VERSION (Python VERSION)"),
)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(
    transcript: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    work = tmp_path / "work"
    shutil.copytree(HERE / "fixtures", work)
    for log in (work / "records").iterdir():
        log.write_text(log.read_text(encoding="utf-8").replace("FINGERPRINT-OF-shop", shop()), encoding="utf-8")
    monkeypatch.chdir(work)
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")] + ["FAR_API_KEY", "NO_COLOR"]:
        monkeypatch.delenv(name, raising=False)
    wanted = transcript.read_text(encoding="utf-8")
    got = "\n".join(run(line[2:]) for line in wanted.splitlines() if line.startswith("$ "))
    if request.config.getoption("--update-golden"):
        transcript.write_text(got, encoding="utf-8")
        return
    assert got == wanted


@cache
def shop() -> str:
    """The fingerprint of the configuration that the recorded decisions are of."""
    graph = compile_folder(HERE / "fixtures" / "shop", ()).graph
    assert graph is not None
    return graph.fingerprint


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 8


def run(line: str) -> str:
    """One entry of a transcript: the command, what it printed, and how it ended."""
    words = shlex.split(line)
    if words[0] == "ls":
        files = sorted(p.relative_to(words[1]).as_posix() for p in Path(words[1]).rglob("*") if p.is_file())
        return "\n".join([f"$ {line}", *files]) + "\n"
    if words[0] == "cat":
        return f"$ {line}\n{stable(Path(words[1]).read_text(encoding='utf-8'))}"
    assert words[0] == "interlock"
    text = ""
    if "<" in words:
        text = Path(words[words.index("<") + 1]).read_text(encoding="utf-8")
        words = words[: words.index("<")]
    result = CliRunner().invoke(cli, words[1:], input=text)
    assert "\x1b" not in result.output
    return f"$ {line}\n{stable(result.output)}exit {result.exit_code}\n"


def stable(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, replacement in VARIABLE:
        text = pattern.sub(replacement, text)
    return text
