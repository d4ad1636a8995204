"""Forms: one plain field is read and replaced, and not a byte beside it changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.multipart import read_field, replace_field

TYPE = "multipart/form-data; boundary=XYZ"


def form(*parts: tuple[str, bytes], boundary: str = "XYZ") -> bytes:
    made = b"".join(
        b"--"
        + boundary.encode()
        + b"\r\nContent-Disposition: form-data; "
        + head.encode()
        + b"\r\n\r\n"
        + body
        + b"\r\n"
        for head, body in parts
    )
    return made + b"--" + boundary.encode() + b"--\r\n"


AUDIO = ('name="file"; filename="model.mp3"\r\nContent-Type: audio/mpeg', b'\xff\xfb\r\n\r\nname="model"\r\n--XY\x00')


def test_a_field_is_read_and_replaced_whatever_files_stand_before_and_behind_it() -> None:
    body = form(AUDIO, ('name="model"', b"chat"), AUDIO)
    assert read_field(body, TYPE, "model") == "chat"
    assert replace_field(body, TYPE, "model", "whisper-1") == form(AUDIO, ('name="model"', b"whisper-1"), AUDIO)


@pytest.mark.parametrize("head", ["name=model", 'NAME="model"', 'name="model"; x=1', 'x="a;b"; name="model"'])
def test_the_field_is_known_by_its_name_however_that_is_written(head: str) -> None:
    assert read_field(form((head, b"chat")), TYPE, "model") == "chat"


def test_an_empty_field_is_there_and_empty() -> None:
    assert read_field(form(('name="model"', b"")), TYPE, "model") == ""


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=XYZ",
        'Multipart/Form-Data; charset=utf-8; boundary="XYZ"',
        "multipart/form-data;boundary=XYZ",
    ],
)
def test_the_boundary_is_read_in_every_notation(content_type: str) -> None:
    assert read_field(form(('name="model"', b"chat")), content_type, "model") == "chat"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(('name="other"', b"x")), TYPE),
        (form(('name="model"', b"chat")), "multipart/form-data"),
        (form(('name="model"', b"chat")), "application/json; boundary=XYZ"),
        (form(('name="model"', b"chat"))[:-20], TYPE),
        (b"--XYZ\r\n", TYPE),
        (b"", TYPE),
        (b"--XYZ\r\nContent-Disposition: form-data\r\n\r\nchat\r\n--XYZ--", TYPE),
    ],
)
def test_without_the_field_there_is_nothing_to_read_and_nothing_to_replace(body: bytes, content_type: str) -> None:
    assert read_field(body, content_type, "model") is None
    assert replace_field(body, content_type, "model", "new") == body


def test_the_first_of_two_fields_of_a_name_counts() -> None:
    assert read_field(form(('name="model"', b"one"), ('name="model"', b"two")), TYPE, "model") == "one"


def test_letters_of_any_language_survive() -> None:
    body = form(('name="model"', "größer".encode()))
    assert read_field(body, TYPE, "model") == "größer"
    assert read_field(replace_field(body, TYPE, "model", "模型"), TYPE, "model") == "模型"


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "file"]), st.binary(max_size=30)), max_size=4), st.text(max_size=9)
)
def test_replacing_changes_the_field_and_nothing_else(others: list[tuple[str, bytes]], value: str) -> None:
    parts = [(f'name="{name}"', body) for name, body in others if b"--XYZ" not in body]
    body = form(*parts, ('name="model"', b"chat"), *parts)
    changed = replace_field(body, TYPE, "model", value)
    assert changed == form(*parts, ('name="model"', value.encode()), *parts)
    assert read_field(changed, TYPE, "model") == value.encode().decode("utf-8", "replace")


@given(st.binary(max_size=200), st.text(max_size=40))
def test_no_body_and_no_content_type_is_too_odd(body: bytes, content_type: str) -> None:
    found = read_field(body, content_type, "model")
    assert found is None or isinstance(found, str)
