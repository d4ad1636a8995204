"""Names that the protocol and its models go by."""

from __future__ import annotations

import functools
import re

NAME = "bedrock-converse"

_VENDORS = frozenset(
    {
        "ai21",
        "amazon",
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "luma",
        "meta",
        "minimax",
        "mistral",
        "moonshot",
        "moonshotai",
        "nvidia",
        "openai",
        "qwen",
        "stability",
        "twelvelabs",
        "writer",
        "zai",
    }
)

#: Formats that are not called as their media types end.
_MIMES = {
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv",
    "three_gp": "video/3gpp",
    "mp3": "audio/mpeg",
}
_FORMATS = {mime: name for name, mime in _MIMES.items()} | {"image/jpg": "jpeg", "audio/x-wav": "wav"}


@functools.lru_cache(maxsize=1024)
def vendor(model: str) -> str:
    """Who made a model, by its id or the profile's (``us.anthropic.claude-...``); empty where the id does not say."""
    return next((word for word in re.split(r"[./:]", model.lower()) if word in _VENDORS), "")


def caches(model: str) -> bool:
    """Whether the model takes cache points (Bedrock's guide to prompt caching)."""
    return "claude" in model or "nova" in model


def mime_of_format(kind: str, name: str) -> str:
    """The media type of a format (``png``) of images, videos, audio or documents."""
    if "/" in name:  # clients send whole media types too, which the service takes
        return name
    return _MIMES.get(name) or f"{'application' if kind == 'file' else kind}/{name}"


def format_of_mime(mime: str) -> str:
    """The format of a media type."""
    return _FORMATS.get(mime) or mime.rpartition("/")[2]
