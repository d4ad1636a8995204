"""From a call to the attributes that conditions read and the planner checks."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from engine.executor.attributes import BYTES_PER_TOKEN, IMAGE_TOKENS, request_of
from engine.executor.intake import make_call
from engine.graph import Key
from engine.planner import Request

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}}


def asked(path: str = "/chat/completions", key: Key | None = None, **fields: Any) -> Request:
    body = {"model": "chat"} | ({"messages": []} if path == "/chat/completions" else {}) | fields
    return request_of(make_call(path, json.dumps(body, separators=(",", ":")).encode(), {"x-app": "shop"}, key=key))


def raw(text: bytes) -> Request:
    return request_of(make_call("/chat/completions", b'{"model":"chat",' + text + b"}", {}))


def says(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def test_what_the_call_knows_conditions_can_read() -> None:
    key = Key("k", "0" * 64, frozenset({"use"}), ("chat",), MappingProxyType({"team": "blue"}))
    made = asked(key=key, user="u-1", metadata={"tier": "free"}, max_tokens=5, stream=True)
    names = ("model", "surface", "stream", "user", "key", "team", "metadata.tier", "header.x-app", "max_tokens")
    assert [made.get(name) for name in names] == ["chat", "chat", True, "u-1", "k", "blue", "free", "shop", 5]
    assert made.key_routes == ("chat",)


def test_a_team_is_what_the_key_says_and_never_what_the_client_says() -> None:
    assert asked(metadata={"team": "red"}).team is None


# ---- the estimate of tokens --------------------------------------------------------------------------------------


def test_the_estimate_is_the_bytes_of_the_texts_by_four_rounded_up() -> None:
    messages = says({"type": "text", "text": "x" * 1001})
    size = len(json.dumps(messages, separators=(",", ":")))
    assert asked(messages=messages).input_tokens == -(-size // BYTES_PER_TOKEN)
    tools = [{"type": "function", "function": {"name": "f"}}]
    both = size + len(json.dumps(tools, separators=(",", ":")))
    assert asked(messages=messages, tools=tools).input_tokens == -(-both // BYTES_PER_TOKEN)


@pytest.mark.parametrize(
    ("path", "field"), [("/completions", "prompt"), ("/embeddings", "input"), ("/moderations", "input")]
)
def test_other_surfaces_are_estimated_by_their_own_texts(path: str, field: str) -> None:
    assert asked(path, **{field: "x" * 398}).input_tokens == 100


def test_other_fields_do_not_count() -> None:
    assert asked(metadata={"x": "y" * 1000}, response_format={"type": "json_object"}).input_tokens == 1


def test_bytes_count_and_not_characters() -> None:
    text = "\u00e9" * 98
    assert raw(b'"messages":["' + text.encode() + b'"]').input_tokens == 50


def test_an_image_counts_what_an_image_counts_whatever_its_bytes() -> None:
    words = {"type": "text", "text": "what is this?"}
    without = asked(messages=says(words)).input_tokens
    made = asked(messages=says(words, PICTURE))
    assert made.vision
    assert 0 <= made.input_tokens - without - IMAGE_TOKENS <= 1
    assert asked(messages=says(PICTURE, PICTURE)).input_tokens - asked(messages=says()).input_tokens in (2000, 2001)


@pytest.mark.parametrize("kind", ["image_url", "input_image", "image"])
def test_an_image_is_known_by_the_type_of_its_part(kind: str) -> None:
    assert asked(messages=says({"type": kind, "x": 1})).vision


@pytest.mark.parametrize(
    "text",
    [
        rb'"messages":[{"content":[{"type":"image\u005furl","image_url":{"url":"x"}}]}]',
        rb'"messages":[{"content":[{"type":"\u0069mage"}]}]',
        rb'"messages":[{"content":[{"type":"\u0049mage","type":"imag\u0065"}]}]',
        rb'"messages":[{"c\u006fntent":[{"typ\u0065":"\u0069mage"}]}]',
    ],
)
def test_an_image_whose_type_is_written_in_escapes_is_an_image(text: bytes) -> None:
    assert raw(text).vision


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": 'say "image_url" and "image"'}],
        says({"type": "text", "text": '"image"'}),
        [{"role": "user", "content": None, "image_url": "x"}],
        ["image_url", 5, None],
        says("image_url"),
    ],
)
def test_words_about_images_are_no_images(messages: Any) -> None:
    made = asked(messages=messages)
    assert not made.vision
    assert made.input_tokens == -(-len(json.dumps(messages, separators=(",", ":"))) // BYTES_PER_TOKEN)


@pytest.mark.parametrize("number", [b"1e999", b"1" * 5000, b"1e15"])
def test_a_number_of_any_size_hides_no_image_and_changes_no_estimate(number: bytes) -> None:
    made = raw(b'"messages":[{"x":%s,"content":[{"type":"image_url","x":[%s,%s]}]}]' % (number, number, number))
    around = len(b'[{"x":%s,"content":[]}]' % number)
    assert (made.vision, made.input_tokens) == (True, IMAGE_TOKENS + -(-around // BYTES_PER_TOKEN))


# ---- capabilities ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, {"chat"}),
        ({"stream": True}, {"chat", "stream"}),
        ({"tools": [{}]}, {"chat", "tools"}),
        ({"functions": [{}]}, {"chat", "tools"}),
        ({"tools": [], "functions": None}, {"chat"}),
        ({"messages": says(PICTURE)}, {"chat", "vision"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"chat", "json_schema"}),
        ({"response_format": {"type": "json_object"}}, {"chat"}),
        ({"response_format": {"type": "text", "x": "json_schema"}}, {"chat"}),
        ({"response_format": "json_schema"}, {"chat"}),
        ({"response_format": None}, {"chat"}),
    ],
)
def test_a_request_needs_what_it_asks_for(fields: dict[str, Any], needs: set[str]) -> None:
    made = asked(**fields)
    assert made.needs == needs
    assert (made.tools, made.vision, made.json_schema) == tuple(x in needs for x in ("tools", "vision", "json_schema"))


@pytest.mark.parametrize(
    "text", [rb'{"type":"json\u005fschema"}', rb'{"typ\u0065":"json_schema"}', b'{"type":"json_schema","x":1e999}']
)
def test_a_schema_that_is_written_oddly_is_a_schema(text: bytes) -> None:
    assert raw(b'"messages":[],"response_format":' + text).json_schema


@pytest.mark.parametrize(
    ("path", "surface"), [("/embeddings", "embeddings"), ("/audio/speech", "audio"), ("/completions", "completions")]
)
def test_a_target_must_have_the_surface_itself(path: str, surface: str) -> None:
    assert asked(path, input="x").needs == {surface}


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "max_completion_tokens": None}, 7),
        ({"max_tokens": "7"}, None),
        ({"max_tokens": -7}, None),
        ({"max_tokens": 7.5}, None),
        ({"max_tokens": None}, None),
    ],
)
def test_the_limit_on_output_is_read_under_both_its_names(fields: dict[str, Any], limit: int | None) -> None:
    assert asked(**fields).max_tokens == limit


def test_an_upload_has_the_attributes_of_its_call_alone() -> None:
    form = b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nw\r\n--B--\r\n'
    made = request_of(make_call("/audio/transcriptions", form, {"content-type": "multipart/form-data; boundary=B"}))
    assert (made.model, made.needs, made.input_tokens, made.max_tokens) == ("w", {"audio"}, 0, None)


def test_the_same_body_gives_the_same_attributes() -> None:
    body = json.dumps({"model": "chat", "messages": says(PICTURE), "tools": [{}]}).encode()
    one, two = (request_of(make_call("/chat/completions", body, id_="r")) for _ in range(2))
    assert one == two
