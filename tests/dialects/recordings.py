"""Recorded exchanges: the small ones beside these tests, and the whole corpus where it is present."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .recorders import FORMATS, Exchange

HERE = Path(__file__).parent
CASSETTES = HERE / "cassettes"
CORPUS = HERE.parents[1].parent / "shared" / "corpus"


def cassette(dialect: str, name: str) -> Exchange:
    """One of the recordings beside these tests."""
    tree = json.loads((CASSETTES / dialect / f"{name}.json").read_text(encoding="utf-8"))
    body = base64.b64decode(tree["base64"]) if "base64" in tree else tree["body"].encode()
    headers = {"content-type": tree.get("content_type", "")}
    if "error_type" in tree:
        headers["x-amzn-errortype"] = tree["error_type"]
    return Exchange(name, tree.get("path", ""), tree.get("request"), tree["status"], headers, body)


def rows() -> list[dict[str, Any]]:
    """What the corpus says of its files, one entry each; nothing where there is no corpus."""
    index = CORPUS / "INDEX.jsonl"
    return [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()] if index.exists() else []


def corpus(provider: str) -> Iterator[Exchange]:
    """Every exchange of a provider that the corpus holds, of every format."""
    for row in rows():
        if row["provider"] == provider:
            yield from FORMATS[row["format"]](row["file"], (CORPUS / row["file"]).read_bytes())
