"""Keeping the last configuration that went live, so that a restart on a broken one can still serve."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.documents.files import find

from .reading import Reading, read
from .source import FolderSource

try:
    import fcntl
except ImportError:  # not on every platform; there workers cannot share a port either
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger("interlock.reload")

_POINTER = "current"
_META = "meta.json"


class LastGood:
    """A folder with copies of configurations; the file ``current`` names the one to start on.

    A copy is written beside the one in use and then pointed to, so that a crash at any moment leaves a whole one.
    Methods block; they are called from one thread at a time.
    """

    def __init__(self, folder: Path, source: FolderSource) -> None:
        self._folder = folder
        self._source = source

    def store(self, digest: str, fingerprint: str, commit: str | None) -> bool:
        """Keep the files that have this digest. Never raises.

        ``False`` if they could not be kept, or have changed by the time they are copied: those come round themselves.
        """
        try:
            return self._store(digest, fingerprint, commit)
        except OSError as error:
            _log.error("could not keep the last good configuration in %s: %s", self._folder, error)
            return False

    def restore(self) -> Reading | None:
        """The configuration that was kept, compiled; ``None`` (and why, in the log) if there is none that works."""
        try:
            copy = self._kept()
            if copy is None:
                _log.error("no last good configuration was kept in %s yet", self._folder)
                return None
            meta = json.loads((copy / _META).read_text(encoding="utf-8"))
            fingerprint, overlays = meta["fingerprint"], [copy / f"overlay-{n}" for n in range(meta["overlays"])]
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.error("the last good configuration in %s cannot be read: %s", self._folder, error)
            return None
        reading = read(self._source.moved(copy / "config", overlays))
        if reading.graph is None or reading.graph.fingerprint != fingerprint:
            _log.error("the last good configuration in %s is damaged, or of another version", copy)
            return None
        return Reading(reading.digest, meta.get("git_commit"), graph=reading.graph, diagnostics=reading.diagnostics)

    def _store(self, digest: str, fingerprint: str, commit: str | None) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        with _alone(self._folder):
            return self._store_alone(digest, fingerprint, commit)

    def _store_alone(self, digest: str, fingerprint: str, commit: str | None) -> bool:
        kept = self._kept()
        if kept is not None and json.loads((kept / _META).read_text(encoding="utf-8")).get("digest") == digest:
            return True
        new = Path(tempfile.mkdtemp(prefix=f"{fingerprint}-", dir=self._folder))
        try:
            for origin, name in zip(self._source.folders, self._names(), strict=True):
                _copy(origin, new / name, kept and kept / name)
            overlays = len(self._source.overlays)
            meta = {"fingerprint": fingerprint, "digest": digest, "git_commit": commit, "overlays": overlays}
            _write(new / _META, json.dumps(meta, indent=2).encode() + b"\n")
            if self._source.load().digest != digest:
                shutil.rmtree(new)
                return False
            _point(self._folder, new)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        for old in self._folder.iterdir():
            if old != new and (old / _META).is_file():
                shutil.rmtree(old, ignore_errors=True)
        return True

    def _names(self) -> list[str]:
        return ["config", *(f"overlay-{n}" for n in range(len(self._source.overlays)))]

    def _kept(self) -> Path | None:
        try:
            kept = self._folder / (self._folder / _POINTER).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return kept if (kept / _META).is_file() else None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: several workers keep the same configuration at the same moment."""
    with (folder / ".lock").open("wb") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy(origin: Path, copy: Path, kept: Path | None) -> None:
    """Copy the YAML files; those that are the same in the copy kept so far are linked, which spares the disk."""
    copy.mkdir()
    for file in find(str(origin), "", []):
        content = Path(file.path).read_bytes()
        inside = Path(file.path).relative_to(origin)
        to = copy / inside
        to.parent.mkdir(parents=True, exist_ok=True)
        if kept is None or not _link(kept / inside, to, content):
            _write(to, content)


def _link(kept: Path, to: Path, content: bytes) -> bool:
    try:
        if kept.read_bytes() != content:
            return False
        to.hardlink_to(kept)
    except OSError:
        return False
    return True


def _point(folder: Path, new: Path) -> None:
    draft = folder / f".{_POINTER}.{os.getpid()}"
    _write(draft, new.name.encode() + b"\n")
    draft.replace(folder / _POINTER)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
