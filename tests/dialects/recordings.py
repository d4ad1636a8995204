"""Recorded exchanges: the small ones beside these tests, and the whole corpus where it is present."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CASSETTES = HERE / "cassettes"
CORPUS = HERE.parents[1].parent / "shared" / "corpus"


class Exchange:
    """One request and its reply. ``body`` is the reply's bytes, decompressed; ``request`` is ``None`` if unknown."""

    def __init__(self, name: str, path: str, request: Any, status: int, headers: dict[str, str], body: bytes) -> None:
        self.name = name
        self.path = path
        self.request = request
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def streams(self) -> bool:
        """Whether the reply is a stream of server-sent events; not every recorder kept the header that says so."""
        return "event-stream" in self.headers.get("content-type", "") or self.body.startswith(b"event:")

    def header(self, name: str) -> str | None:
        """The reply's header."""
        return self.headers.get(name)


def cassette(dialect: str, name: str) -> Exchange:
    """One of the recordings beside these tests."""
    tree = json.loads((CASSETTES / dialect / f"{name}.json").read_text(encoding="utf-8"))
    body = base64.b64decode(tree["base64"]) if "base64" in tree else tree["body"].encode()
    headers = {"content-type": tree.get("content_type", "")}
    if "error_type" in tree:
        headers["x-amzn-errortype"] = tree["error_type"]
    return Exchange(name, tree.get("path", ""), tree.get("request"), tree["status"], headers, body)


def corpus(provider: str) -> Iterator[Exchange]:
    """Every exchange of a provider that the corpus holds; nothing where there is no corpus."""
    index = CORPUS / "INDEX.jsonl"
    if not index.exists():
        return
    for line in index.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["provider"] == provider and row["format"] in _FORMATS:
            yield from _FORMATS[row["format"]](row["file"], (CORPUS / row["file"]).read_bytes())


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as the recorders write it."""


_Loader.add_constructor("!binary", lambda loader, node: base64.b64decode(node.value))


def _vcr(name: str, data: bytes) -> Iterator[Exchange]:
    tree = yaml.load(data, _Loader)  # noqa: S506 a safe loader
    for entry in tree.get("interactions") or tree.get("http_interactions") or []:
        asked, told = entry["request"], entry["response"]
        status = told.get("status", told.get("status_code", told.get("code")))
        headers = _headers(told.get("headers"))
        body = (
            json.dumps(told["parsed_body"]).encode()
            if "parsed_body" in told
            else _bytes(told.get("body", told.get("content")))
        )
        request = asked["parsed_body"] if "parsed_body" in asked else _json(_bytes(asked.get("body")))
        code = int(str(status.get("code") if isinstance(status, dict) else status or 200).split()[0])
        yield Exchange(name, asked.get("uri") or asked.get("url") or "", request, code, headers, _plain(body))


def _when_then(name: str, data: bytes) -> Iterator[Exchange]:
    for tree in yaml.load_all(data, _Loader):
        if tree:
            asked, told = tree["when"], tree["then"]
            headers = {entry["name"].lower(): entry["value"] for entry in told.get("header") or []}
            request = _json(_bytes(asked.get("body")))
            yield Exchange(name, asked.get("path", ""), request, told["status"], headers, _bytes(told.get("body")))


def _body(name: str, data: bytes) -> Iterator[Exchange]:
    yield Exchange(name, "", None, 200, {"content-type": "application/json"}, data)


def _sse(name: str, data: bytes) -> Iterator[Exchange]:
    yield Exchange(name, "", None, 200, {"content-type": "text/event-stream"}, data)


def _chunk_lines(name: str, data: bytes) -> Iterator[Exchange]:
    events = b"".join(b"data: %b\n\n" % line for line in data.splitlines() if line.strip())
    return _sse(name, events)


_FORMATS = {
    "vcr": _vcr,
    "rig-when-then": _when_then,
    "response-body": _body,
    "response-body-sse": _sse,
    "response-body-chunk-lines": _chunk_lines,
}


def _headers(tree: Any) -> dict[str, str]:
    found = {}
    for name, value in (tree or {}).items():
        found[name.lower()] = str(value[0] if isinstance(value, list) and value else value)
    return found


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        value = base64.b64decode(value["base64_string"]) if "base64_string" in value else value.get("string")
    return value.encode() if isinstance(value, str) else value or b""


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
