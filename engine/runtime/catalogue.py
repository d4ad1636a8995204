"""The shipped catalogue of providers: one YAML file each."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from engine.graph import Graph

from .source import FolderSource

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def catalogue() -> Path:
    """The folder that holds the catalogue: in an installed package its own copy, in a clone ``providers.d``."""
    packaged = _PACKAGE / "catalogue"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "providers.d"


def catalogue_text(provider: str) -> str | None:
    """The catalogue's document for this provider, ``None`` if it has none."""
    path = catalogue() / f"{provider}.yaml"
    if path.parent != catalogue() or not path.is_file():
        return None
    return path.read_text(encoding="utf-8")


def catalogue_names() -> list[str]:
    """The providers of the catalogue."""
    return sorted(path.stem for path in catalogue().glob("*.yaml"))


@cache
def catalogue_graph() -> Graph:
    """The catalogue as a graph of providers and targets, without routes. Blocks for a moment the first time."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "providers.d").symlink_to(catalogue(), target_is_directory=True)
        source = FolderSource(Path(scratch), environ={})
        graph = source.compile(source.load()).graph
    return graph if graph is not None else Graph.build()
