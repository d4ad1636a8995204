"""Finding and reading the files of a configuration folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from engine.diagnostics import Diagnostic
from engine.documents.limits import LIMITS
from engine.documents.loading import too_large
from engine.documents.locate import at, nowhere

#: The folders of a configuration that are read.
FOLDERS = ("providers.d", "policies")
_SUFFIXES = (".yaml", ".yml")
_DEPTH = 32


@dataclass(frozen=True, slots=True)
class File:
    """A YAML file: where it is, what diagnostics call it, and its status, symbolic links followed.

    ``status`` is None for a link that leads nowhere, and for one that cannot be looked at.
    """

    path: str
    shown: str
    status: os.stat_result | None

    @property
    def signature(self) -> tuple[int, ...]:
        """Changes whenever the file does, as far as the file system tells."""
        s = self.status
        return () if s is None else (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


def wanted(name: str) -> bool:
    """Whether a file of this name is part of a configuration: YAML, and neither hidden nor an editor's backup."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith((".", "~", "#"))


def find(root: str, shown: str, findings: list[Diagnostic]) -> list[File]:
    """The YAML files of the configuration folder ``root``, by name; ``shown`` is what diagnostics call the folder."""
    prefix = "" if shown in ("", ".") else shown.rstrip("/") + "/"
    if not Path(root).is_dir():
        what = "is not a folder" if Path(root).exists() else "does not exist"
        findings.append(
            nowhere(
                shown or ".",
                "D131",
                f"the configuration folder {what}",
                hint="check the path; `interlock init` makes one",
            )
        )
        return []
    present = [name for name in FOLDERS if (Path(root) / name).is_dir()]
    if not present:
        findings.append(
            nowhere(
                shown or ".",
                "D132",
                "the folder has neither providers.d nor policies",
                hint="give the folder that holds them; `interlock init` makes them",
            )
        )
    files: list[File] = []
    for name in present:
        files.extend(_walk(str(Path(root) / name), prefix + name, findings))
        if len(files) > LIMITS.files:
            summary = f"the folder holds more than {LIMITS.files:,} YAML files"
            findings.append(nowhere(shown or ".", "D133", summary, hint="check that it is the right folder"))
            return []
    return sorted(files, key=lambda file: file.shown)


def _walk(folder: str, shown: str, findings: list[Diagnostic]) -> Iterator[File]:
    """Yields the files below ``folder``."""
    for _, label, entries in _visit(folder, shown, findings):
        for entry in entries:
            if wanted(entry.name) and not _is_folder(entry):
                yield File(entry.path, f"{label}/{printable(entry.name)}", _status(entry))


def folders(root: str | os.PathLike[str]) -> list[str]:
    """The folder ``root`` and every folder that its files are read from: where an edit of the configuration shows."""
    ignored: list[Diagnostic] = []
    read = (path for name in FOLDERS for path, _, _ in _visit(str(Path(root) / name), name, ignored))
    return [os.fspath(root), *read]


def _visit(folder: str, shown: str, findings: list[Diagnostic]) -> Iterator[tuple[str, str, list[os.DirEntry[str]]]]:
    """``folder`` and the folders below it, with their entries but the hidden ones; linked ones, none into itself."""
    todo: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(folder, shown, frozenset())]
    seen = 0
    while todo:
        folder, shown, above = todo.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116 - pathlib is too slow for ten thousand files
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except OSError as error:
            findings.append(unreadable(shown, error))
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in above or len(above) >= _DEPTH:
            continue
        yield folder, shown, entries
        seen += len(entries)
        if seen > LIMITS.files * 4:
            return
        below = above | {identity}
        todo.extend((e.path, f"{shown}/{printable(e.name)}", below) for e in entries if _is_folder(e))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def printable(name: str) -> str:
    """A file's name as text, whatever its bytes are."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unreadable(shown: str, error: OSError) -> Diagnostic:
    """The diagnostic for a file or folder that cannot be read."""
    reason = error.strerror or type(error).__name__
    hint = (
        "check the owner and the permissions"
        if isinstance(error, PermissionError)
        else "check the file, its link and the disk"
    )
    return nowhere(shown, "D130", f"cannot be read: {reason.lower()}", hint=hint)


def read(file: File) -> bytes | Diagnostic:
    """The content of ``file``, or why it is not read. Devices and pipes, and files over the limit, are not opened."""
    status = file.status
    if status is not None and not stat.S_ISREG(status.st_mode):
        return nowhere(file.shown, "D130", "is not a regular file", hint="remove it, or give it a name without .yaml")
    if status is not None and status.st_size > LIMITS.file_bytes:
        return at(file.shown, too_large(status.st_size), [""])
    try:
        # A file that grows while it is read is still not read further than the limit.
        with Path(file.path).open("rb") as opened:
            content = opened.read(LIMITS.file_bytes + 1)
    except OSError as error:
        return unreadable(file.shown, error)
    if not content:
        # What is being written is empty first: `render > file` leaves it so for as long as rendering takes.
        hint = "write a document into it, or remove it; if it is being written, it is read again when it changes"
        return nowhere(file.shown, "D134", "the file is empty", hint=hint)
    return content if len(content) <= LIMITS.file_bytes else at(file.shown, too_large(len(content)), [""])


def signature(root: str | os.PathLike[str], overlays: tuple[str | os.PathLike[str], ...] = ()) -> str:
    """A digest of names, inodes, times and sizes of all files of the folders: equal as long as nothing changes.

    It is cheap and opens no file. A change within the clock's resolution that keeps the size can escape it.
    """
    digest = blake2b(digest_size=16)
    for folder in (root, *overlays):
        ignored: list[Diagnostic] = []
        for file in find(os.fspath(folder), "", ignored):
            digest.update(f"{file.shown}\0{file.signature}\n".encode())
        digest.update(f"{len(ignored)}\0".encode())
    return digest.hexdigest()
