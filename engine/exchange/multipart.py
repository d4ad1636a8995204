"""Reading and replacing one plain field of a ``multipart/form-data`` body (RFC 7578), whatever files are in it."""

from __future__ import annotations

from email.message import Message


def read_field(body: bytes, content_type: str, name: str) -> str | None:
    """The text of the form field ``name``, ``None`` where there is none or the body is not multipart."""
    found = _find(body, content_type, name)
    return None if found is None else body[found[0] : found[1]].decode("utf-8", "replace")


def replace_field(body: bytes, content_type: str, name: str, value: str) -> bytes:
    """The body with the field's text replaced; unchanged where it has no such field."""
    found = _find(body, content_type, name)
    return body if found is None else body[: found[0]] + value.encode() + body[found[1] :]


def _find(body: bytes, content_type: str, name: str) -> tuple[int, int] | None:
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if not boundary or header.get_content_type() != "multipart/form-data":
        return None
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    start = body.find(delimiter)
    while start >= 0:
        start += len(delimiter)
        end = body.find(b"\r\n" + delimiter, start)
        head_end = body.find(b"\r\n\r\n", start)
        if end < 0 or head_end < 0:
            return None
        if head_end < end and _names(body[start:head_end], name):
            return head_end + 4, end
        start = end + 2
    return None


def _names(head: bytes, name: str) -> bool:
    part = Message()
    for line in head.strip().split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-disposition":
            part["content-disposition"] = value.strip().decode("utf-8", "replace")
    return part.get_param("name", header="content-disposition") == name
