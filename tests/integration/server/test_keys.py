"""Who may do what: keys, scopes, routes of a key, and metadata that only a key can set."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from .conftest import WriteConfig
from .harness import HELLO, Server
from .upstream import Models

#: Key -> its secret. What each may do stands in DOCUMENTS.
SECRETS = {name: f"sk-canary-of-key-{name}" for name in ("app", "reader", "root", "everything", "nobody")}
FIELDS = {
    "app": "scopes: [use], routes: [tiered, 'vec*', chat], metadata: {tier: paid, team: blue}",
    "reader": "scopes: [read]",
    "root": "scopes: [admin]",
    "everything": "scopes: [use, read]",
}
DOCUMENTS = "---\n".join(
    f"{{version: 1, kind: key, name: {name}, sha256: {sha256(SECRETS[name].encode()).hexdigest()}, {fields}}}\n"
    for name, fields in FIELDS.items()
)
CHAT = ("POST", "/v1/chat/completions", {"model": "chat", "messages": HELLO})
EXPLAIN = ("POST", "/api/v1/explain", {"model": "tiered"})
#: A request, and who may send it; nobody needs a key for the last ones.
ALLOWED: list[tuple[tuple[str, str, Any], set[str]]] = [
    (CHAT, {"app", "root", "everything"}),
    (("POST", "/v1/embeddings", {"model": "vectors", "input": "x"}), {"app", "root", "everything"}),
    (("GET", "/v1/models", None), {"app", "root", "everything"}),
    (("GET", "/v1/models/chat", None), {"app", "root", "everything"}),
    (("GET", "/api/v1/status", None), {"reader", "root", "everything"}),
    (("GET", "/api/v1/graph", None), {"reader", "root", "everything"}),
    (EXPLAIN, {"reader", "root", "everything"}),
    (("GET", "/healthz", None), {*SECRETS, ""}),
    (("GET", "/readyz", None), {*SECRETS, ""}),
]
CASES = [(ask, name, name in allowed) for ask, allowed in ALLOWED for name in (*SECRETS, "")]


@pytest.fixture(scope="module")
def guarded(write_config: WriteConfig) -> Iterator[Server]:
    """A server with keys."""
    with Server(write_config(DOCUMENTS)) as running:
        yield running
        assert "sk-canary" not in running.stderr + running.stdout


def ask(server: Server, what: tuple[str, str, Any], **headers: str) -> httpx.Response:
    method, path, body = what
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.client.request(method, server.url + path, json=body, headers=names)


def bearer(name: str) -> str:
    return f"Bearer {SECRETS[name]}"


def error_of(reply: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-request-id"]
    assert "sk-canary" not in reply.text
    return error


@pytest.mark.parametrize(
    ("what", "name", "allowed"), CASES, ids=lambda value: value[1] if isinstance(value, tuple) else str(value)
)
def test_who_may_do_what(guarded: Server, what: tuple[str, str, Any], name: str, allowed: bool) -> None:
    for headers in ({"authorization": bearer(name)}, {"x_api_key": SECRETS[name]}) if name else ({},):
        reply = ask(guarded, what, **headers)
        if allowed:
            assert reply.status_code == 200
            continue
        error = error_of(reply)
        code = "insufficient_scope" if name in FIELDS else "invalid_api_key" if name else "missing_api_key"
        assert reply.status_code == (403 if name in FIELDS else 401)
        assert (error["type"], error["code"]) == ("authentication_error", code)
        assert reply.headers.get("www-authenticate") == (None if name in FIELDS else "Bearer")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "bearer " + SECRETS["app"]}, 200),
        ({"authorization": "Bearer  " + SECRETS["app"]}, 200),
        ({"authorization": "Basic " + SECRETS["app"], "x_api_key": SECRETS["app"]}, 200),
        ({"authorization": "Basic " + SECRETS["app"]}, 401),
        ({"authorization": SECRETS["app"]}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": bearer("nobody"), "x_api_key": SECRETS["app"]}, 401),
        ({"x_api_key": SECRETS["app"] + "x"}, 401),
        ({"x_api_key": sha256(SECRETS["app"].encode()).hexdigest()}, 401),
        ({"x_api_key": "\xe9"}, 401),
    ],
)
def test_how_a_key_is_sent(guarded: Server, headers: dict[str, str], status: int) -> None:
    encoded = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
    reply = guarded.client.get(guarded.url + "/v1/models", headers=encoded)  # type: ignore[arg-type]
    assert reply.status_code == status


def test_a_key_without_a_scope_is_told_which_it_has(guarded: Server) -> None:
    error = error_of(ask(guarded, EXPLAIN, authorization=bearer("app")))
    assert error["message"] == "Key 'app' has not the scope 'read' that this needs (it has: use)."


def test_routes_of_a_key(guarded: Server) -> None:
    for model, status in (("chat", 200), ("gpt-4o-mini", 200), ("slow", 403), ("no-such", 404)):
        reply = guarded.chat(model, authorization=bearer("app"))
        assert reply.status_code == status
        if status == 403:
            error = error_of(reply)
            assert (error["type"], error["code"]) == ("policy_error", "route_forbidden")
            assert "'slow'" in error["message"]


def test_models_are_those_that_the_key_may_use(guarded: Server) -> None:
    def names(key: str) -> set[str]:
        reply = guarded.get("/v1/models", authorization=bearer(key)).json()
        return {model["id"] for model in reply["data"]}

    assert names("app") == {"chat", "tiered", "vectors"}
    assert names("everything") == names("root") > names("app")
    assert guarded.get("/v1/models/vectors", authorization=bearer("app")).status_code == 200
    error = error_of(guarded.get("/v1/models/slow", authorization=bearer("app")))
    assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_metadata_of_a_key_beats_the_header_and_the_body(guarded: Server) -> None:
    body = {"model": "tiered", "messages": HELLO, "metadata": {"tier": "free"}}
    header = {"x_interlock_metadata": '{"tier": "free"}'}
    assert guarded.post("/v1/chat/completions", body, authorization=bearer("app"), **header).status_code == 200
    assert guarded.post("/v1/chat/completions", body, authorization=bearer("everything")).status_code == 402
    paid = {**body, "metadata": {"tier": "paid"}}
    assert guarded.post("/v1/chat/completions", paid, authorization=bearer("everything")).status_code == 200
    reply = guarded.post("/v1/chat/completions", paid, authorization=bearer("everything"), **header)
    assert reply.status_code == 402  # the header beats the body


def test_explain_shows_what_the_asking_key_would_get(guarded: Server) -> None:
    plan = ask(guarded, EXPLAIN, authorization=bearer("root")).json()
    assert plan["stop"] == "rejected"
    plan = ask(guarded, EXPLAIN, authorization=bearer("root"), x_interlock_metadata='{"tier": "paid"}').json()
    assert plan["attempts"] == ["near/words"]


def test_the_clients_key_stays_here(guarded: Server, upstream: Models) -> None:
    guarded.chat(authorization=bearer("app"), x_custom="mine")
    guarded.chat(x_api_key=SECRETS["app"])
    for seen in upstream.seen:
        assert not {"authorization", "x-api-key", "x-custom", "cookie"} & seen.headers.keys()
    assert len(upstream.seen) == 2


def test_the_record_names_the_key(guarded: Server) -> None:
    guarded.chat(authorization=bearer("app"), x_request_id="whose-1")
    line = guarded.line("whose-1")
    assert (line["key"], line["route"]) == ("app", "chat")


def test_the_callers_own_credential_is_passed_on_where_a_provider_wants_it(
    write_config: WriteConfig, upstream: Models
) -> None:
    with Server(write_config(auth="{scheme: caller}")) as server:
        assert server.chat(authorization="Bearer sk-of-the-caller").status_code == 200
        assert upstream.seen[0].headers["authorization"] == "Bearer sk-of-the-caller"
        reply = server.chat()
        assert (reply.status_code, error_of(reply)["code"]) == (502, "unauthorized")
        assert len(upstream.seen) == 1


def test_a_key_of_ours_is_never_passed_on(write_config: WriteConfig, upstream: Models) -> None:
    with Server(write_config(DOCUMENTS, auth="{scheme: caller}")) as server:
        reply = server.chat(authorization=bearer("app"))
        assert (reply.status_code, error_of(reply)["code"]) == (502, "unauthorized")
        assert upstream.seen == []
