"""Server-sent events: whole ones, however the bytes were cut on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.sse import MAX_EVENT, Splitter, payload


def split(*pieces: bytes) -> tuple[list[bytes], bytes]:
    """The blocks that came out piece by piece, and what the close brought."""
    splitter = Splitter()
    return [splitter.feed(piece) for piece in pieces], splitter.flush()


def events(wire: bytes) -> list[bytes]:
    """The events, without the blank lines between them."""
    return [event for event in (part.strip(b"\n") for part in wire.split(b"\n\n")) if event]


def test_an_event_comes_out_when_its_blank_line_is_there() -> None:
    assert split(b"data: a\n", b"\n", b"data: b\n\ndata: c\n\nda", b"ta: d\n\n") == (
        [b"", b"data: a\n\n", b"data: b\n\ndata: c\n\n", b"data: d\n\n"],
        b"",
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_they_like_and_come_out_alike(end: bytes) -> None:
    text = end.join([b"event: x", b"data: a", b"", b"data: b", b"", b""])
    blocks, rest = split(text)
    assert b"".join(blocks) + rest == b"event: x\ndata: a\n\ndata: b\n\n"


def test_a_line_end_cut_in_two_is_one_line_end() -> None:
    assert split(b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n") == ([b"", b"", b"data: a\n\ndata: b\n\n"], b"")


def test_an_event_whose_blank_line_never_came_is_completed_at_the_close() -> None:
    assert split(b"data: a\n\ndata: b") == ([b"data: a\n\n"], b"data: b\n\n")
    assert split(b"data: b\r") == ([b""], b"data: b\n\n")


def test_blank_lines_that_end_no_event_stand_between_events_and_not_in_them() -> None:
    assert split(b"\n\n\ndata: a\n\n\n", b"\n", b"\r\n\ndata: b\n") == (
        [b"\n\n\ndata: a\n\n\n", b"", b"\n\n\n"],
        b"data: b\n\n",
    )
    assert split(b"\n\r\n", b"\n") == ([b"\n\n", b""], b"")
    assert split(b"\n\n", b"\ndata: a") == ([b"\n\n", b""], b"data: a\n\n")


def test_an_event_without_end_is_given_up() -> None:
    splitter = Splitter()
    splitter.feed(b"data: ")
    with pytest.raises(ValueError, match=f"more than {MAX_EVENT} bytes"):
        splitter.feed(b"x" * MAX_EVENT)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_of_megabytes_in_small_pieces_costs_its_size_and_not_its_square(end: bytes) -> None:
    """Looking at all that is there again with every piece would take minutes for this."""
    wire = b"data: " + b"x" * (6 * 1024 * 1024) + end + end
    blocks, rest = split(*(wire[at : at + 500] for at in range(0, len(wire), 500)))
    assert b"".join(blocks) + rest == wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


@given(st.text("da:x \r\n", max_size=40), st.data())
def test_the_cuts_make_no_difference(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    blocks, rest = split(*pieces)
    once, rest_of_once = split(whole)
    assert events(b"".join(blocks) + rest) == events(b"".join(once) + rest_of_once)
    assert all(block == b"" or block.endswith(b"\n\n") for block in blocks)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x", b"x"),
        (b"data:x", b"x"),
        (b"data:  x ", b"x"),
        (b"event: error\ndata: x\nid: 7", b"x"),
        (b"data: one\ndata: two", b"one\ntwo"),
        (b": keep-alive", b""),
        (b"event: ping", b""),
        (b"data:", b""),
        (b"database: x", b""),
        (b"\n\ndata: x", b"x"),
        (b"", b""),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes) -> None:
    assert payload(event) == data
