"""Every endpoint over real HTTP: what it answers, and what it says to those who ask wrongly."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from .harness import HELLO, REQUEST_ID, Server
from .upstream import SPEECH, USAGE, Models

CHAT = {"model": "chat", "messages": HELLO}


def error_of(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert reply.status_code == status
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert reply.headers["x-should-retry"] == "false"
    return error


def test_models(server: Server) -> None:
    reply = server.get("/v1/models").json()
    assert reply["object"] == "list"
    names = [model["id"] for model in reply["data"]]
    assert names == sorted(names)
    assert {"chat", "vectors", "refusing", "tiered"} <= set(names)
    assert "gpt-4o*" not in names
    for model in reply["data"]:
        assert set(model) == {"id", "object", "created", "owned_by"}
        assert (model["object"], model["owned_by"]) == ("model", "interlock")
        assert server.get(f"/v1/models/{model['id']}").json() == model
    error_of(server.get("/v1/models/nothing"), 404, "model_not_found")


def test_status(server: Server) -> None:
    reply = server.get("/api/v1/status")
    status = reply.json()
    assert set(status) == {"running", "candidate", "diagnostics", "state", "shared"}
    assert set(status["running"]) == {"fingerprint", "git_commit", "loaded_at"}
    assert status["running"]["fingerprint"] == reply.headers["x-interlock-graph"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", status["running"]["loaded_at"])
    assert (status["candidate"], status["diagnostics"]) == (None, [])


def test_health(server: Server) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    ready = server.get("/readyz").json()
    assert ready["ready"] is True
    assert server.get("/healthz").headers["x-interlock-graph"] in ready["detail"]
    head = server.client.head(server.url + "/healthz")
    assert (head.status_code, head.content) == (200, b"")


def test_explain(server: Server, upstream: Models) -> None:
    plan = server.post("/api/v1/explain", {"model": "gpt-4o-mini", "user": "u"}).json()
    assert (plan["route"], plan["attempts"], plan["stop"]) == ("chat", ["near/words"], None)
    assert plan["graph"] == server.get("/healthz").headers["x-interlock-graph"]
    plan = server.post("/api/v1/explain", {"model": "chat", "messages": [], "tools": [{"type": "function"}]}).json()
    assert plan["attempts"] == ["near/words"]
    plan = server.post("/api/v1/explain", {"model": "slow", "tools": [{"type": "function"}]}).json()
    assert (plan["attempts"], plan["skips"][0]["reason"]) == ([], "capability")
    assert server.post("/api/v1/explain", {"model": "refusing"}).json()["status"] == 451
    plan = server.post("/api/v1/explain", {"model": "caht"}).json()
    assert (plan["stop"], plan["route"]) == ("unroutable", None)
    assert "Did you mean 'chat'" in plan["message"]
    assert server.post("/api/v1/explain", {"model": "vectors", "input": "x"}).json()["attempts"] == ["near/vectors"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "'model'"),
        (b'{"model": 1}', "'model'"),
        (b'{"model": "chat", "messages": 1}', "'messages'"),
        (b'{"model": "chat", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nest"),
        (b'{"model": "chat", "x": "\xff"}', "JSON"),
        (b'{"model": "chat", "x": 1e999}', "JSON"),
    ],
)
def test_explain_of_what_is_no_request(server: Server, body: bytes, says: str) -> None:
    reply = server.client.post(server.url + "/api/v1/explain", content=body)
    assert says in error_of(reply, 400, "invalid_request")["message"]


def test_graph(server: Server) -> None:
    tree = server.get("/api/v1/graph").json()
    assert server.get("/api/v1/graph?format=json").json() == tree
    wanted = {
        "tree": ("text/plain; charset=utf-8", "near/words"),
        "mermaid": ("text/plain; charset=utf-8", "flowchart"),
        "dot": ("text/vnd.graphviz; charset=utf-8", "digraph"),
        "svg": ("image/svg+xml", "<svg"),
    }
    for format_, (content_type, holds) in wanted.items():
        reply = server.get(f"/api/v1/graph?format={format_}")
        assert (reply.status_code, reply.headers["content-type"]) == (200, content_type)
        assert holds in reply.text
        part = server.get(f"/api/v1/graph?route=refusing&format={format_}")
        assert part.status_code == 200
        assert "near/words" not in part.text
    error = error_of(server.get("/api/v1/graph?format=png"), 400, "invalid_request")
    assert (error["param"], "json, tree, mermaid, dot, svg" in error["message"]) == ("format", True)
    assert error_of(server.get("/api/v1/graph?route=none"), 404, "not_found")["param"] == "route"


def test_chat_keeps_what_it_does_not_know(server: Server, upstream: Models) -> None:
    body = {**CHAT, "n": 2, "logprobs": True, "x_vendor": {"deep": [1, 2.5]}, "temperature": 0}
    reply = server.post("/v1/chat/completions", body)
    tree = reply.json()
    assert [choice["index"] for choice in tree["choices"]] == [0, 1]
    assert tree["choices"][0]["logprobs"]["content"][0]["token"] == "hello"
    assert (tree["x_upstream"], tree["usage"], tree["model"]) == ({"kept": [1, 2.5, "x"]}, USAGE, "words")
    assert upstream.seen[0].body == {**body, "model": "words"}
    assert "transfer-encoding" not in upstream.seen[0].headers
    assert REQUEST_ID.match(reply.headers["x-request-id"])
    names = ("x-interlock-route", "x-interlock-target", "x-interlock-attempts")
    assert [reply.headers[name] for name in names] == ["chat", "near/words", "1"]


def test_embeddings_moderations_and_completions(server: Server, upstream: Models) -> None:
    reply = server.post("/v1/embeddings", {"model": "vectors", "input": ["a", "b"], "dimensions": 2}).json()
    assert (reply["data"][0]["embedding"], reply["model"]) == ([0.25, -0.5], "upstream-vectors")
    assert upstream.seen[0].body == {"model": "upstream-vectors", "input": ["a", "b"], "dimensions": 2}
    assert server.post("/v1/moderations", {"model": "judge", "input": "x"}).json()["results"][0]["flagged"] is False
    assert server.post("/v1/completions", {"model": "text", "prompt": "x"}).json()["choices"][0]["text"]
    reply = server.post("/v1/completions", {"model": "text", "prompt": "x", "stream": True})
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    assert "".join(json.loads(event)["choices"][0]["text"] for event in events) == "once upon a time"
    assert [seen.path for seen in upstream.seen[1:]] == ["/moderations", "/completions", "/completions"]


def test_images_and_speech(server: Server, upstream: Models) -> None:
    reply = server.post("/v1/images/generations", {"model": "painter", "prompt": "a cat"})
    assert reply.json()["data"] == [{"b64_json": "aGk="}]
    reply = server.post("/v1/audio/speech", {"model": "voice", "input": "hi", "voice": "alloy"})
    assert (reply.headers["content-type"], reply.content) == ("audio/mpeg", SPEECH)
    assert upstream.seen[1].body == {"model": "upstream-voice", "input": "hi", "voice": "alloy"}


@pytest.mark.parametrize("path", ["/audio/transcriptions", "/audio/translations"])
def test_an_upload_is_relayed_byte_for_byte_but_for_the_model(server: Server, upstream: Models, path: str) -> None:
    sound = bytes(range(256)) * 2000 + b"\r\n--not-the-boundary\r\n"
    form = {"model": "voice", "language": "nö", "prompt": "--x"}
    files = {"file": ("a b.mp3", sound, "audio/mpeg")}
    request = server.client.build_request("POST", f"{server.url}/v1{path}", data=form, files=files)
    sent = request.read()
    reply = server.client.send(request)
    assert (reply.status_code, reply.json()) == (200, {"text": "what was said"})
    (seen,) = upstream.seen
    assert (seen.path, seen.headers["content-type"]) == (path, request.headers["content-type"])
    assert seen.raw == sent.replace(b'name="model"\r\n\r\nvoice', b'name="model"\r\n\r\nupstream-voice')
    assert sound in seen.raw


def test_image_edits_and_variations(server: Server, upstream: Models) -> None:
    for path in ("/images/edits", "/images/variations"):
        files = {"image": ("a.png", b"\x89PNG", "image/png")}
        assert (
            server.client.post(f"{server.url}/v1{path}", data={"model": "painter"}, files=files).json()["created"] == 1
        )


def test_uploads_that_cannot_be_routed(server: Server) -> None:
    url, files = f"{server.url}/v1/audio/transcriptions", {"file": ("a.mp3", b"x", "audio/mpeg")}
    assert error_of(server.client.post(url, data={"x": "y"}, files=files), 400, "invalid_request")["param"] == "model"
    assert (
        "'vocie'"
        in error_of(server.client.post(url, data={"model": "vocie"}, files=files), 404, "model_not_found")["message"]
    )
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=other"):
        reply = server.client.post(url, content=b"--x--", headers={"content-type": content_type})
        assert error_of(reply, 400, "invalid_request")["param"] == "model"


def test_a_surface_that_the_target_does_not_serve(server: Server, upstream: Models) -> None:
    error = error_of(server.post("/v1/embeddings", {"model": "chat", "input": "x"}), 400, "unsupported_capability")
    assert "(embeddings)" in error["message"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("POST", "/healthz", "GET"),
        ("GET", "/api/v1/explain", "POST"),
        ("PUT", "/api/v1/status", "GET"),
    ],
)
def test_another_method(server: Server, method: str, path: str, allowed: str) -> None:
    reply = server.client.request(method, server.url + path)
    error_of(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "Nothing is served at /."),
        ("/chat/completions", "did you mean /v1/chat/completions? A client's base_url ends in /v1."),
        ("/v1/v1/chat/completions", "Nothing is served at"),
        ("/v1/files", "Nothing is served at"),
        ("/messages", "did you mean /v1/messages?"),
        ("/api/v1/none", "Nothing is served at"),
        ("/v1/models/", "Nothing is served at"),
    ],
)
def test_another_path(server: Server, path: str, says: str) -> None:
    assert says in error_of(server.post(path, CHAT), 404, "not_found")["message"]


def test_every_reply_has_the_usual_headers(server: Server) -> None:
    graph = server.get("/healthz").headers["x-interlock-graph"]
    for reply in (
        server.get("/v1/models"),
        server.get("/nothing"),
        server.chat(),
        server.chat("none"),
        server.post("/v1/embeddings", 1),
    ):
        assert REQUEST_ID.match(reply.headers["x-request-id"])
        assert reply.headers["x-interlock-graph"] == graph
    for given, kept in (("mine-1.a_B", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False)):
        reply = server.client.get(server.url + "/healthz", headers={"x-request-id": given.encode()})  # type: ignore[dict-item]
        assert (reply.headers["x-request-id"] == given) == kept
