"""W3C trace context: what is well-formed, what is passed on, and who decides whether a request is sampled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange import Trace, Tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ALL = Tracing(1.0, frozenset({"one"}))


def test_a_callers_context_is_taken_up() -> None:
    found = ALL.begin({"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"})
    assert (found.trace_id, found.parent_id, found.sampled, found.state) == (TRACE, SPAN, True, "a=1")
    assert found.span_id not in (SPAN, "0" * 16)
    assert Tracing(0.0, frozenset()).begin({"traceparent": f"00-{TRACE}-{SPAN}-01"}).sampled
    assert not ALL.begin({"traceparent": f"00-{TRACE}-{SPAN}-00"}).sampled
    assert ALL.begin({"traceparent": f"cc-{TRACE}-{SPAN}-01-of-the-future"}).trace_id == TRACE


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
    ],
)
def test_what_is_not_well_formed_begins_a_trace_of_its_own(wrong: str) -> None:
    found = ALL.begin({"traceparent": wrong, "tracestate": "a=1"})
    assert found.trace_id != TRACE
    assert (found.parent_id, found.state) == ("", "")


@given(st.text(max_size=80))
def test_no_header_does_harm(text: str) -> None:
    found = ALL.begin({"traceparent": text})
    assert len(found.trace_id) == 32
    assert len(found.span_id) == 16


def test_the_share_is_kept() -> None:
    tenth = Tracing(0.1, frozenset())
    sampled = sum(tenth.begin({}).sampled for _ in range(20_000))
    assert 1_700 < sampled < 2_300
    assert not any(Tracing(0.0, frozenset()).begin({}).sampled for _ in range(1000))
    assert all(ALL.begin({}).sampled for _ in range(1000))


def test_only_who_is_named_is_told() -> None:
    trace = Trace(TRACE, "1" * 16, SPAN, True, "a=1")
    assert ALL.headers(trace, "two", 0.0) == []
    told = dict(ALL.headers(trace, "one", 0.25))
    assert told == {"traceparent": f"00-{TRACE}-{trace.span_of('one', 0.25)}-01", "tracestate": "a=1"}
    assert trace.span_of("one", 0.25) != trace.span_of("one", 0.5) != trace.span_of("two", 0.5)
