"""Writes every generated part of the documents again: ``python tests/docs/refresh.py``; ``make docs`` calls it.

Generated are the JSON Schemas, the parts in ``parts.py``, and the outputs of what README.md and engine/README.md show.
Nothing is written that only differs in fingerprints and times.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pages import PAGES, ROOT, masked, replayed, workshop
from parts import PARTS, renewed

from engine.schema import check_schemas, write_schemas


def main() -> int:
    """Write what is not current, and name it."""
    for difference in check_schemas(ROOT / "schemas"):
        sys.stdout.write(f"schemas/{difference}; written\n")
    write_schemas(ROOT / "schemas")
    for name in PARTS:
        _write(name, renewed(name))
    for name in PAGES:
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
