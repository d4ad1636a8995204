"""The openai-chat dialect against anything: no bytes are too odd, and how a stream is cut makes no difference."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engine.dialects import dialects
from engine.dialects.retry_after import CAP
from engine.exchange import ATTEMPT_CLASSES, Call, OutcomeClass, Usage, Verdict

OPENAI = dialects()["openai-chat"]
CALL = Call("r-1", "chat", "/chat/completions", "m", stream=True)

# ---- streams -----------------------------------------------------------------------------------------------------

_deltas = st.sampled_from(
    [{}, {"role": "assistant", "content": ""}, {"content": "x"}, {"content": "é\n"}, {"tool_calls": [{"index": 0}]}]
)
_choices = st.lists(
    st.fixed_dictionaries(
        {"delta": _deltas},
        optional={
            "index": st.sampled_from([0, 1, None, "0"]),
            "finish_reason": st.sampled_from([None, "", "stop", "length", "content_filter", "error"]),
            "error": st.sampled_from([None, {"code": 429}]),
        },
    ),
    max_size=2,
)
_usage = st.sampled_from([None, {"prompt_tokens": 3, "completion_tokens": 2}])
_chunks = st.fixed_dictionaries(
    {"choices": _choices}, optional={"usage": _usage, "error": st.sampled_from([None, {"message": "no", "code": 503}])}
)
_payloads = st.one_of(
    _chunks.map(json.dumps),
    _chunks.map(json.dumps),
    st.sampled_from(["[DONE]", "[1]", '{"choices":3}', "{", "", "\ud7ff"]),
)
_ends = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Streams of events, comments and blank lines, with line ends of every kind, cut off anywhere or not at all."""
    out = []
    for data in draw(st.lists(_payloads, max_size=6)):
        end = draw(_ends)
        lines = draw(st.sampled_from([["data: {}"], ["data:{}"], [": ping", "", "data: {}"], ["event: e", "data: {}"]]))
        out += [line.replace("{}", data, 1) + end for line in lines] + [end * draw(st.integers(1, 3))]
    wire = "".join(out).encode()
    return wire[: draw(st.integers(0, len(wire)))] if draw(st.booleans()) else wire


def follow(pieces: list[bytes], wants_usage: bool) -> tuple[bytes, bool, bool, Verdict | None, Usage | None]:
    """Everything a client, or the executor, learns of a stream that arrives in these pieces."""
    call = Call("r-1", "chat", "/chat/completions", "m", stream=True, wants_usage=wants_usage)
    decoder = OPENAI.stream(call, {}.get)
    relayed = b""
    for piece in pieces:
        out = decoder.feed(piece)
        assert decoder.committed or not out, "relayed before the commit point"
        relayed += out
    tail, failure = decoder.finish()
    return relayed + tail, decoder.committed, decoder.ended, failure, decoder.usage


@given(streams(), st.booleans(), st.data())
@example(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n\n', False, None)
def test_how_a_stream_is_cut_makes_no_difference(wire: bytes, wants_usage: bool, data: st.DataObject | None) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8))) if data is not None else [len(wire)]
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    whole = follow([wire], wants_usage)
    assert follow(pieces, wants_usage) == whole
    assert follow([wire[n : n + 1] for n in range(len(wire))], wants_usage) == whole


@given(streams())
def test_a_stream_ends_in_its_marker_or_in_a_failure_never_silently(wire: bytes) -> None:
    relayed, committed, ended, failure, _ = follow([wire], True)
    assert failure is not None or (ended and relayed.rstrip().endswith(b"[DONE]"))
    assert committed or failure is not None or b"length" in wire
    assert failure is None or failure.outcome_class in ATTEMPT_CLASSES - {OutcomeClass.SERVED}


@given(streams())
def test_the_client_loses_no_event_but_usage_it_did_not_ask_for(wire: bytes) -> None:
    asked, silent = follow([wire], True), follow([wire], False)
    assert asked[1:] == silent[1:]
    kept = [event for event in asked[0].split(b"\n\n") if event not in silent[0].split(b"\n\n")]
    assert all(b'"usage"' in event for event in kept)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd_for_a_stream(wire: bytes) -> None:
    assert follow([wire], True) == follow([wire[n : n + 1] for n in range(len(wire))], True)


# ---- whole replies and errors ------------------------------------------------------------------------------------

#: Every key that some part of the dialect reads.
_KEYS = [
    *("error", "code", "type", "status", "status_code", "message", "param", "details", "metadata", "innererror"),
    *("retryDelay", "object", "detail", "choices", "data", "usage", "finish_reason", "index", "delta", "content"),
    *("flagged_input", "x_groq", "text", "prompt_tokens"),
]
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "code",
                    "type",
                    "status",
                    "status_code",
                    "message",
                    "param",
                    "details",
                    "metadata",
                    "innererror",
                    "retryDelay",
                    "object",
                    "detail",
                    "choices",
                    "data",
                    "usage",
                    "finish_reason",
                    "index",
                    "delta",
                    "content",
                    "flagged_input",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_bodies = st.binary(max_size=60) | _json.map(lambda tree: json.dumps(tree).encode())
_headers = st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=30), max_size=3)


def sound(verdict: Verdict) -> None:
    """What holds of every verdict on an attempt."""
    assert verdict.outcome_class in ATTEMPT_CLASSES
    assert all(isinstance(text, str) for text in (verdict.message, verdict.code, verdict.detail))
    assert verdict.param is None or isinstance(verdict.param, str)
    assert verdict.retry_after is None or 0 <= verdict.retry_after <= CAP


@given(st.integers(100, 999), _headers, _bodies)
def test_every_status_with_every_body_has_a_class_and_never_that_of_a_success(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = OPENAI.classify(status, headers.get, body, 1.8e9)
    sound(verdict)
    assert verdict.outcome_class is not OutcomeClass.SERVED


@given(st.sampled_from(["chat", "completions", "embeddings", "images", "audio", "moderations"]), _bodies)
def test_every_body_of_a_success_has_a_class(surface: str, body: bytes) -> None:
    sound(OPENAI.decode(Call("r-1", surface, "/x", "m", surface), {}.get, body)[0])


@given(_json)
def test_an_error_object_inside_a_success_is_never_served(error: Any) -> None:
    body = json.dumps({"error": error or "no"}).encode()
    assert OPENAI.decode(CALL, {}.get, body)[0].outcome_class is not OutcomeClass.SERVED
