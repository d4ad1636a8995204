"""YAML files to documents: plain trees, each with a map back to the place where every value was written.

The loader reads YAML 1.2's core schema and refuses what reads differently in different tools: tags, merge keys,
duplicate keys, keys that are not texts, unbounded aliases, and text in another encoding than UTF-8. Whatever a file
contains, the answer is documents and diagnostics, in bounded time and memory.
"""

from __future__ import annotations

from engine.documents.files import folders, signature
from engine.documents.folder import DocumentCache, Folder
from engine.documents.headers import NAME_LENGTH, NAME_PATTERN, TEST_NAME_PATTERN
from engine.documents.limits import LIMITS, Limits
from engine.documents.loading import load_text
from engine.documents.locate import diagnose, place
from engine.documents.merge import merge_patch
from engine.documents.model import KINDS, Document, Loaded
from engine.documents.sourcemap import MergedSource, Path, Source, SourceMap, Span

__all__ = [
    "KINDS",
    "LIMITS",
    "NAME_LENGTH",
    "NAME_PATTERN",
    "TEST_NAME_PATTERN",
    "Document",
    "DocumentCache",
    "Folder",
    "Limits",
    "Loaded",
    "MergedSource",
    "Path",
    "Source",
    "SourceMap",
    "Span",
    "diagnose",
    "folders",
    "load_text",
    "merge_patch",
    "place",
    "signature",
]
