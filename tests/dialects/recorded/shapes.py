"""What bodies look like: the events of streams, and the protocol that a reply's fields give away."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

CHAT, COUNT, EMBED, RERANK = "chat", "count_tokens", "embeddings", "rerank"

OPENAI, RESPONSES, ANTHROPIC = "openai-chat", "openai-responses", "anthropic-messages"
GEMINI, CONVERSE, COHERE, OLLAMA = "gemini", "bedrock-converse", "cohere", "ollama"
#: The dialects of conversations.
SPOKEN = (OPENAI, RESPONSES, ANTHROPIC, GEMINI, CONVERSE, COHERE, OLLAMA)
#: Those of them that clients speak to us.
FRONTS = (OPENAI, RESPONSES, ANTHROPIC)


class Spoken(NamedTuple):
    """A dialect, and what it is asked for."""

    dialect: str
    kind: str


class Event(NamedTuple):
    """An event of a stream: its name, if it has one, and its JSON."""

    name: str
    data: Any


def events_in(body: bytes) -> list[Event]:
    """The events of a stream in any of four forms; nothing for what is no stream."""
    if b":message-type" in body[:400] or b":event-type" in body[:400]:
        return list(_messages(body))
    if body.lstrip().startswith(b"["):
        tree = _json(body)
        chunks = tree if isinstance(tree, list) else []
        return [
            Event("", chunk) for chunk in chunks if isinstance(chunk, dict) and chunk.keys() & {"candidates", "error"}
        ]
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if any(line.startswith("data:") for line in lines):
        return list(_server_sent(lines))
    trees = [_json(line) for line in lines if line.strip()]
    whole = len(trees) > 1 and all(isinstance(tree, dict) for tree in trees)
    return [Event("", tree) for tree in trees] if whole else []


def _server_sent(lines: list[str]) -> Iterator[Event]:
    name, data = "", [""][:0]
    for line in [*lines, ""]:
        field, _, value = line.partition(":")
        if not line:
            if data and "".join(data).strip() != "[DONE]":
                yield Event(name, _json("\n".join(data)))
            name, data = "", []
        elif field == "data":
            data.append(value.removeprefix(" "))
        elif field == "event":
            name = value.strip()


def _messages(body: bytes) -> Iterator[Event]:
    """AWS's binary messages: total length, length of the headers, checksum; headers; payload; checksum."""
    at = 0
    while at + 16 <= len(body):
        total, told = struct.unpack("!II", body[at : at + 8])
        headers = dict(_headers(body[at + 12 : at + 12 + told]))
        name = headers.get(":event-type") or headers.get(":exception-type") or ""
        yield Event(name, _json(body[at + 12 + told : at + total - 4]))
        at += total


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(data):
        name = data[at + 1 : at + 1 + data[at]].decode()
        at += 2 + data[at]  # all of them are texts here
        (size,) = struct.unpack("!H", data[at : at + 2])
        yield name, data[at + 2 : at + 2 + size].decode()
        at += 2 + size


def _json(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def by_shape(tree: Any) -> Spoken | None:
    """The protocol of a reply, of a stream's first event, or of an error; ``None`` if nothing gives it away."""
    if not isinstance(tree, dict):
        return None
    return _chat(tree) or _vectors(tree) or _error(tree)


def _chat(tree: dict[str, Any]) -> Spoken | None:
    kind, message = str(tree.get("type", "")), tree.get("message")
    choices = tree.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    found = None
    begun = choices == [] and "prompt_filter_results" in tree  # Azure's first chunk
    if begun or str(tree.get("object", "")).startswith("chat.completion") or first.keys() & {"message", "delta"}:
        found = OPENAI
    elif tree.get("object") == "response" or kind.startswith("response."):
        found = RESPONSES
    elif kind == "message_start" or (kind == "message" and "content" in tree):
        found = ANTHROPIC
    elif tree.keys() & {"candidates", "promptFeedback"}:
        found = GEMINI
    elif isinstance(tree.get("output"), dict) and "message" in tree["output"]:
        found = CONVERSE
    elif kind == "message-start" or (isinstance(message, dict) and "finish_reason" in tree):
        found = COHERE
    elif isinstance(message, dict) and "done" in tree:
        found = OLLAMA
    return Spoken(found, CHAT) if found else None


def _vectors(tree: dict[str, Any]) -> Spoken | None:
    vectors, one = tree.get("embeddings"), tree.get("embedding")
    first = vectors[0] if isinstance(vectors, list) and vectors else None
    if isinstance(tree.get("predictions"), list) and "embeddings" in tree["predictions"][0]:
        return Spoken(GEMINI, EMBED)
    if isinstance(one, dict) or (isinstance(first, dict) and "values" in first):
        return Spoken(GEMINI, EMBED)
    if (isinstance(one, list) and "inputTextTokenCount" in tree) or (
        isinstance(first, dict) and "embeddingType" in first
    ):
        return Spoken(CONVERSE, EMBED)
    if isinstance(vectors, dict) or "response_type" in tree:
        return Spoken(COHERE, EMBED)
    if isinstance(first, list):
        return Spoken(OLLAMA, EMBED)
    items = tree.get("data", tree.get("results"))
    item = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
    if "embedding" in item:
        return Spoken(OPENAI, EMBED)
    if "relevance_score" in item:
        return Spoken(COHERE if "api_version" in (tree.get("meta") or {}) else OPENAI, RERANK)
    return None


def _error(tree: dict[str, Any]) -> Spoken | None:
    error = tree.get("error")
    if not isinstance(error, dict):
        return None
    if tree.get("type") == "error":
        return Spoken(ANTHROPIC, CHAT)
    if isinstance(error.get("status"), str):
        return Spoken(GEMINI, CHAT)
    return Spoken(OPENAI, CHAT) if "type" in error else None
