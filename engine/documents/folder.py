"""A configuration folder with its overlays."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from engine.diagnostics import Diagnostic
from engine.diagnostics.order import sort
from engine.documents import files
from engine.documents.loading import Parsed, parse
from engine.documents.merge import by_name, overlay
from engine.documents.model import Document, Loaded

#: A file whose last change is this recent when it is read may change again without its times telling, in nanoseconds.
_RECENT = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    signature: tuple[int, ...]
    settled: bool
    digest: str
    parsed: Parsed


class DocumentCache:
    """Documents by file and content, so that loading again reads only what changed. Not for several threads at once."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, bool], _Entry] = {}

    def _load(self, file: files.File, over: bool) -> tuple[_Entry, tuple[str, str, bool]]:
        key = (file.path, file.shown, over)
        held = self._entries.get(key)
        if held is not None and held.settled and held.signature == file.signature:
            return held, key
        started = time.time_ns()
        content = files.read(file)
        if isinstance(content, Diagnostic):
            return _Entry(
                (), False, blake2b(repr(content).encode(), digest_size=16).hexdigest(), Parsed((), (content,))
            ), key
        digest = blake2b(content, digest_size=16).hexdigest()
        if held is not None and held.digest == digest:
            parsed = held.parsed
        else:
            parsed = parse(content, file.shown, overlay=over, known=held.parsed.sound if held is not None else {})
        status = file.status
        settled = status is not None and max(status.st_mtime_ns, status.st_ctime_ns) + _RECENT < started
        return _Entry(file.signature, settled, digest, parsed), key

    def load(self, found: Sequence[tuple[files.File, bool]]) -> list[tuple[str, Parsed]]:
        """Digest and content of each file (with: is it of an overlay); forgets the files that are not among them."""
        entries: dict[tuple[str, str, bool], _Entry] = {}
        loaded: list[tuple[str, Parsed]] = []
        for file, over in found:
            entry, key = self._load(file, over)
            entries[key] = entry
            loaded.append((entry.digest, entry.parsed))
        self._entries = entries
        return loaded


class Folder:
    """A folder with ``providers.d`` and ``policies``, and overlays of the same shape, in the order they apply."""

    def __init__(self, root: str | os.PathLike[str], overlays: Sequence[str | os.PathLike[str]] = ()) -> None:
        self.root = os.fspath(root)
        self.overlays = tuple(os.fspath(folder) for folder in overlays)

    def load(self, cache: DocumentCache | None = None) -> Loaded:
        """Reads what changed since the last load with ``cache``; never raises for what it finds on disk."""
        diagnostics: list[Diagnostic] = []
        layers = [files.find(self.root, "", diagnostics)]
        layers += [files.find(folder, self._shown(folder), diagnostics) for folder in self.overlays]
        found = [(file, number > 0) for number, layer in enumerate(layers) for file in layer]
        loaded = (cache if cache is not None else DocumentCache()).load(found)
        content = blake2b(digest_size=16)
        for (file, _), (digest, _parsed) in zip(found, loaded, strict=True):
            content.update(f"{file.shown}\0{digest}\n".encode())
        for finding in diagnostics:
            content.update(repr(finding).encode())
        documents = self._merge(layers, [parsed for _, parsed in loaded], diagnostics)
        return Loaded(documents, sort(diagnostics), content.hexdigest(), len(found))

    def _merge(
        self, layers: list[list[files.File]], parsed: list[Parsed], diagnostics: list[Diagnostic]
    ) -> tuple[Document, ...]:
        """All documents of all layers, overlays merged into the base."""
        start, nameless, base = 0, list[Document](), dict[tuple[str, str], Document]()
        for number, layer in enumerate(layers):
            held = parsed[start : start + len(layer)]
            start += len(layer)
            for part in held:
                diagnostics.extend(part.diagnostics)
            named, without, findings = by_name(document for part in held for document in part.documents)
            diagnostics.extend(findings)
            nameless.extend(without)
            if number == 0:
                base = named
            else:
                diagnostics.extend(overlay(base, named))
        ordered = [base[key] for key in sorted(base)]
        return (*ordered, *sorted(nameless, key=lambda document: (document.file, document.index)))

    def _shown(self, folder: str) -> str:
        """What diagnostics call an overlay: its path as seen from the configuration folder."""
        try:
            relative = os.path.relpath(folder, self.root)
        except ValueError:
            relative = folder
        return files.printable(Path(relative).as_posix())
