"""Cassettes: one exchange a file, and what a dialect has to make of it. tests/dialects/README.md is their manual."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from msgspec import Raw

from engine.dialects import dialects
from engine.dialects.openai_chat import OpenAIChat
from engine.exchange import Call, Header, Shape
from engine.executor.intake import make_call

FOLDER = Path(__file__).parent / "cassettes"
#: Unix seconds of the moment at which every reply arrives.
NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Cassette:
    """One file: ``tree`` is what stands in it."""

    dialect: OpenAIChat
    tree: dict[str, Any]

    def call(self) -> Call:
        """The call that the client's request makes."""
        headers = self.tree.get("headers", {})
        return make_call("/chat/completions", msgspec.json.encode(self.tree["request"]), headers, id_="r-1")

    def shape(self) -> Shape:
        """What the target asks of the encoding."""
        target = self.tree.get("target", {"model": "up"})
        return Shape(
            Raw(msgspec.json.encode(target["model"])),
            rename=tuple(target.get("rename", {}).items()),
            drop=frozenset(target.get("drop", ())),
            stream_usage=target.get("stream_usage", True),
        )

    def sent(self) -> dict[str, Any]:
        """The body that the upstream has to receive: ``sent`` is merged over the request, ``null`` removes a field."""
        body = self.tree["request"] | {"model": self.tree["target"]["model"]} | self.tree.get("sent", {})
        gone = {name for name, value in self.tree.get("sent", {}).items() if value is None}
        return {name: value for name, value in body.items() if name not in gone}

    @property
    def status(self) -> int:
        """The status of the upstream's reply."""
        status: int = self.tree["reply"]["status"]
        return status

    @property
    def header(self) -> Header:
        """The headers of the upstream's reply."""
        headers: dict[str, str] = self.tree["reply"]["headers"]
        return headers.get

    def body(self) -> bytes:
        """The body of the upstream's reply."""
        reply = self.tree["reply"]
        return msgspec.json.encode(reply["json"]) if "json" in reply else reply["text"].encode()

    def is_stream(self) -> bool:
        """Whether the upstream answers with a stream."""
        return "event-stream" in (self.header("content-type") or "")

    def relayed(self) -> bytes:
        """What the client has to receive of a stream."""
        tree, text = self.tree, self.body().decode()
        if "relayed_without" in tree:
            return "".join(e for e in _events(text) if tree["relayed_without"] not in e).encode()
        if "relayed_until" in tree:
            at = text.index(tree["relayed_until"])
            return text[: text.rindex("data:", 0, at + 1)].encode()
        if "relayed_and" in tree:
            return (text + tree["relayed_and"]).encode()
        return {"all": text, "none": ""}.get(tree["relayed"], tree["relayed"]).encode()


def _events(text: str) -> list[str]:
    return [event + "\n\n" for event in text.split("\n\n")[:-1]]


@cache
def files() -> tuple[Path, ...]:
    """Every cassette there is."""
    return tuple(sorted(FOLDER.rglob("*.yaml")))


def load(path: Path) -> Cassette:
    """The cassette in this file; its folder names the dialect."""
    tree = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return Cassette(cast(OpenAIChat, dialects()[path.parent.name]), tree)
