"""Configurations in folders and in git's history: a revision is read into a folder of its own, the work tree is not
touched."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from .options import CONFIG_PARTS, require_config
from .terminal import Problem

#: Seconds that git may take.
_PATIENCE = 120


class Side(NamedTuple):
    """A configuration to compare: its folder, and what it is called for people."""

    folder: Path
    name: str


@contextmanager
def opened(what: str, beside: Path) -> Iterator[Side]:
    """The configuration in folder ``what``, or at that revision of the repository that ``beside`` is in.

    A folder of that name wins. Raises :class:`Problem` where there is neither, and where it is no configuration.
    """
    folder = Path(what)
    if folder.is_dir():
        require_config(folder)
        yield Side(folder, what)
        return
    with TemporaryDirectory(prefix="interlock-plan-") as scratch:
        commit, below = _extract(what, beside, Path(scratch))
        inside = Path(scratch) / below
        if not any((inside / part).is_dir() for part in CONFIG_PARTS):
            place = f'folder "{below}"' if below else "its top folder"
            raise Problem(
                f'revision "{what}" has no configuration in {place}: neither providers.d/ nor policies/',
                "run it in the folder of the repository that holds them, or name a folder",
            )
        yield Side(inside, f"{what} ({commit[:12]})" if not commit.startswith(what) else commit[:12])


def _extract(what: str, beside: Path, scratch: Path) -> tuple[str, str]:
    """Write the tree of a revision below ``scratch``; its commit, and where ``beside`` is in it."""
    try:
        below = _git(beside, "rev-parse", "--show-prefix").decode().strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise Problem(
            f'there is no folder "{what}", and {_where(beside)} is in no git repository that could have a revision '
            "of that name",
            "name two folders, or run it inside the repository",
        ) from error
    try:
        commit = _git(beside, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{what}^{{commit}}")
    except (OSError, subprocess.SubprocessError) as error:
        raise Problem(
            f'"{what}" is neither a folder nor a revision of this repository',
            "`git log --oneline` lists revisions; in a shallow clone `git fetch --unshallow` brings the older ones",
        ) from error
    name = commit.decode().strip()
    inside = below.rstrip("/")
    tree = f"{name}:{inside}"
    try:
        found = _git(beside, "ls-tree", "--name-only", "--full-tree", "-z", tree)
    except subprocess.CalledProcessError:
        return name, inside  # the folder is not there in that revision
    listed = found.decode("utf-8", "replace").split("\0")
    parts = [part for part in CONFIG_PARTS if part in listed]
    if not parts:
        return name, inside
    try:
        top = Path(_git(beside, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
        words = ("-c", "core.autocrlf=false", "archive", "--format=tar", f"--prefix={below}", tree, "--", *parts)
        packed = _git(top, *words)
    except (OSError, subprocess.SubprocessError) as error:
        raise Problem(f'git cannot read the files of revision "{what}"', "`git fsck` says what is missing") from error
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(scratch, filter="data")
    return name, inside


def _where(folder: Path) -> str:
    return "this folder" if folder == Path() else f'"{folder}"'


def _git(folder: Path, *words: str) -> bytes:
    return subprocess.run(  # noqa: S603 (a fixed program; a revision cannot be an option)
        ["git", "-C", str(folder), *words],  # noqa: S607 (found as the operator's shell finds it)
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=_PATIENCE,
    ).stdout
