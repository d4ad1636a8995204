"""Images, audio, videos and files as parts of chat messages, both ways.

OpenAI's own parts are ``image_url``, ``input_audio`` and ``file``; services that speak its protocol added
``video_url``, ``document_url`` (Mistral) and ``file_url`` (Perplexity). What a part is called stands in
``extra["type"]`` where that is not the usual name of its kind.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.mime import mime_of, text_of
from engine.dialects.trees import mapping, others, text
from engine.exchange import UncarriedError
from engine.exchange.canonical import Media

_AUDIO_MIMES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav"}
_ENDINGS = {"application/pdf": ".pdf", "text/plain": ".txt", "text/markdown": ".md", "text/csv": ".csv"}
_SIMPLE = ("image_url", "video_url", "document_url", "file_url")
_KINDS = {"image_url": "image", "video_url": "video", "document_url": "file", "file_url": "file"}


def split_data_url(url: str) -> tuple[str | None, str] | None:
    """The media type and the base64 text of a ``data:`` URL; ``None`` for every other address."""
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return None
    return head.split(";", 1)[0] or None, data


def data_url(media: Media, otherwise: str) -> str:
    """The ``data:`` URL of inline media; ``otherwise`` is its type where nothing says it."""
    return f"data:{mime_of(media) or otherwise};base64,{media.data}"


def audio_format(media: Media) -> str:
    """OpenAI's name for the format of audio (``wav``, ``mp3``)."""
    mime = mime_of(media) or "audio/wav"
    return _AUDIO_FORMATS.get(mime) or mime.rpartition("/")[2]


def audio_mime(name: str) -> str:
    """The media type of an audio format by OpenAI's name."""
    return _AUDIO_MIMES.get(name) or f"audio/{name}"


def file_name(media: Media) -> str:
    """The file's name; one made up where it has none, since OpenAI wants one for files that come inline."""
    return media.name or "file" + _ENDINGS.get(mime_of(media) or "", ".pdf")


def placed(media: Media, address: str) -> Media:
    """``media`` with its address, or with the data that the address holds."""
    inline = split_data_url(address)
    if inline is None:
        media.url = address
    else:
        media.mime, media.data = inline
    return media


def read_media(part: dict[str, Any], kind: str) -> Media | None:
    """The media in a part of the type ``kind``; ``None`` if it is none, or nothing stands in it."""
    if kind in _SIMPLE:
        return _simple(part, kind)
    if kind == "input_audio":
        return _audio(part)
    return _file(part) if kind == "file" else None


def _simple(part: dict[str, Any], kind: str) -> Media | None:
    inner = part.get(kind)
    tree = mapping(inner)
    address = inner if isinstance(inner, str) else text(tree.get("url"))
    if not address:
        return None
    media = Media(_KINDS[kind])  # type: ignore[arg-type]
    media.detail = text(tree.get("detail")) or None
    media.name = text(part.get("document_name")) or text(part.get("file_name")) or None
    media.cache = mapping(part.get("cache_control")) or None
    media.extra = others(part, ("type", kind, "cache_control", "document_name", "file_name"))
    if media.kind == "file":
        media.extra["type"] = kind
    if kind == "file_url" and "://" not in address and not address.startswith("data:"):
        media.data = address
        return media
    return placed(media, address)


def _audio(part: dict[str, Any]) -> Media | None:
    inner = part.get("input_audio")
    extra = others(part, ("type", "input_audio", "cache_control"))
    media = Media("audio", cache=mapping(part.get("cache_control")) or None, extra=extra)
    if isinstance(inner, str) and inner:
        extra["plain"] = True
        if "://" in inner[:10]:
            media.url = inner
        else:
            media.data = inner
        return media
    tree = mapping(inner)
    name = text(tree.get("format"))
    media.mime, media.data = audio_mime(name) if name else None, text(tree.get("data")) or None
    media.url = text(tree.get("url")) or None
    return media if media.data or media.url else None


def _file(part: dict[str, Any]) -> Media | None:
    tree = mapping(part.get("file"))
    extra = others(part, ("type", "file", "cache_control"))
    media = Media("file", cache=mapping(part.get("cache_control")) or None, extra=extra)
    media.name = text(tree.get("filename")) or None
    media.id = text(tree.get("file_id")) or None
    data = text(tree.get("file_data"))
    if "://" in data[:10] or data.startswith("data:"):
        placed(media, data)
    else:
        media.data = data or None
    return media if media.data or media.url or media.id else None


def write_media(media: Media, own: bool) -> dict[str, Any]:
    """The part for ``media``; ``own`` is whether it was read from this protocol.

    Raises ``UncarriedError`` for what this protocol has no part for: files by address and audio by address above all.
    """
    extra = dict(media.extra) if own else {}
    kind, plain = extra.pop("type", None), extra.pop("plain", False)
    if media.cache is not None and own:
        extra["cache_control"] = media.cache
    if media.kind in ("image", "video") and (media.url or media.data):
        name = f"{media.kind}_url"
        inner: dict[str, Any] = {
            "url": media.url or data_url(media, "image/png" if name == "image_url" else "video/mp4")
        }
        if media.detail is not None:
            inner["detail"] = media.detail
        return {"type": name, name: inner, **extra}
    if media.kind == "audio" and (media.data or (media.url and own)):
        sound: Any = media.data or media.url
        if not plain:
            sound = {"data": media.data, "format": audio_format(media)} if media.data else {"url": media.url}
        return {"type": "input_audio", "input_audio": sound, **extra}
    if media.kind == "file":
        return _written_file(media, kind, extra, own)
    raise UncarriedError("messages", f"This provider takes {media.kind} data inline only. Send it as base64.")


def _written_file(media: Media, kind: str | None, extra: dict[str, Any], own: bool) -> dict[str, Any]:
    if kind in ("document_url", "file_url"):
        address = media.url or (media.data if kind == "file_url" else data_url(media, "application/pdf"))
        if media.name:
            extra["document_name" if kind == "document_url" else "file_name"] = media.name
        return {"type": kind, kind: address if kind == "document_url" else {"url": address}, **extra}
    if media.id:
        return {
            "type": "file",
            "file": {"file_id": media.id, **({"filename": media.name} if media.name else {})},
            **extra,
        }
    if media.data:
        plain = text_of(media.data) if (mime_of(media) or "").startswith("text/") and not own else None
        if plain is not None:
            return {"type": "text", "text": plain}
        return {
            "type": "file",
            "file": {"filename": file_name(media), "file_data": data_url(media, "application/pdf")},
            **extra,
        }
    if media.text is not None:
        return {"type": "text", "text": media.text}
    if media.url and own:
        return {"type": "file", "file": {"filename": file_name(media), "file_data": media.url}, **extra}
    raise UncarriedError(
        "messages",
        "This provider takes files inline only: a file at an address cannot be sent to it. Send its content.",
    )
