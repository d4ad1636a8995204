"""Where a configuration comes from: the folders on disk, behind the four questions that a reloader asks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from engine.compiler import Caches, Compilation, compile_loaded
from engine.documents import Folder, Loaded, signature

from .commit import git_commit


class Source(Protocol):
    """A configuration that may change. Every method may block, and is called from one thread at a time."""

    def signature(self) -> str:
        """Something cheap that differs whenever the files may have changed."""

    def commit(self) -> str | None:
        """The git commit the files are checked out from."""

    def load(self) -> Loaded:
        """The documents as they are now, with the content digest of all files (equal: same bytes, same places)."""

    def compile(self, loaded: Loaded) -> Compilation:
        """What these documents mean, or what is wrong with them."""


class FolderSource:
    """A configuration folder and its overlays. Remembers what it parsed and compiled, so that an edit costs little."""

    def __init__(self, root: Path, overlays: Sequence[Path] = (), environ: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.overlays = tuple(overlays)
        self._environ = environ
        self._caches = Caches()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder and its overlays, in order."""
        return (self.root, *self.overlays)

    def signature(self) -> str:
        return signature(self.root, self.overlays)

    def commit(self) -> str | None:
        return git_commit(self.root)

    def load(self) -> Loaded:
        return Folder(self.root, self.overlays).load(self._caches.documents)

    def compile(self, loaded: Loaded) -> Compilation:
        return compile_loaded(loaded, caches=self._caches, environ=self._environ)

    def moved(self, root: Path, overlays: Sequence[Path]) -> FolderSource:
        """The same for a copy of these folders elsewhere."""
        return FolderSource(root, overlays, self._environ)
