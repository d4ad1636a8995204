"""Blocks of content, both ways (AWS's API reference, ``ContentBlock`` and ``ToolResultContentBlock``).

The protocol carries bytes and S3 objects. Another address is an error, never a fetch. Redacted thought is the base64 of
what Anthropic's own protocol calls ``data``, so that it stays valid from one service to the other.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from engine.dialects.claude import sendable, version
from engine.dialects.mime import mime_of, text_of
from engine.dialects.trees import arguments_object, json_text, json_tree, mapping, mappings, text
from engine.dialects.writing import Writing
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    Citation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

from .names import NAME, caches, format_of_mime, mime_of_format

Block = dict[str, Any]

# --- from the wire -------------------------------------------------------------------------------------------------


def read_blocks(blocks: object) -> list[Part]:
    """The parts of a message; a cache point is a mark on the part before it."""
    parts: list[Part] = []
    for block in mappings(blocks):
        point = block.get("cachePoint")
        if isinstance(point, dict) and parts and mark(parts[-1], point):
            continue
        parts.append(read_block(block))
    return parts


def mark(part: Any, point: dict[str, Any]) -> bool:
    """Marks a part (or a tool) as the end of what is worth caching; false where it cannot bear the mark."""
    if getattr(part, "cache", part) is not None:
        return False
    part.cache = {"type": "ephemeral"}
    ttl = text(point.get("ttl"))
    if ttl:
        part.cache["ttl"] = ttl
    return True


def cache_point(cache: dict[str, Any]) -> Block:
    """The mark as a block of its own."""
    ttl = text(cache.get("ttl"))
    return {"cachePoint": {"type": "default", "ttl": ttl} if ttl else {"type": "default"}}


def read_block(block: Block) -> Part:
    """One block; what only this protocol knows, or what is not as it should be, is opaque."""
    for name, read in _READERS.items():
        if name in block:
            part = read(block[name])
            return part if part is not None else Opaque(NAME, block)
    return Opaque(NAME, block)


def _read_text(value: Any) -> Part | None:
    return Text(value) if isinstance(value, str) else None


def _read_tool_use(value: Any) -> Part | None:
    tree = mapping(value)
    name = tree.get("name")
    if not isinstance(name, str) or tree.get("type") == "server_tool_use":
        return None
    made = tree.get("input")
    return ToolCall(text(tree.get("toolUseId")), name, json_text(made if made is not None else {}))


def _read_tool_result(value: Any) -> Part | None:
    tree = mapping(value)
    called = tree.get("toolUseId")
    if not isinstance(called, str) or "type" in tree:
        return None
    content: list[Text | Media | Opaque] = []
    for block in mappings(tree.get("content")):
        if "json" in block:
            content.append(Text(json_text(block["json"]), extra={"json": True}))
        else:
            part = read_block(block)
            content.append(part if isinstance(part, Text | Media) else Opaque(NAME, block))
    return ToolResult(called, content, is_error=tree.get("status") == "error")


def _read_reasoning(value: Any) -> Part | None:
    tree = mapping(value)
    inner = tree.get("reasoningText")
    if isinstance(inner, dict):
        return Thinking(text(inner.get("text")), text(inner.get("signature")) or None)
    redacted = text_of(text(tree.get("redactedContent")))
    return Thinking(redacted=redacted) if redacted else None


def _read_cited(value: Any) -> Part | None:
    tree = mapping(value)
    told = "".join(text(piece.get("text")) for piece in mappings(tree.get("content")))
    return Text(told, [read_citation(one) for one in mappings(tree.get("citations"))])


def read_citation(tree: dict[str, Any]) -> Citation:
    """The citation, with its original beside it."""
    quote = "".join(text(piece.get("text")) for piece in mappings(tree.get("sourceContent")))
    return Citation(
        url=text(mapping(mapping(tree.get("location")).get("web")).get("url")) or None,
        title=text(tree.get("title")) or None,
        quote=quote or None,
        document=text(tree.get("source")) or None,
        extra=tree,
    )


def _media(kind: MediaKind) -> Callable[[Any], Part | None]:
    def read(value: Any) -> Part | None:
        tree = mapping(value)
        source, name = mapping(tree.get("source")), text(tree.get("format"))
        media = Media(kind, mime_of_format(kind, name) if name else None, name=text(tree.get("name")) or None)
        media.extra = {field: tree[field] for field in tree if field not in ("format", "source", "name")}
        place = mapping(source.get("s3Location"))
        if isinstance(source.get("bytes"), str):
            media.data = source["bytes"]
        elif isinstance(source.get("text"), str):
            media.text = source["text"]
        elif isinstance(place.get("uri"), str):
            media.url = place["uri"]
            if len(place) > 1:
                media.extra["s3Location"] = place
        else:
            return None
        return media

    return read


_READERS: dict[str, Callable[[Any], Part | None]] = {
    "text": _read_text,
    "toolUse": _read_tool_use,
    "toolResult": _read_tool_result,
    "reasoningContent": _read_reasoning,
    "citationsContent": _read_cited,
    "image": _media("image"),
    "document": _media("file"),
    "video": _media("video"),
    "audio": _media("audio"),
}


# --- to the wire ---------------------------------------------------------------------------------------------------


class Numbering(Writing):
    """With the model, and the documents written so far: each needs a name of its own."""

    model: str = ""
    documents: int = 0


def write_blocks(parts: list[Part], writing: Numbering) -> list[Block]:
    """The blocks of a request's message. Empty texts, which the protocol refuses, are left out.

    Raises ``UncarriedError``.
    """
    blocks: list[Block] = []
    for part in parts:
        block = _write(part, writing)
        if block is not None:
            blocks.append(block)
            cache = _mark_of(part)
            if cache is not None:
                add_point(blocks, cache, writing)
    return blocks


def _mark_of(part: Part) -> dict[str, Any] | None:
    """The part's mark; a mark within a result stands behind the result, since there is no place for it inside."""
    found: dict[str, Any] | None = getattr(part, "cache", None)
    if found is None and isinstance(part, ToolResult):
        return next((mark for inner in part.content if (mark := _mark_of(inner)) is not None), None)
    return found


def add_point(blocks: list[Block], cache: dict[str, Any], writing: Numbering) -> None:
    """The mark on the last of ``blocks``, if the model takes it."""
    if writing.same or caches(writing.model):
        blocks.append(cache_point(cache))
    else:
        writing.dropped.append("cache_control")


def _write(part: Part, writing: Numbering) -> Block | None:
    if isinstance(part, Text):
        return _write_text(part, writing)
    if isinstance(part, ToolCall):
        made = arguments_object(part.arguments)
        return {"toolUse": {"toolUseId": tool_id(part.id), "name": part.name, "input": made}}
    if isinstance(part, ToolResult):
        return _write_tool_result(part, writing)
    if isinstance(part, Media):
        return write_media(part, writing)
    if isinstance(part, Thinking):
        return _write_thinking(part, writing)
    if isinstance(part, Refusal):
        return {"text": part.text} if part.text.strip() else None
    return _own(part, writing)


def _own(part: Opaque, writing: Numbering) -> Block | None:
    if part.origin == NAME:
        value: Block = part.value
        return value
    kind = part.value.get("type") if isinstance(part.value, dict) else None
    writing.dropped.append(kind if isinstance(kind, str) else "content")
    return None


def _write_text(part: Text, writing: Numbering) -> Block | None:
    if not part.text or (not writing.same and not part.text.strip()):
        return None
    if part.citations:
        if writing.same:
            originals = [one.extra for one in part.citations]
            return {"citationsContent": {"content": [{"text": part.text}], "citations": originals}}
        writing.dropped.append("annotations")
    return {"text": part.text}


def _write_thinking(part: Thinking, writing: Numbering) -> Block | None:
    if not writing.same and not (version(writing.model) is not None and sendable(part)):
        # Only its maker's signature makes a thought acceptable.
        writing.dropped.append("reasoning_content")
        return None
    return thought_block(part)


def thought_block(part: Thinking) -> Block:
    """The block for a thought."""
    if part.redacted is not None:
        return {"reasoningContent": {"redactedContent": base64_of(part.redacted)}}
    told = {"text": part.text}
    if part.signature is not None:
        told["signature"] = part.signature
    return {"reasoningContent": {"reasoningText": told}}


def _write_tool_result(part: ToolResult, writing: Numbering) -> Block:
    content = []
    for inner in part.content:
        if isinstance(inner, Text) and writing.same and inner.extra.get("json"):
            content.append({"json": json_tree(inner.text)})
            continue
        block = _write(inner, writing)
        if block is not None:
            content.append(block)
    result: Block = {"toolUseId": tool_id(part.id), "content": content}
    if part.is_error:
        result["status"] = "error"
    return {"toolResult": result}


def write_media(part: Media, writing: Numbering) -> Block:
    """The block for media that stand in the request or in S3. Raises ``UncarriedError`` for others."""
    kind = "document" if part.kind == "file" else part.kind
    extra = dict(part.extra) if writing.same else {}
    place = extra.pop("s3Location", None)
    if part.detail not in (None, "auto"):
        writing.dropped.append("detail")
    mime = mime_of(part)
    if part.text is not None:
        source: Block = {"text": part.text} if writing.same else {"bytes": base64_of(part.text)}
        mime = mime or "text/plain"
    elif part.data is not None:
        source = {"bytes": part.data}
    elif part.url is not None and part.url.startswith("s3://"):
        source = {"s3Location": place or {"uri": part.url}}
    else:
        raise UncarriedError(
            "messages",
            f"The protocol of this model's provider takes {_called(part)} inline or from S3, not by address or id.",
        )
    block: Block = {"source": source}
    if mime is not None or not writing.same:
        block["format"] = _format(part, mime)
    if kind == "document":
        block["name"] = part.name if writing.same and part.name else _document_name(part, writing)
    return {kind: {**block, **extra}}


def base64_of(told: str) -> str:
    """Text as bytes travel."""
    return base64.b64encode(told.encode()).decode()


def _called(part: Media) -> str:
    return {"image": "images", "video": "videos", "audio": "audio", "file": "files"}[part.kind]


def _format(part: Media, mime: str | None) -> str:
    if mime is None and part.kind == "file" and part.name and "." in part.name:
        return part.name.rpartition(".")[2].lower()
    if mime is None and part.data is not None and part.kind == "file" and text_of(part.data) is not None:
        return "txt"
    if mime is None:
        raise UncarriedError(
            "messages", f"A part of the kind {part.kind!r} does not say what it is; add its media type."
        )
    name = format_of_mime(mime)
    return "txt" if part.kind == "file" and mime.startswith("text/") and name not in _DOCUMENTS else name


_DOCUMENTS = frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"})
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9 \-()\[\]]+| {2,}")


def _document_name(part: Media, writing: Numbering) -> str:
    """A name in the characters allowed (letters, digits, single spaces, hyphens, brackets), and used once."""
    writing.documents += 1
    name = _UNNAMEABLE.sub(" ", (part.name or "document").rpartition(".")[0] or part.name or "document").strip()
    return f"{name[:180] or 'document'} {writing.documents}" if writing.documents > 1 else name[:190] or "document"


_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-")


def tool_id(given: str) -> str:
    """The id of a tool call in the characters and the length allowed; the same id gives the same."""
    if given and len(given) <= 64 and _ID.issuperset(given):
        return given
    return "".join(letter if letter in _ID else "_" for letter in given)[-64:] or "call"
