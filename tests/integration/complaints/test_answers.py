"""Complaints 22, 23 and 25: what an answer means, and what of it is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..gateway import Gateway, chat, play
from ..upstream import DONE, START, STOP, Answer, Upstream, chunk, completion, error, event, served, stream, whole

# -- 22: a fallback to a smaller window; a service whose words nobody knows -------------------------------------------

#: How services say that a prompt is too long, with a code and without one.
TOO_LONG: dict[str, Answer] = {
    "OpenAI, by code": error(400, "Please shorten", "context_length_exceeded"),
    "SGLang": whole(
        400,
        {
            "object": "error",
            "message": "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "vLLM": whole(
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens.",
                "type": "BadRequestError",
                "code": 400,
            }
        },
    ),
    "llama.cpp": whole(400, {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}}),
}
WINDOWS = {"one": {"context_window": 8192}, "two": {"context_window": 4096}, "three": {"context_window": 100_000}}


@pytest.mark.parametrize("name", TOO_LONG)
def test_22_a_prompt_that_is_too_long_goes_to_a_larger_window_and_to_no_smaller_one(tmp_path: Path, name: str) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert got.status == 200, got.body
        assert [seen.account for seen in upstream.seen] == ["one", "three"]

    scripts: dict[str, Answer] = {"one": TOO_LONG[name], "two": served(False), "three": served(False)}
    play(tmp_path, scenario, scripts=scripts, step={"fallback": ["one/m", "two/m", "three/m"]}, models=WINDOWS)


def test_22_what_cannot_fit_is_not_even_sent(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(messages=[{"role": "user", "content": "word " * 8_000}]))
        assert (got.status, [seen.account for seen in upstream.seen]) == (200, ["three"])

    scripts: dict[str, Answer] = {"three": served(False)}
    play(tmp_path, scenario, scripts=scripts, step={"fallback": ["one/m", "two/m", "three/m"]}, models=WINDOWS)


# -- 23: a filtered answer is taken for a success ---------------------------------------------------------------------

FILTERED: dict[str, tuple[bool, Answer]] = {
    "by status": (False, error(400, "filtered", "content_filter")),
    "by finish reason": (False, whole(200, completion("", finish_reason="content_filter"))),
    "by finish reason in a stream": (True, stream(START, chunk(finish="content_filter"), DONE)),
    "by an event of a stream": (True, stream(START, event({"error": {"message": "no", "code": "content_filter"}}))),
}


@pytest.mark.parametrize("also_on", [False, True])
@pytest.mark.parametrize("name", FILTERED)
def test_23_a_filtered_answer_is_a_refusal_however_it_is_told(tmp_path: Path, name: str, also_on: bool) -> None:
    """It ends the request, or goes on to another target where the route says so."""
    streamed, answer = FILTERED[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        assert gateway.outcome.attempts[0].outcome_class == "content_refused"
        assert upstream.calls("two") == also_on
        assert got.status == (200 if also_on else 400)
        assert also_on or got.error["code"] == "content_filter"

    step = {"fallback": {**({"also_on": ["content_refused"]} if also_on else {}), "steps": ["one/m", "two/m"]}}
    play(tmp_path, scenario, scripts={"one": answer, "two": served(streamed)}, step=step)


# -- 25: streams are recorded as free ---------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_25_usage_nobody_told_is_unknown_and_never_zero(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask(chat(streamed))).status == 200
        assert gateway.outcome.usage is None
        assert gateway.outcome.to_dict()["usage"] is None

    body = completion()
    del body["usage"]
    play(tmp_path, scenario, scripts={"one": stream(START, chunk("x"), STOP, DONE) if streamed else whole(200, body)})


@pytest.mark.parametrize("streamed", [False, True])
def test_25_cached_tokens_are_recorded_alike_streamed_or_not(tmp_path: Path, streamed: bool) -> None:
    usage = {"prompt_tokens": 70, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 64}}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask(chat(streamed))).status == 200
        found = gateway.outcome.usage
        assert found is not None
        assert (found.cached, found.output) == (64, 3)

    told = event({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage})
    answer = stream(START, chunk("x"), STOP, told, DONE) if streamed else whole(200, {**completion(), "usage": usage})
    play(tmp_path, scenario, scripts={"one": answer})
