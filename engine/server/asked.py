"""What an endpoint beside the model calls is asked, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from engine.graph import Graph, Key

JSON = "application/json"
#: Status, content type, body.
Answer = tuple[int, str, bytes]


class Asked(msgspec.Struct):
    """One request to such an endpoint; ``argument`` is what its path names."""

    engine: Any
    graph: Graph
    key: Key | None
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    argument: str = ""

    def option(self, name: str) -> str | None:
        """The query's parameter of that name."""
        found = parse_qs(self.query.decode("latin-1")).get(name)
        return found[-1] if found else None


def json_answer(tree: Any, status: int = 200) -> Answer:
    """An answer that holds this JSON value."""
    return status, JSON, msgspec.json.encode(tree)
