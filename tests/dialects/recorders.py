"""The forms in which others record exchanges, each read into :class:`Exchange`."""

from __future__ import annotations

import ast
import base64
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from .bedrock_converse.wire import event

Reader = Callable[[str, bytes], Iterator["Exchange"]]


class Exchange:
    """One request and its reply. ``body`` is the reply's bytes, decompressed; ``request`` is ``None`` if unknown.

    ``name`` is the file's, ``path`` the address as recorded: whole, only its path, or empty where nothing tells it.
    """

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


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as the recorders write it."""


_Loader.add_constructor("!binary", lambda loader, node: base64.b64decode(node.value))
# Objects of Python stand where names of headers do: of their arguments the first is the name.
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, kind, node: node.value[0].value)


def _vcr(name: str, data: bytes) -> Iterator[Exchange]:
    """VCR for Python, Ruby, R and Go."""
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
            body = _bytes(told.get("body"))
            if told.get("body_encoding") == "base64":
                body = base64.b64decode(body)
            request = _json(_bytes(asked.get("body")))
            yield Exchange(name, asked.get("path", ""), request, told["status"], headers, _plain(body))


def _json_cassette(name: str, data: bytes) -> Iterator[Exchange]:
    tree = json.loads(data)
    asked, told = tree["request"], tree["response"]
    status = told["status"]
    code = int(status["code"] if isinstance(status, dict) else status)
    body = _bytes(told["body"])
    yield Exchange(name, asked["url"], _json(_bytes(asked["body"])), code, _headers(told["headers"]), _plain(body))


def _client_objects(name: str, data: bytes) -> Iterator[Exchange]:
    """What a client's library asked and got, as its own objects: put back into the wire that they came from."""
    tree = json.loads(data)
    asked, told = tree["request"], tree["response"]
    path, request = asked["url"], asked.get("body", asked.get("payload"))
    if told.get("is_exception"):
        failed = told["exception_data"]
        yield Exchange(name, path, request, failed["status_code"], _JSON, _error_of(failed))
        return
    body, streams = told["body"], told["is_streaming"]
    if "/generate_content" in path:
        request, body = _google_request(request), _google(body)
        path = f"{request.pop('model')}:{'streamGenerateContent' if streams else 'generateContent'}"
    if streams:
        yield Exchange(name, path, request, 200, _EVENTS, _events(body))
    else:
        yield Exchange(name, path, request, told.get("status", 200), _JSON, json.dumps(_object(body)).encode())


_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream"}


def _error_of(failed: dict[str, Any]) -> bytes:
    """The body of an error, which the library quotes behind the status: ``Error code: 400 - {...}``."""
    try:
        body = ast.literal_eval(failed["message"].partition(" - ")[2])
    except (SyntaxError, ValueError):
        body = {"error": failed.get("body")}
    return json.dumps(body).encode()


def _object(value: Any) -> Any:
    """The JSON within an object's name and data."""
    return value["__data__"] if isinstance(value, dict) and "__data__" in value else value


def _events(chunks: list[Any]) -> bytes:
    if chunks and isinstance(chunks[0], str):
        whole = all(chunk.endswith("\n") for chunk in chunks)
        return "".join(chunks if whole else map(_line, chunks)).encode()
    told = [json.dumps(_object(chunk)) for chunk in chunks]
    if any("__type__" in chunk for chunk in chunks):
        told.append("[DONE]")
    return "".join(f"data: {line}\n\n" for line in told).encode()


def _line(text: str) -> str:
    """A line of events that lost its end: of data, the event ends with it."""
    return f"{text}\n\n" if text.startswith("data:") else f"{text}\n"


#: What Google's library keeps beside the settings that its wire puts into ``generationConfig``.
_BESIDE = {"tools", "toolConfig", "safetySettings", "systemInstruction", "cachedContent", "labels"}
#: Fields whose names are the caller's own.
_VERBATIM = {"args", "response", "responseSchema", "responseJsonSchema", "parametersJsonSchema", "labels"}


def _google_request(asked: dict[str, Any]) -> dict[str, Any]:
    config = _google(asked.get("config") or {})
    body: dict[str, Any] = {"model": asked["model"], "contents": _google(asked["contents"])}
    body |= {name: config.pop(name) for name in sorted(_BESIDE & config.keys())}
    if isinstance(body.get("systemInstruction"), str):
        body["systemInstruction"] = {"parts": [{"text": body["systemInstruction"]}]}
    return body | ({"generationConfig": config} if config else {})


def _google(value: Any) -> Any:
    """Objects of Google's library with the names of its wire."""
    if isinstance(value, list):
        return [_google(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {_camel(name): item for name, item in value.items() if name not in ("sdk_http_response", "parsed")}
    return {name: item if name in _VERBATIM else _google(item) for name, item in named.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _body(name: str, data: bytes) -> Iterator[Exchange]:
    """A body alone, or with its status; an error often says its status itself."""
    tree = _json(data)
    if isinstance(tree, dict) and tree.keys() == {"status", "headers", "body"}:
        yield Exchange(name, "", None, tree["status"], _headers(tree["headers"]), _bytes(json.dumps(tree["body"])))
        return
    error = tree.get("error") if isinstance(tree, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 200
    yield Exchange(name, "", None, status, _JSON, data)


def _sse(name: str, data: bytes) -> Iterator[Exchange]:
    yield Exchange(name, "", None, 200, _EVENTS, data)


def _chunk_lines(name: str, data: bytes) -> Iterator[Exchange]:
    """The payloads of events, one a line, of one stream or several; those of AWS are put back into its messages."""
    told: list[bytes] = []
    last = ""
    for line in filter(bytes.strip, data.splitlines()):
        payload = json.loads(line)
        if payload.get("object") == "chat.completion.chunk":
            if last not in ("", payload.get("id")):
                yield from _sse(name, b"".join(told))
                told = []
            last = payload.get("id") or ""
        if len(payload) == 1 and payload.keys() <= _OF_AWS:
            ((kind, fields),) = payload.items()
            told.append(event(kind, **fields))
        else:
            told.append(b"data: %b\n\n" % line)
        if payload.get("type") in _LAST:
            yield from _sse(name, b"".join(told))
            told = []
    if told:
        binary = {"content-type": "application/vnd.amazon.eventstream"}
        yield Exchange(name, "", None, 200, _EVENTS if told[0].startswith(b"data:") else binary, b"".join(told))


_OF_AWS = {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
#: Events after which no other of their stream can come.
_LAST = ("message_stop", "response.completed", "response.incomplete", "response.failed")


FORMATS: dict[str, Reader] = {
    "vcr": _vcr,
    "rig-when-then": _when_then,
    "json-cassette": _json_cassette,
    "llama-stack-recording": _client_objects,
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
