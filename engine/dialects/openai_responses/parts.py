"""Content parts of messages and of tool outputs, both ways."""

from __future__ import annotations

from typing import Any

from engine.dialects.openai_chat.citations import read_annotations
from engine.dialects.openai_chat.media import audio_format, audio_mime, data_url, file_name, placed, write_media
from engine.dialects.trees import mapping, others, text
from engine.exchange import UncarriedError
from engine.exchange.canonical import Citation, Media, Opaque, Part, Refusal, Text

from .names import NAME

_TEXTS = frozenset({"input_text", "output_text", "text"})
_TEXT_FIELDS = frozenset({"type", "text", "annotations", "logprobs"})
_BREAKPOINT = "prompt_cache_breakpoint"


def read_content(content: Any) -> list[Part]:
    """The parts of a content or an output: a string, or a list of parts."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        return []
    return [Text(part) if isinstance(part, str) else _part(part) for part in content if isinstance(part, str | dict)]


def _part(part: dict[str, Any]) -> Part:
    kind = text(part.get("type"))
    if kind in _TEXTS and isinstance(part.get("text"), str):
        found = Text(part["text"], read_annotations(part.get("annotations")), extra=others(part, _TEXT_FIELDS))
        if _BREAKPOINT in part:
            found.cache = {"type": "ephemeral"}
        return found
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return Refusal(part["refusal"], extra=others(part, ("type", "refusal")))
    media = _media(part, kind)
    return media if media is not None else Opaque(NAME, part)


def _media(part: dict[str, Any], kind: str) -> Media | None:
    if kind == "input_image":
        image = Media("image", id=text(part.get("file_id")) or None, detail=text(part.get("detail")) or None)
        image.extra = others(part, ("type", "image_url", "file_id", "detail"))
        return _addressed(image, text(part.get("image_url")))
    if kind == "input_file":
        file = Media("file", id=text(part.get("file_id")) or None, name=text(part.get("filename")) or None)
        file.extra = others(part, ("type", "file_data", "file_url", "file_id", "filename"))
        data = text(part.get("file_data"))
        if data and not data.startswith("data:"):
            file.data = data
            return file
        return _addressed(file, data or text(part.get("file_url")))
    if kind == "input_audio":
        told = mapping(part.get("input_audio"))
        name, data = text(told.get("format")), text(told.get("data"))
        extra = others(part, ("type", "input_audio"))
        return Media("audio", mime=audio_mime(name) if name else None, data=data, extra=extra) if data else None
    return None


def _addressed(media: Media, address: str) -> Media | None:
    if address:
        return placed(media, address)
    return media if media.id is not None else None


def write_part(part: Part, role: str, own: bool) -> dict[str, Any]:
    """The part in a message of ``role``. Raises ``UncarriedError`` for media that this protocol has no part for."""
    if isinstance(part, Text):
        extra = {name: value for name, value in part.extra.items() if name != "item"} if own else {}
        if role == "assistant":
            return {"type": "output_text", "text": part.text, "annotations": write_annotations(part, own), **extra}
        return {"type": "input_text", "text": part.text, **extra}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    if isinstance(part, Media):
        return _written_media(part, part.extra if own else {})
    if isinstance(part, Opaque) and isinstance(part.value, dict):
        return part.value
    raise TypeError(f"a {type(part).__name__} is no part of a message's content")


def _written_media(media: Media, extra: dict[str, Any]) -> dict[str, Any]:
    if media.kind == "image":
        written: dict[str, Any] = {"type": "input_image", **extra}
        if media.detail is not None:
            written["detail"] = media.detail
        if media.id is not None:
            written["file_id"] = media.id
        else:
            written["image_url"] = media.url or data_url(media, "image/png")
        return written
    if media.kind == "audio" and media.data:
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": audio_format(media)}, **extra}
    if media.kind != "file":
        raise UncarriedError("messages", f"This provider takes no {media.kind} in this form.")
    if media.id is not None:
        return {"type": "input_file", "file_id": media.id, **extra}
    if media.url is not None:
        return {"type": "input_file", "file_url": media.url, **extra}
    if media.data is None:
        return {"type": "input_text", "text": write_media(media, False)["text"]}
    return {
        "type": "input_file",
        "filename": file_name(media),
        "file_data": data_url(media, "application/pdf"),
        **extra,
    }


def write_annotations(part: Text, own: bool) -> list[dict[str, Any]]:
    """The annotations of a text."""
    return [write_annotation(citation, len(part.text), own) for citation in part.citations]


def write_annotation(citation: Citation, length: int, own: bool) -> dict[str, Any]:
    """One annotation of a text of ``length`` characters; as it came where it was read from this protocol."""
    if own and citation.extra:
        return citation.extra
    start, end = citation.start or 0, citation.end if citation.end is not None else length
    if citation.url is None:
        title = citation.title or ""
        return {"type": "file_citation", "file_id": citation.document or title, "filename": title, "index": start}
    title = citation.title or citation.url
    return {"type": "url_citation", "url": citation.url, "title": title, "start_index": start, "end_index": end}
