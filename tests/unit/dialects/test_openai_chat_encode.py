"""Requests: the client's JSON text passes untouched but for what must change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from engine.dialects import dialects
from engine.exchange import Call, Shape, WireRequest

OPENAI = dialects()["openai-chat"]
MODEL = Raw(b'"upstream-1"')


def call(body: dict[str, str], surface: str = "chat", **changes: Any) -> Call:
    fields = {name: Raw(text.encode()) for name, text in ({"model": '"chat"'} | body).items()}
    return Call("r-1", surface, f"/{surface}", "chat", surface, body=fields, **changes)


def raws(**fields: str) -> tuple[tuple[str, Raw], ...]:
    return tuple((name, Raw(text.encode())) for name, text in fields.items())


def encode(body: dict[str, str], shape: Shape | None = None, **changes: Any) -> WireRequest:
    return OPENAI.encode(call(body, **changes), shape or Shape(MODEL))


def texts(made: WireRequest) -> dict[str, str]:
    """The fields of the body as their JSON texts."""
    fields = msgspec.json.decode(made.body, type=dict[str, Raw])
    return {name: bytes(raw).decode() for name, raw in fields.items()}


def test_only_the_model_changes_and_every_other_byte_stays() -> None:
    odd = {
        "messages": '[ {"role" :"user","content":"\\u00e9 \\/ 1e2"} ]',
        "x_unknown": '{"a": 1.50, "a": 2}',
        "seed": "9007199254740993",
    }
    made = encode(odd)
    assert texts(made) == {"model": '"upstream-1"'} | odd
    assert (made.method, made.path, made.dropped) == ("POST", "/chat", ())
    assert made.headers == (("content-type", "application/json"),)


def test_the_callers_body_is_not_changed_so_that_the_next_target_gets_it_whole() -> None:
    asked = call({"messages": "[]", "temperature": "1"})
    before = dict(asked.body or {})
    OPENAI.encode(asked, Shape(MODEL, set=raws(temperature="0"), drop=frozenset({"messages"})))
    assert asked.body == before


def test_set_always_wins_and_default_speaks_where_the_client_is_silent() -> None:
    shape = Shape(MODEL, set=raws(top_p="0.5"), default=raws(top_p="0.1", temperature="0.2", seed="1"))
    assert texts(encode({"top_p": "1", "seed": "7"}, shape)) == {
        "model": '"upstream-1"',
        "top_p": "0.5",
        "seed": "7",
        "temperature": "0.2",
    }


def test_quirks_rename_drop_and_set_last_and_what_was_dropped_is_named() -> None:
    shape = Shape(
        MODEL,
        set=raws(max_completion_tokens="5"),
        rename=(("max_completion_tokens", "max_tokens"),),
        drop=frozenset({"logit_bias", "store", "absent"}),
        always=raws(safe="true", temperature="1"),
    )
    made = encode({"max_completion_tokens": "9", "store": "true", "logit_bias": "{}", "temperature": "0"}, shape)
    assert made.dropped == ("logit_bias", "store")
    assert texts(made) == {"model": '"upstream-1"', "max_tokens": "5", "safe": "true", "temperature": "1"}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, '{"include_usage":true}'),
        ("null", '{"include_usage":true}'),
        ('{"include_usage":false,"x":1}', '{"include_usage":true,"x":1}'),
        ('"nonsense"', '"nonsense"'),
    ],
)
def test_a_stream_is_asked_for_its_usage(options: str | None, sent: str) -> None:
    body = {"stream": "true"} | ({} if options is None else {"stream_options": options})
    assert texts(encode(body, stream=True))["stream_options"] == sent


def test_unless_the_provider_does_not_understand_that() -> None:
    shape = Shape(MODEL, stream_usage=False)
    made = encode({"stream": "true", "stream_options": '{"include_usage":true}'}, shape, stream=True)
    assert ("stream_options" in texts(made), made.dropped) == (False, ("stream_options",))
    assert encode({"stream": "true"}, shape, stream=True).dropped == ()


@pytest.mark.parametrize(("surface", "stream"), [("chat", False), ("embeddings", True), ("audio", True)])
def test_nothing_else_is_asked_for_usage(surface: str, stream: bool) -> None:
    assert "stream_options" not in texts(encode({"stream": "false"}, surface=surface, stream=stream))


def test_of_an_upload_only_the_model_changes() -> None:
    head, end = b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\n', b"\r\n--B--\r\n"
    asked = Call(
        "r-1",
        "audio",
        "/audio/transcriptions",
        "chat",
        "audio",
        raw=head + b"chat" + end,
        content_type="multipart/form-data; boundary=B",
    )
    made = OPENAI.encode(asked, Shape(MODEL, "upstream-1", set=raws(temperature="0")))
    assert made.body == head + b"upstream-1" + end
    assert made.headers == (("content-type", "multipart/form-data; boundary=B"),)


def test_an_error_event_is_what_the_official_sdks_raise() -> None:
    assert (
        OPENAI.error_event(504, {"message": "m", "code": "timeout"}, "r-1")
        == b'data: {"error":{"message":"m","code":"timeout"}}\n\n'
    )


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "reasoning_effort"])
def test_what_shapes_a_text_is_not_asked_of_embeddings(name: str) -> None:
    """A policy for all requests may set it."""
    shape = Shape(MODEL, "upstream-1", default=raws(**{name: "1"}), set=raws(**{name: "1", "own": "2"}))
    for surface, there in (("chat", True), ("embeddings", False)):
        made = msgspec.json.decode(OPENAI.encode(call({}, surface), shape).body)
        assert (name in made) is there
        assert made["own"] == 2
