"""Changes of the configuration by API: proposed as edits of its files, compiled before they are written, then reloaded.

The files stay the only truth. What is written is what a person would have typed; where the folder belongs to git or
cannot be written to, the same edit is handed back as a patch, or committed to a branch.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.compiler import Compilation
from engine.diagnostics import Diagnostic
from engine.documents.edit import EditError, edited
from engine.graph import Graph

from .source import FolderSource

Changes = Mapping[tuple[str, ...], Any]
#: Where changes by API are noted, below the configuration folder.
AUDIT = Path(".interlock") / "audit.jsonl"


class RefusedError(Exception):
    """The edit is not made. ``status`` is HTTP's; ``code`` and the message are for the caller."""

    def __init__(
        self, status: int, code: str, message: str, *, diagnostics: tuple[Diagnostic, ...] = (), patch: str = ""
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.diagnostics = diagnostics
        self.patch = patch
        super().__init__(message)


@dataclass(frozen=True)
class Edit:
    """New contents for files of the configuration folder (relative, posix paths), and what they compile to."""

    files: Mapping[str, str]
    patch: str
    graph: Graph


class Editor:
    """Edits one configuration folder. Everything here blocks: run it in a thread."""

    def __init__(self, source: FolderSource) -> None:
        self._source = source
        self._root = source.root

    def propose(self, graph: Graph, documents: Mapping[tuple[str, str], tuple[Changes, Callable[[], str]]]) -> Edit:
        """The edit that makes these changes: (kind, name) -> (changes, text of a new document if there is none).

        Nothing is written. Raises :class:`RefusedError` with the diagnostics where the result does not compile.
        """
        before: dict[str, str] = {}
        after: dict[str, str] = {}
        for (kind, name), (changes, fresh) in documents.items():
            at = graph.documents.get((kind, name))
            file = at.rsplit(":", 1)[0] if at else self._new_file(kind, name, after)
            if file not in after:
                before[file] = self._read(file) if at else ""
                after[file] = before[file] or fresh()
            try:
                after[file] = edited(after[file], kind, name, changes)
            except EditError as problem:
                raise RefusedError(409, "cannot_edit", f"{file} cannot be edited: {problem}") from None
        files = {file: text for file, text in after.items() if text != before[file]}
        patch = "".join(_diff(file, before[file], text) for file, text in sorted(files.items()))
        compilation = self._compile(files)
        errors = tuple(d for d in compilation.diagnostics if d.severity == "error")
        if compilation.graph is None or errors:
            message = "The change does not compile, and nothing was saved."
            raise RefusedError(422, "invalid_configuration", message, diagnostics=errors, patch=patch)
        return Edit(files, patch, compilation.graph)

    def save(self, edit: Edit) -> None:
        """Write the files, each at once. Raises :class:`RefusedError` where git or the system stands in the way."""
        for reason in (self._git_reason(), self._write_reason(edit)):
            if reason:
                raise RefusedError(409, "not_writable", f"{reason} Apply the patch yourself.", patch=edit.patch)
        for file, text in edit.files.items():
            replace_file(self._root / file, text)

    def commit(self, edit: Edit, title: str) -> str:
        """Commit the edit to a new branch, without touching the work tree or the index. Returns the branch."""
        branch = f"interlock/{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}"
        with tempfile.TemporaryDirectory() as scratch:
            environ = {**os.environ, "GIT_INDEX_FILE": str(Path(scratch) / "index")}
            try:
                top = Path(self._git("rev-parse", "--show-toplevel").strip())
                inside = self._root.resolve().relative_to(top.resolve())
                self._git("read-tree", "HEAD", environ=environ)
                for file, text in edit.files.items():
                    blob = self._git("hash-object", "-w", "--stdin", text=text).strip()
                    where = (inside / file).as_posix()
                    self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{where}", environ=environ)
                tree = self._git("write-tree", environ=environ).strip()
                made = self._git("commit-tree", tree, "-p", "HEAD", "-m", title, environ=_author(environ)).strip()
                self._git("update-ref", f"refs/heads/{branch}", made, "0" * 40)
            except (OSError, subprocess.CalledProcessError, ValueError) as problem:
                said = getattr(problem, "stderr", "") or str(problem)
                message = f"git could not commit the change: {said.strip()[:300]}"
                raise RefusedError(409, "not_writable", message, patch=edit.patch) from None
        return branch

    def audit(self, row: Mapping[str, Any]) -> None:
        """Append one JSON line to the audit file. Raises ``OSError``."""
        path = self._root / AUDIT
        path.parent.mkdir(exist_ok=True)
        line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **row}, ensure_ascii=False)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def managed_by_git(self) -> bool:
        """Whether the configuration folder lies in a git work tree."""
        return any((parent / ".git").exists() for parent in (self._root.resolve(), *self._root.resolve().parents))

    def _git_reason(self) -> str:
        if not self.managed_by_git():
            return ""
        return (
            "The configuration folder is managed by git: files change by commits. "
            "With `management: {edits: branch}` in the settings this would be a commit on a new branch."
        )

    def _write_reason(self, edit: Edit) -> str:
        for file in edit.files:
            folder = (self._root / file).parent
            while not folder.exists():
                folder = folder.parent
            if not os.access(folder, os.W_OK) or (self._root / file).is_symlink():
                return f"{file} cannot be written here."
        return ""

    def _git(self, *words: str, text: str | None = None, environ: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(  # noqa: S603 (a fixed program; the words are ours)
            ["git", "-C", str(self._root), *words],  # noqa: S607 (found as the operator's shell finds it)
            input=text,
            env=None if environ is None else dict(environ),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    def _new_file(self, kind: str, name: str, taken: Mapping[str, str]) -> str:
        folder = "providers.d" if kind == "provider" else "policies"
        for number in ("", *(f"-{n}" for n in range(2, 100))):
            file = f"{folder}/{name}{number}.yaml"
            if file not in taken and not (self._root / file).exists():
                return file
        raise RefusedError(409, "cannot_edit", f"there is no free file name for {kind} {name!r}")

    def _read(self, file: str) -> str:
        path = self._root / file
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise RefusedError(409, "cannot_edit", f"{file} lies outside the configuration folder")
        return path.read_text(encoding="utf-8")

    def _compile(self, files: Mapping[str, str]) -> Compilation:
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "config"
            for folder in ("providers.d", "policies"):
                if (self._root / folder).is_dir():
                    shutil.copytree(self._root / folder, copy / folder)
            for file, text in files.items():
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                (copy / file).write_text(text, encoding="utf-8")
            source = self._source.moved(copy, self._source.overlays)
            return source.compile(source.load())


def _diff(file: str, before: str, after: str) -> str:
    old = f"a/{file}" if before else "/dev/null"
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), old, f"b/{file}")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def replace_file(path: Path, text: str) -> None:
    """Write a file so that readers see the old content or the new, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, scratch)
        else:
            Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _author(environ: Mapping[str, str]) -> dict[str, str]:
    """An author for commits where git knows none."""
    who = {"NAME": "interlock", "EMAIL": "interlock@localhost"}
    ours = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in who.items()}
    return {**ours, **environ}
