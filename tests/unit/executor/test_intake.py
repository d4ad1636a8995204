"""From the bytes of a client to a call: what is read, what is refused, and in which words."""

from __future__ import annotations

import contextlib
import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange import Call
from engine.executor.intake import SURFACES, BadRequestError, make_call, parse_deadline, request_id
from engine.graph import Key

CHAT = "/chat/completions"


def call(headers: dict[str, str] | None = None, key: Key | None = None, **fields: Any) -> Call:
    body = {"model": "chat", "messages": []} | fields
    return make_call(CHAT, json.dumps(body).encode(), headers or {}, key=key)


def refused(body: bytes, path: str = CHAT, **headers: str) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        make_call(path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    assert caught.value.status == 400
    return caught.value


def test_fields_are_kept_as_the_client_wrote_them() -> None:
    made = make_call(CHAT, b'{ "model" : "chat", "messages":[ {"a":1e2} ],"x": 1.50 }')
    assert (made.model, made.surface, made.path, made.method) == ("chat", "chat", CHAT, "POST")
    assert {name: bytes(raw) for name, raw in (made.body or {}).items()} == {
        "model": b'"chat"',
        "messages": b'[ {"a":1e2} ]',
        "x": b"1.50",
    }


def test_an_id_is_given_or_taken() -> None:
    assert make_call(CHAT, b'{"model":"m","messages":[]}', id_="r-7").request_id == "r-7"
    fresh = {request_id() for _ in range(1000)}
    assert len(fresh) == 1000
    assert all(id_.startswith("req_") and len(id_) == 28 for id_ in fresh)


def test_every_endpoint_has_its_surface() -> None:
    body = json.dumps({"model": "m", "messages": [], "input": "x"}).encode()
    made = {path: make_call(path, body) for path in SURFACES}
    assert {path: (call.surface, call.kind, call.front) for path, call in made.items()} == {
        path: (surface.name, surface.kind, surface.front) for path, surface in SURFACES.items()
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "The body is empty; send a JSON object."),
        (b"{", "The body is not valid JSON: "),
        (b'{"model":"chat"} x', "The body is not valid JSON: "),
        (b"[]", "The body must be a JSON object."),
        (b'"chat"', "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b'{"model":"chat","x":"\xff"}', "The body is not valid UTF-8: "),
        (b'{"model":"chat","x":"\\ud83d"}', "The body is not valid JSON: "),
        (
            b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
            "The body is nested too deeply; at most 100 levels are accepted.",
        ),
        (b"[" * 100_000, "The body"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(body: bytes, words: str) -> None:
    assert refused(body).message.startswith(words)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": []}, "model", "You must provide a 'model' parameter."),
        ({"model": 7, "messages": []}, "model", "'model' must be a string."),
        ({"model": None, "messages": []}, "model", "'model' must be a string."),
        ({"model": "m"}, "messages", "'messages' must be an array of messages."),
        ({"model": "m", "messages": "hi"}, "messages", "'messages' must be an array of messages."),
        ({"model": "m", "messages": [], "stream": 1}, "stream", "'stream' must be true or false."),
        ({"model": "m", "messages": [], "stream": "true"}, "stream", "'stream' must be true or false."),
        ({"model": "m", "messages": [], "user": 5}, "user", "'user' must be a string."),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(fields: dict[str, Any], param: str, words: str) -> None:
    problem = refused(json.dumps(fields).encode())
    assert (problem.message, problem.param, problem.code) == (words, param, "invalid_request")


def test_of_two_fields_of_a_name_the_last_counts_for_routing_and_upstream_alike() -> None:
    made = make_call(CHAT, b'{"model":"one","messages":[],"model":"two"}')
    assert (made.model, bytes((made.body or {})["model"])) == ("two", b'"two"')


def test_null_is_as_good_as_absent() -> None:
    made = call(stream=None, user=None, metadata=None)
    assert (made.stream, made.user, made.metadata) == (False, None, {})


@pytest.mark.parametrize(
    ("options", "wants"),
    [(None, False), ({}, False), ({"include_usage": False}, False), ({"include_usage": True}, True), ("x", False)],
)
def test_a_client_wants_usage_if_it_says_so(options: Any, wants: bool) -> None:
    assert call(stream=True, stream_options=options).wants_usage is wants


def test_other_surfaces_than_chat_and_completions_are_not_streamed() -> None:
    body = b'{"model":"m","input":"x","stream":true}'
    assert not make_call("/embeddings", body).stream
    assert make_call("/completions", body).stream


# ---- depth -------------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    """A body of this depth in all, with brackets in its strings besides."""
    levels = depth - 1
    return b'{"model":"m","s":"[[{\\"[\\\\","messages":' + b"[" * levels + b"]" * levels + b"}"


def test_the_depth_of_a_body_is_bounded_and_brackets_in_strings_do_not_count() -> None:
    make_call(CHAT, nested(100), max_depth=100)
    with pytest.raises(BadRequestError, match="nested too deeply; at most 100 levels"):
        make_call(CHAT, nested(101), max_depth=100)
    make_call(CHAT, nested(101), max_depth=101)


def test_width_is_not_depth() -> None:
    make_call(CHAT, b'{"model":"m","messages":[' + b",".join([b'{"a":[{}]}'] * 1000) + b"]}", max_depth=5)


_trees = st.recursive(
    st.none() | st.integers() | st.text('[]{}"\\a', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=2),
    max_leaves=15,
)


def depth_of(tree: Any) -> int:
    if isinstance(tree, dict):
        return 1 + max(map(depth_of, tree.values()), default=0)
    return 1 + max(map(depth_of, tree), default=0) if isinstance(tree, list) else 0


@given(_trees, st.booleans())
def test_the_depth_is_that_of_the_tree(tree: Any, ascii_only: bool) -> None:
    whole = {"model": "m", "messages": [], "x": tree}
    body, depth = json.dumps(whole, ensure_ascii=ascii_only).encode(), depth_of(whole)
    make_call(CHAT, body, max_depth=depth)
    with pytest.raises(BadRequestError, match="nested too deeply"):
        make_call(CHAT, body, max_depth=depth - 1)


def test_measuring_the_depth_takes_one_pass_however_deep_the_body_is() -> None:
    """Twenty times the work for twenty times the depth would stop a server for a minute."""
    make_call(CHAT, b'{"model":"m","messages":[' + b",".join([b"[" * 400 + b"]" * 400] * 250) + b"]}", max_depth=500)


# ---- metadata, keys, headers -------------------------------------------------------------------------------------


def test_metadata_comes_from_the_key_then_the_header_then_the_body() -> None:
    key = Key("k", "0" * 64, frozenset({"use"}), ("ch*",), MappingProxyType({"a": "key"}))
    header = json.dumps({"a": "header", "b": "header"})
    made = call({"x-interlock-metadata": header}, key, metadata={"a": "body", "b": "body", "c": "body"})
    assert made.metadata == {"a": "key", "b": "header", "c": "body"}
    assert (made.key, made.key_routes, dict(made.trusted)) == ("k", ("ch*",), {"a": "key"})


def test_values_of_metadata_are_strings_as_headers_would_spell_them() -> None:
    odd = {"yes": True, "no": False, "n": 5, "f": 1.5, "s": "x", "none": None, "list": [1], "map": {}}
    assert call(metadata=odd).metadata == {"yes": "true", "no": "false", "n": "5", "f": "1.5", "s": "x"}
    plain = {"yes": True, "n": 5}
    assert call({"x-interlock-metadata": json.dumps(plain)}).metadata == {"yes": "true", "n": "5"}


def test_metadata_that_is_no_object_is_the_upstreams_to_refuse() -> None:
    assert call(metadata="x").metadata == {}
    assert call(metadata=[1]).metadata == {}


def test_a_number_too_large_to_be_read_is_kept_as_it_was_written_and_hides_nothing() -> None:
    made = make_call(CHAT, b'{"model":"m","messages":[],"metadata":{"a":1e999,"tier":"free"}}')
    assert made.metadata == {"a": "1e999", "tier": "free"}
    made = make_call(
        CHAT, b'{"model":"m","messages":[],"stream":true,"stream_options":{"x":1e999,"include_usage":true}}'
    )
    assert made.wants_usage


@pytest.mark.parametrize("text", ["{", "[]", '{"a":[]}', '{"a":null}', "tier=free"])
def test_a_metadata_header_that_cannot_be_read_is_refused(text: str) -> None:
    problem = refused(b'{"model":"m","messages":[]}', x_interlock_metadata=text)
    assert problem.param == "x-interlock-metadata"
    assert "must be a JSON object of strings, numbers and booleans" in problem.message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30.0), ("2.5", 2.5), ("2500ms", 2.5), ("30s", 30.0), ("0.5s", 0.5), ("9" * 400, float("inf"))],
)
def test_a_deadline_is_read(text: str, seconds: float) -> None:
    assert parse_deadline(text) == seconds
    assert call({"x-interlock-deadline": text}).deadline == seconds


@pytest.mark.parametrize(
    "text", ["0", "-1", "soon", "1m", "1e3", "nan", "inf", "1 s", "1,5", ".", "ms", "\u0663", "0ms"]
)
def test_a_deadline_that_is_none_is_refused_and_not_ignored(text: str) -> None:
    problem = refused(b'{"model":"m","messages":[]}', x_interlock_deadline=text)
    assert problem.param == "x-interlock-deadline"
    assert "such as 30 or 2500ms" in problem.message


@pytest.mark.parametrize(("text", "forbidden"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False)])
def test_a_client_may_forbid_failover(text: str, forbidden: bool) -> None:
    assert call({"x-interlock-no-fallback": text}).no_fallback is forbidden
    assert not call().no_fallback


# ---- forms -------------------------------------------------------------------------------------------------------

FORM = b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n--B--\r\n'


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=B", "Multipart/Form-Data; boundary=B"])
def test_a_form_travels_as_it_is_and_only_its_model_is_read(kind: str) -> None:
    made = make_call("/audio/transcriptions", FORM, {"content-type": kind, "x-interlock-deadline": "3"})
    assert (made.model, made.body, made.raw, made.content_type) == ("whisper", None, FORM, kind)
    assert (made.surface, made.deadline) == ("audio", 3.0)


def test_a_form_without_a_model_is_refused() -> None:
    problem = refused(
        FORM.replace(b'"model"', b'"file"'), "/audio/transcriptions", content_type="multipart/form-data; boundary=B"
    )
    assert (problem.message, problem.param) == ("The form has no field 'model'.", "model")


@given(st.binary(max_size=80))
def test_any_bytes_make_a_call_or_a_refusal(body: bytes) -> None:
    for path, kind in ((CHAT, "application/json"), ("/images/edits", "multipart/form-data; boundary=B")):
        with contextlib.suppress(BadRequestError):
            make_call(path, body, {"content-type": kind})
