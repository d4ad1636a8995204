"""Lines of a stream, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import ndjson

from .play import CUTS, pieces


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=6), CUTS, st.booleans())
def test_lines_come_whole_and_in_order(lines: list[bytes], cuts: list[int], ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    cutter = ndjson.Lines()
    found = [line for piece in pieces(data, cuts) for line in cutter.feed(piece)]
    assert [*found, *cutter.flush()] == [line.strip() for line in lines if line.strip()]
    assert cutter.flush() == []


def test_a_line_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE", 10)
    cutter = ndjson.Lines()
    assert cutter.feed(b"12345\n12345") == [b"12345"]
    with pytest.raises(ValueError, match="10 bytes"):
        cutter.feed(b"123456")
