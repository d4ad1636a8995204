"""What kind of data stands in base64, where nobody says it."""

from __future__ import annotations

import base64
import binascii

from engine.exchange.canonical import Media

#: How base64 text of a format begins (its first bytes, of which no bit is left out).
_BEGINNINGS = (
    ("iVBORw0KGg", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
)


def mime_of(media: Media) -> str | None:
    """The media type that is given, or that the data begins like; ``None`` where neither says it."""
    if media.mime:
        return media.mime.partition(";")[0].strip().lower()
    data = media.data or ""
    return next((mime for beginning, mime in _BEGINNINGS if data.startswith(beginning)), None)


def text_of(data: str) -> str | None:
    """The text in base64 ``data``; ``None`` where it is none."""
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
