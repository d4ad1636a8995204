"""Blocks of content, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.claude import sendable
from engine.dialects.mime import mime_of, text_of
from engine.dialects.trees import arguments_object, json_text
from engine.exchange import UncarriedError
from engine.exchange.canonical import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult

from .citations import read_citation, write_citations

NAME = "anthropic-messages"

Block = dict[str, Any]


# --- from the wire -------------------------------------------------------------------------------------------------


def read_blocks(content: object) -> list[Part]:
    """The parts of a message's ``content``: a string or a list of blocks. Raises ``ValueError`` for anything else."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        raise ValueError("the content is neither a string nor a list of blocks")
    return [read_block(block) for block in content]


def read_block(block: object) -> Part:
    """One block; what only this protocol knows, or what is not as it should be, is opaque."""
    if not isinstance(block, dict):
        if isinstance(block, str):
            return Text(block)
        raise ValueError("a block of content is no object")
    read = _READERS.get(block.get("type", ""))
    part = read(block) if read is not None else None
    return part if part is not None else Opaque(NAME, block)


def rest(block: Block, *known: str) -> dict[str, Any]:
    """What of an object has no canonical form."""
    return {name: value for name, value in block.items() if name not in known}


def cache_of(block: Block) -> dict[str, Any] | None:
    """The cache mark of a block."""
    mark = block.get("cache_control")
    return mark if isinstance(mark, dict) else None


def _read_text(block: Block) -> Part | None:
    text = block.get("text")
    if not isinstance(text, str):
        return None
    part = Text(text, cache=cache_of(block))
    if len(block) > 2:
        found = block.get("citations")
        if isinstance(found, list):
            part.citations = [read_citation(one) for one in found if isinstance(one, dict)]
        part.extra = rest(block, "type", "text", "citations", "cache_control")
    return part


def _read_image(block: Block) -> Part | None:
    source = block.get("source")
    if not isinstance(source, dict):
        return None
    media = Media("image", cache=cache_of(block), extra=rest(block, "type", "source", "cache_control"))
    return media if _read_source(media, source) else None


def _read_document(block: Block) -> Part | None:
    source = block.get("source")
    if not isinstance(source, dict):
        return None
    title = block.get("title")
    media = Media("file", name=title if isinstance(title, str) else None, cache=cache_of(block))
    media.extra = rest(block, "type", "source", "title", "cache_control")
    return media if _read_source(media, source) else None


def _read_source(media: Media, source: Block) -> bool:
    kind, data = source.get("type"), source.get("data")
    mime = source.get("media_type")
    if kind == "base64" and isinstance(data, str):
        media.data, media.mime = data, mime if isinstance(mime, str) else None
    elif kind == "text" and isinstance(data, str):
        media.text, media.mime = data, mime if isinstance(mime, str) else "text/plain"
    elif kind == "url" and isinstance(source.get("url"), str):
        media.url = source["url"]
    elif kind == "file" and isinstance(source.get("file_id"), str):
        media.id = source["file_id"]
    elif kind == "content":
        text = _plain(source.get("content"))
        if text is None:
            return False
        media.text, media.mime = text, "text/plain"
        media.extra["source"] = source
    else:
        return False
    return True


def _plain(content: object) -> str | None:
    """The text of a document's content; ``None`` where it is more than text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [block["text"] for block in content if isinstance(block, dict) and isinstance(block.get("text"), str)]
    return "\n".join(texts) if len(texts) == len(content) else None


def _read_thinking(block: Block) -> Part | None:
    text, signature = block.get("thinking"), block.get("signature")
    if not isinstance(text, str):
        return None
    extra = rest(block, "type", "thinking", "signature")
    return Thinking(text, signature if isinstance(signature, str) else None, extra=extra)


def _read_redacted(block: Block) -> Part | None:
    data = block.get("data")
    return Thinking(redacted=data, extra=rest(block, "type", "data")) if isinstance(data, str) else None


def _read_tool_use(block: Block) -> Part | None:
    name = block.get("name")
    if not isinstance(name, str):
        return None
    given, made = block.get("id"), block.get("input")
    return ToolCall(
        given if isinstance(given, str) else "",
        name,
        json_text(made if made is not None else {}),
        cache_of(block),
        rest(block, "type", "id", "name", "input", "cache_control"),
    )


def _read_tool_result(block: Block) -> Part | None:
    called = block.get("tool_use_id")
    if not isinstance(called, str):
        return None
    given = block.get("content")
    blocks = given if isinstance(given, list) else [given]
    content = [
        part if isinstance(part, Text | Media | Opaque) else Opaque(NAME, blocks[place])
        for place, part in enumerate(read_blocks(given))
    ]
    extra = rest(block, "type", "tool_use_id", "content", "is_error", "cache_control")
    return ToolResult(called, content, None, block.get("is_error") is True, cache_of(block), extra)


_READERS: dict[str, Callable[[Block], Part | None]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
}


# --- to the wire ---------------------------------------------------------------------------------------------------


def write_blocks(parts: list[Part], same: bool, dropped: list[str]) -> list[Block]:
    """The blocks of a request's message.

    ``same`` is whether the request came in this protocol, so that its ``extra`` fields are written back; ``dropped`` is
    added to. Empty texts, which the protocol refuses, are left out. Raises ``UncarriedError``.
    """
    blocks = []
    for part in parts:
        block = write_block(part, same, dropped)
        if block is not None:
            blocks.append(block)
    return blocks


def write_block(part: Part, same: bool, dropped: list[str]) -> Block | None:
    """One block of a request; ``None`` where nothing is left to say."""
    if isinstance(part, Text):
        return _write_text(part, same, dropped)
    if isinstance(part, ToolCall):
        block = {
            "type": "tool_use",
            "id": tool_id(part.id),
            "name": part.name,
            "input": arguments_object(part.arguments),
        }
        return _marked(block, part.cache, part.extra, same)
    if isinstance(part, ToolResult):
        return _write_tool_result(part, same, dropped)
    if isinstance(part, Media):
        return _write_media(part, same, dropped)
    if isinstance(part, Thinking):
        return _write_thinking(part, same, dropped)
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if part.origin == NAME:
        value: Block = part.value
        return value
    kind = part.value.get("type") if isinstance(part.value, dict) else None
    dropped.append(kind or "content")
    return None


def _marked(block: Block, cache: dict[str, Any] | None, extra: dict[str, Any], same: bool) -> Block:
    if cache is not None:
        block["cache_control"] = cache
    if same:
        block.update(extra)
    return block


def _write_text(part: Text, same: bool, dropped: list[str]) -> Block | None:
    if not part.text or (not same and not part.text.strip()):
        return None
    block: Block = {"type": "text", "text": part.text}
    if part.citations:
        if same:
            block["citations"] = write_citations(part.citations)
        else:
            dropped.append("annotations")
    return _marked(block, part.cache, part.extra, same)


def _write_thinking(part: Thinking, same: bool, dropped: list[str]) -> Block | None:
    if not same and not sendable(part):
        # Only its maker's signature makes a thought acceptable.
        dropped.append("reasoning_content")
        return None
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted, **(part.extra if same else {})}
    block: Block = {"type": "thinking", "thinking": part.text}
    if part.signature is not None:
        block["signature"] = part.signature
    return {**block, **part.extra} if same else block


def _write_tool_result(part: ToolResult, same: bool, dropped: list[str]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": tool_id(part.id)}
    content = write_blocks([*part.content], same, dropped)
    if content:
        block["content"] = plainest(content)
    if part.is_error:
        block["is_error"] = True
    return _marked(block, part.cache, part.extra, same)


def plainest(blocks: list[Block]) -> str | list[Block]:
    """A single text without anything else as a string, which every service that speaks the protocol takes."""
    if len(blocks) == 1 and blocks[0]["type"] == "text" and len(blocks[0]) == 2:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _write_media(part: Media, same: bool, dropped: list[str]) -> Block:
    if part.kind == "image":
        block: Block = {"type": "image", "source": _image_source(part, same)}
        if part.detail not in (None, "auto"):
            dropped.append("detail")
    elif part.kind == "file":
        block = {"type": "document", "source": _document_source(part, same)}
        if part.name:
            block["title"] = part.name
    else:
        raise UncarriedError("messages", f"The protocol of this model's provider carries no {part.kind} input.")
    return _marked(block, part.cache, part.extra, same)


def _image_source(part: Media, same: bool) -> Block:
    if part.data is not None:
        mime = mime_of(part)
        if mime is None:
            raise UncarriedError("messages", "An image does not say what it is; add its media type.")
        return {"type": "base64", "media_type": mime, "data": part.data}
    return _elsewhere(part, same)


def _document_source(part: Media, same: bool) -> Block:
    if part.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    if part.data is None:
        return _elsewhere(part, same)
    mime = mime_of(part)
    if mime == "application/pdf" or same:
        return {"type": "base64", "media_type": mime or "application/pdf", "data": part.data}
    text = text_of(part.data) if mime is None or mime.startswith("text/") or mime in _TEXTUAL else None
    if text is None:
        message = f"The protocol of this model's provider takes PDF and plain text, not {mime or 'this file'}."
        raise UncarriedError("messages", message)
    return {"type": "text", "media_type": "text/plain", "data": text}


_TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})


def _elsewhere(part: Media, same: bool) -> Block:
    if part.url is not None:
        return {"type": "url", "url": part.url}
    if part.id is not None and same:
        return {"type": "file", "file_id": part.id}
    if part.id is not None:
        raise UncarriedError(
            "messages",
            "A file is known only to the service it was uploaded to; send the file itself instead of its id.",
        )
    raise UncarriedError("messages", f"A part of the kind {part.kind!r} holds neither data nor an address.")


_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def tool_id(given: str) -> str:
    """The id of a tool call in the characters that the protocol allows; the same id gives the same."""
    if given and _ID.issuperset(given):
        return given
    return "".join(letter if letter in _ID else "_" for letter in given) or "call"
