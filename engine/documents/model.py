"""What the loader hands on: documents, and where each value of them was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.diagnostics import Diagnostic
from engine.documents.sourcemap import Source

#: Every kind of document, in the order in which manuals and messages list them.
KINDS = ("provider", "route", "policy", "key", "settings", "budget", "limit", "invariant", "test")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    ``kind`` and ``name`` are None where the document does not say them properly (there is a diagnostic then). ``file``
    is a posix path relative to the configuration folder and ``index`` the position within it, from 0. ``tree`` is made
    of dict, list, str, int, float, bool and None only and must not be changed: aliases share, and so do reloads.
    ``digest`` is that of the text (of all layers, where overlays were merged): equal digests mean equal trees, whatever
    the file and the line.
    """

    kind: str | None
    name: str | None
    file: str
    index: int
    tree: Mapping[str, Any]
    source: Source
    digest: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything a configuration folder holds.

    ``documents`` are sorted by (kind, name), then by place; ``diagnostics`` by place. ``digest`` covers the names and
    the content of all files that were read, in all layers; ``files`` is how many they were.
    """

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...]
    digest: str
    files: int
