"""Messages of AWS's binary event stream, as AWS documents it (``application/vnd.amazon.eventstream``)."""

from __future__ import annotations

import binascii
import json
import struct
from typing import Any


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message: lengths with their checksum, headers, payload, and the checksum of all."""
    told = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(told) + len(payload), len(told))
    begun = prelude + struct.pack("!I", binascii.crc32(prelude)) + told + payload
    return begun + struct.pack("!I", binascii.crc32(begun))


def event(name: str, **fields: Any) -> bytes:
    """An event of the stream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps(fields).encode())


def exception(name: str, **fields: Any) -> bytes:
    """An exception inside the stream."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps(fields).encode())


def stream_of(tree: dict[str, Any]) -> bytes:
    """A reply as the service streams it: texts and thoughts unannounced, everything in two pieces."""
    told = [event("messageStart", role="assistant")]
    for index, block in enumerate(tree["output"]["message"]["content"]):
        told += [event(name, contentBlockIndex=index, **fields) for name, fields in _pieces(block)]
        told.append(event("contentBlockStop", contentBlockIndex=index))
    told += [event("messageStop", stopReason=tree["stopReason"]), event("metadata", usage=tree["usage"])]
    return b"".join(told)


def _pieces(block: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    def delta(**fields: Any) -> tuple[str, dict[str, Any]]:
        return "contentBlockDelta", {"delta": fields}

    if "text" in block:
        half = len(block["text"]) // 2
        return [delta(text=block["text"][:half]), delta(text=block["text"][half:])]
    if "citationsContent" in block:
        inner = block["citationsContent"]
        return [delta(text=inner["content"][0]["text"]), *(delta(citation=one) for one in inner["citations"])]
    if "toolUse" in block:
        use = block["toolUse"]
        made = json.dumps(use["input"], separators=(",", ":"), ensure_ascii=False)
        start = {"start": {"toolUse": {name: use[name] for name in ("toolUseId", "name")}}}
        return [("contentBlockStart", start), delta(toolUse={"input": made[:3]}), delta(toolUse={"input": made[3:]})]
    thought = block["reasoningContent"]
    if "redactedContent" in thought:
        return [delta(reasoningContent=thought)]
    told = thought["reasoningText"]
    signed = [delta(reasoningContent={"signature": told["signature"]})] if "signature" in told else []
    return [delta(reasoningContent={"text": told["text"]}), *signed]
