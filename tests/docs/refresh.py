"""Writes every generated part of the documents again: ``python tests/docs/refresh.py``; ``make docs`` calls it.

Generated are the JSON Schemas, the field tables, the help of the commands, the parts in ``parts.py``, and the outputs in
the README's tour. Nothing is written that only differs in fingerprints and times.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pages import ROOT, masked, replayed, workshop
from parts import PARTS

from engine.cli.helptext import refresh, replace_block
from engine.schema import write_schemas
from engine.schema.tables import MANUALS, renewed

RUN = ("README.md", "engine/README.md")


def main() -> int:
    """Write what is not current, and name it."""
    write_schemas(ROOT / "schemas")
    if not refresh(ROOT / "engine/cli/README.md"):
        sys.stdout.write("engine/cli/README.md: help\n")
    for name in MANUALS:
        _write(name, renewed(_read(name)))
    for name, parts in PARTS.items():
        text = _read(name)
        for part, render in parts.items():
            text = replace_block(text, part, render())
        _write(name, text)
    for name in RUN:
        with tempfile.TemporaryDirectory() as scratch, workshop(Path(scratch)) as shop:
            shown = replayed(_read(name), shop)
        if masked(shown) != masked(_read(name)):
            _write(name, shown)
    return 0


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _write(name: str, text: str) -> None:
    if text != _read(name):
        (ROOT / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: renewed\n")


if __name__ == "__main__":
    sys.exit(main())
