"""Runs the blocks of a page, in order, in a folder of their own, and says what the page should show.

``console`` blocks are shell sessions: what follows ``$ `` is run in one and the same shell, the rest is its output.
``python`` blocks are run as they are, ``await`` at the top level included; a ``text`` block right behind one is what it
prints. A ``yaml`` block whose first line is ``# FOLDER/FILE.yaml`` is saved there.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from standin import answering

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: Every document of the repository, by its path from the root.
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("[!.]*.md", "[!.]*/[!.]*.md", "[!.]*/[!.]*/[!.]*.md")
    for path in ROOT.glob(pattern)
)
#: The pages that are run.
PAGES = ("README.md", "engine/README.md")
#: The ports that the pages name; each run has its own.
UPSTREAM, SERVER = "8000", "8080"
#: Seconds after which a command that shows no end is given up.
PATIENCE = 60.0
_BLOCK = re.compile(r"^```(console|python|text|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.yaml)\n")
#: What stands between a block of Python and what it prints.
_BETWEEN = ["```", "```text"]
#: What differs from run to run.
_VARIABLE = (
    (re.compile(r"\breq_[0-9a-f]{24}\b"), "REQUEST_ID"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "FINGERPRINT"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.,]+(?:\+00:00|Z)?"), "TIME"),
)


def masked(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, name in _VARIABLE:
        text = pattern.sub(name, text)
    return text


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page that are run, with the positions of their text."""
    return [Block(m[1], m[2], m.start(2), m.end(2)) for m in _BLOCK.finditer(page)]


@dataclass
class Workshop:
    """Where a page is run."""

    folder: Path
    upstream: int
    server: int
    shell: Shell = field(init=False)

    def __post_init__(self) -> None:
        self.shell = Shell(self.folder)

    def _inward(self, text: str) -> str:
        text = text.replace(f":{SERVER}", f":{self.server}").replace(f"--port {SERVER}", f"--port {self.server}")
        return text.replace("interlock status", f"interlock status --url http://127.0.0.1:{self.server}")

    def _outward(self, text: str) -> str:
        return text.replace(f":{self.server}", f":{SERVER}").replace(f":{self.upstream}", f":{UPSTREAM}")

    def redirect(self) -> None:
        """Let every provider in the folder that names the page's model server reach the stand-in instead."""
        for file in self.folder.glob("*/providers.d/*.yaml"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(f":{UPSTREAM}/", f":{self.upstream}/"), encoding="utf-8")

    def console(self, text: str) -> str:
        """A session with the outputs that its commands have here."""
        shown = []
        for line in text.splitlines():
            if line.startswith("$ "):
                shown.append(line)
                shown += self._outward(self.shell.run(self._inward(line[2:]))).splitlines()
                self.redirect()
        return "\n".join(shown) + "\n"

    def python(self, text: str) -> str:
        """What a block of Python prints."""
        code = compile(text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        names: dict[str, object] = {"__name__": "__main__"}
        printed = io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with redirect_stdout(printed):
                result = eval(code, names)  # noqa: S307 - our own page
                if inspect.iscoroutine(result):
                    asyncio.run(result)
        finally:
            os.chdir(before)
        return self._outward(printed.getvalue())


class Shell:
    """One shell for all sessions of a page, so that variables and background jobs live on."""

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environ = {k: v for k, v in os.environ.items() if not k.startswith("INTERLOCK_")}
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env={**environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if shutil.which("curl") is None:
            self.run(f'curl() {{ "{sys.executable}" "{HERE / "curl.py"}" "$@"; }}')

    def run(self, command: str) -> str:
        """What a command prints to both streams."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        end = f"end-{secrets.token_hex(8)}"
        stdin.write(f"{command}\necho; echo {end}\n")
        stdin.flush()
        lines = []
        too_long = Timer(PATIENCE, self._process.kill)
        too_long.start()
        for line in stdout:
            if line.strip() == end:
                break
            lines.append(line)
        else:
            raise AssertionError(f"the shell ended in: {command}\n{''.join(lines)}")
        too_long.cancel()
        return "".join(lines).removesuffix("\n")

    def close(self) -> None:
        """End the shell and what it still runs."""
        self._process.communicate("for job in $(jobs -p); do kill $job; done; wait\n", timeout=PATIENCE)


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """A place to run a page in, with a stand-in for the model server and a free port for ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with answering() as upstream:
        made = Workshop(folder, upstream, port)
        try:
            yield made
        finally:
            made.shell.close()


def replayed(page: str, shop: Workshop) -> str:
    """The page with its sessions and printed texts as they are here and now."""
    parts: list[str] = []
    done = 0
    printed: str | None = None
    for block in blocks(page):
        text = block.text
        if block.language == "console":
            text = shop.console(text)
        elif block.language == "yaml" and (name := _FILE.match(text)):
            file = shop.folder / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            shop.redirect()
        elif block.language == "text" and printed is not None and page[done : block.start].split() == _BETWEEN:
            text = printed
        printed = shop.python(text) if block.language == "python" else None
        parts += [page[done : block.start], text]
        done = block.end
    return "".join([*parts, page[done:]])
