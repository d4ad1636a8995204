"""The parts of a message, both ways.

``functionCall.args`` is an object on this wire and JSON text in the canonical form. Ids of calls are optional here;
what comes without one gets one from whoever reads the message. Parts that only this protocol knows (code it ran itself,
its own tools' calls) are :class:`Opaque`.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from msgspec import field

from engine.dialects.call_ids import CallIds, was_made
from engine.dialects.mime import mime_of
from engine.dialects.trees import arguments_object, flag, json_text, json_tree, mappings, others, text
from engine.dialects.writing import Writing
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
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

from .names import ORIGIN, fields
from .signatures import sign, unmarked

#: The type of a file that does not say its own, which this wire must name.
_DEFAULT_MIME = {"image": "image/jpeg", "audio": "audio/wav", "video": "video/mp4", "file": "application/pdf"}
_MIME = {
    "aac": "audio/aac",
    "csv": "text/csv",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m4a": "audio/m4a",
    "md": "text/markdown",
    "mov": "video/mov",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
_CALL = frozenset({"id", "name", "args", "willContinue", "partialArgs"})


def read_part(raw: Any, parts: list[Part], ids: CallIds) -> None:
    """Add what one part of the wire holds to ``parts``."""
    part = fields(raw)
    signature = text(part.pop("thoughtSignature", None))
    thought = flag(part.pop("thought", None)) or False
    content = part.pop("text", None)
    if isinstance(content, str):
        if thought:
            parts.append(Thinking(content, extra=part))
            if signature:
                sign(parts, signature)
            return
        if signature:
            sign(parts, signature)
        if content or part or not signature:
            parts.append(Text(content, extra=part))
        return
    found = None if thought else _read_other(part, ids)
    if found is None:
        parts.append(Opaque(ORIGIN, raw))
        return
    if signature:
        sign(parts, signature)
    parts.append(found)


def _read_other(part: dict[str, Any], ids: CallIds) -> Part | None:
    if "functionCall" in part:
        call = fields(part["functionCall"])
        name = text(call.get("name"))
        args = call.get("args")
        arguments = json_text(args) if isinstance(args, dict) else "{}"
        return ToolCall(ids.call(text(call.get("id")), name), name, arguments, extra=others(call, _CALL))
    if "functionResponse" in part:
        return read_result(fields(part["functionResponse"]), ids)
    if "inlineData" in part or "fileData" in part:
        return read_media(part)
    return None


def read_media(part: dict[str, Any]) -> Media:
    """The file in a part."""
    inline = fields(part.get("inlineData"))
    place = inline or fields(part.get("fileData"))
    mime = text(place.get("mimeType")) or None
    extra = others(part, ("inlineData", "fileData"))
    name = text(place.get("displayName")) or None
    if inline:
        return Media(kind_of(mime), mime, data=text(inline.get("data")), name=name, extra=extra)
    return Media(kind_of(mime), mime, url=text(place.get("fileUri")), name=name, extra=extra)


def kind_of(mime: str | None) -> MediaKind:
    """What sort of file a MIME type names."""
    family = (mime or "").partition("/")[0]
    if family == "image":
        return "image"
    if family == "audio":
        return "audio"
    return "video" if family == "video" else "file"


def read_result(response: dict[str, Any], ids: CallIds) -> ToolResult:
    """What came of a call. The fields ``output`` and ``error`` mean the whole result where they stand alone."""
    name = text(response.get("name"))
    result = ToolResult(ids.result(text(response.get("id")), name), name=name or None)
    value = response.get("response")
    alone = value if isinstance(value, dict) and len(value) == 1 else {}
    output, error = alone.get("output"), alone.get("error")
    if isinstance(output, str) or isinstance(error, str):
        result.content.append(Text(text(output) or text(error)))
        result.is_error = not isinstance(output, str)
    elif value is not None:
        result.content.append(Text(json_text(value)))
    result.content.extend(read_media(fields(item)) for item in mappings(response.get("parts")))
    result.extra = others(response, ("id", "name", "response", "parts"))
    return result


class Wording(Writing):
    """With how old the model is, and which call has which name."""

    older: bool = False
    names: dict[str, str] = field(default_factory=dict)

    def id_of(self, part: ToolCall | ToolResult) -> dict[str, Any]:
        """The id as a field, unless it was made up when this protocol was read."""
        return {} if self.same and was_made(part.id, ORIGIN) else {"id": part.id}


def write_parts(parts: list[Part], writing: Wording) -> list[dict[str, Any]]:
    """The parts of one message on the wire; a signature goes to the part after its thought."""
    out: list[dict[str, Any]] = []
    signature: str | None = None
    for part in parts:
        if isinstance(part, Thinking):
            if signature:
                out.append({"text": "", "thoughtSignature": signature})
            signature = _write_thought(part, out, writing)
            continue
        written = _write_part(part, writing)
        if signature and written and not isinstance(part, Opaque):
            written[0]["thoughtSignature"] = signature
            signature = None
        out.extend(written)
    if signature:
        out.append({"text": "", "thoughtSignature": signature})
    return out


def _write_thought(part: Thinking, out: list[dict[str, Any]], writing: Wording) -> str | None:
    signature = unmarked(part.signature)
    if part.signature and signature is None:
        writing.dropped.append("thinking.signature")
    if part.redacted:
        writing.dropped.append("thinking")
    if part.text or (part.extra and writing.same):
        written: dict[str, Any] = {"text": part.text, "thought": True}
        writing.keep(written, part.extra)
        out.append(written)
    return signature


def _write_part(part: Part, writing: Wording) -> list[dict[str, Any]]:
    if isinstance(part, Text | Refusal):
        if not part.text and not writing.same:
            return []  # the service refuses a text without any
        written: dict[str, Any] = {"text": part.text}
        if isinstance(part, Text):
            writing.dropped.extend(["cache_control"] if part.cache else [])
            writing.dropped.extend(["citations"] if part.citations else [])
        writing.keep(written, part.extra)
        return [written]
    if isinstance(part, ToolCall):
        if part.cache:
            writing.dropped.append("cache_control")
        call = {**writing.id_of(part), "name": part.name, "args": arguments_object(part.arguments)}
        writing.keep(call, part.extra)
        return [{"functionCall": call}]
    if isinstance(part, ToolResult):
        return _write_result(part, writing)
    if isinstance(part, Media):
        return [write_media(part, writing)]
    if isinstance(part, Opaque):
        if part.origin == ORIGIN:
            return [part.value]
        writing.foreign(part)
    return []


def write_media(part: Media, writing: Wording) -> dict[str, Any]:
    """A file on the wire. Raises ``UncarriedError`` for one that was uploaded to another service."""
    if part.cache:
        writing.dropped.append("cache_control")
    if part.detail:
        writing.dropped.append("detail")
    written: dict[str, Any]
    if part.data is not None or part.text is not None:
        mime = part.mime or ("text/plain" if part.data is None else mime_of(part) or _DEFAULT_MIME[part.kind])
        data = part.data if part.data is not None else b64encode((part.text or "").encode()).decode()
        place = {"mimeType": mime, "data": data}
        written = {"inlineData": place}
    elif part.url:
        place = {"mimeType": part.mime or _guess(part), "fileUri": part.url}
        written = {"fileData": place}
    else:
        raise UncarriedError("messages", "A file that was uploaded to another service cannot be sent to this one.")
    if part.name:
        # Not every version of the service knows the field, so only one who wrote it gets it back.
        writing.keep(place, {"displayName": part.name})
    writing.keep(written, part.extra)
    return written


def _guess(part: Media) -> str:
    """The type of a file at an address, by the ending of its name."""
    try:
        ending = urlsplit(part.url or "").path.rpartition(".")[2].lower()
    except ValueError:
        ending = ""
    return _MIME.get(ending) or _DEFAULT_MIME[part.kind]


def _write_result(result: ToolResult, writing: Wording) -> list[dict[str, Any]]:
    """The result; files in it are parts of it, or stand after it where models are too old to know such parts."""
    name = result.name or writing.names.get(result.id)
    if name is None:
        raise UncarriedError("messages", f"The result {result.id!r} answers no tool call in the messages before it.")
    if result.cache:
        writing.dropped.append("cache_control")
    said = "\n".join(part.text for part in result.content if isinstance(part, Text))
    files = [write_media(part, writing) for part in result.content if isinstance(part, Media)]
    for part in result.content:
        if isinstance(part, Opaque):
            writing.foreign(part)
    response: dict[str, Any] = {
        **writing.id_of(result),
        "name": name,
        "response": _response(said, result.is_error),
    }
    writing.keep(response, result.extra)
    if files and not writing.older:
        response["parts"] = files
        files = []
    return [{"functionResponse": response}, *files]


def _response(said: str, is_error: bool) -> dict[str, Any]:
    if is_error:
        return {"error": said}
    try:
        value = json_tree(said) if said.startswith("{") else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"output": said}
