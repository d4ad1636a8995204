"""Which git commit a folder is at, read from ``.git`` itself: no process is started and nothing is ever raised."""

from __future__ import annotations

import re
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SYMREFS = 5
"""A reference may name another; more links than this in a chain is a loop."""
_SMALL = 4096
"""``HEAD`` and loose references are one line; anything longer is not one of them."""


def git_commit(folder: Path) -> str | None:
    """The full commit hash that the work tree around ``folder`` has checked out; ``None`` if that cannot be told.

    Says nothing about uncommitted edits. Work trees and submodules (where ``.git`` is a file) are followed; reference
    stores other than files and ``packed-refs`` are not read.
    """
    try:
        git = _git_dir(folder.resolve())
        return None if git is None else _resolve(git)
    except (OSError, ValueError, RuntimeError):
        return None


def _git_dir(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        if git.is_dir():
            return git
        if git.is_file():
            word, _, where = _line(git).partition(": ")
            return (parent / where).resolve() if word == "gitdir" and where else None
    return None


def _resolve(git: Path) -> str | None:
    common = git / _line(git / "commondir") if (git / "commondir").is_file() else git
    reference = _line(git / "HEAD")
    for _ in range(_SYMREFS):
        if not reference.startswith("ref: "):
            return reference if _HASH.fullmatch(reference) else None
        name = reference[5:].strip()
        if ".." in name or name.startswith("/"):
            return None
        loose = next((base / name for base in (git, common) if (base / name).is_file()), None)
        if loose is None:
            return _packed(common / "packed-refs", name)
        reference = _line(loose)
    return None


def _packed(file: Path, name: str) -> str | None:
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            commit, _, reference = line.rstrip("\n").partition(" ")
            if reference == name:
                return commit if _HASH.fullmatch(commit) else None
    return None


def _line(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.read(_SMALL).strip()
