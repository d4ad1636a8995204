"""Error replies: OpenAI's shape, and no words of an upstream where they are not for the client."""

from __future__ import annotations

import json

import pytest

from engine.exchange import ATTEMPT_CLASSES, RULES, OutcomeClass, Verdict
from engine.executor.reply import error_body, error_reply

WORDS = "the upstream's own words"


@pytest.mark.parametrize("outcome", sorted(set(OutcomeClass) - {OutcomeClass.SERVED}))
def test_an_error_has_the_four_fields_and_those_of_its_row(outcome: OutcomeClass) -> None:
    error = error_body(outcome, "r-1")
    assert (set(error), error["type"], error["code"]) == (
        {"message", "type", "code", "param"},
        RULES[outcome].type,
        RULES[outcome].code,
    )
    assert "r-1" in error["message"]


@pytest.mark.parametrize("outcome", sorted(ATTEMPT_CLASSES - {OutcomeClass.SERVED}))
def test_only_the_classes_marked_400_show_the_upstreams_words(outcome: OutcomeClass) -> None:
    verdict = Verdict(outcome, "their_code", WORDS, "messages", f"HTTP 400: {WORDS}")
    error = error_body(outcome, "r-1", verdict)
    shown = RULES[outcome].status == 400
    assert (WORDS in json.dumps(error), error["param"]) == (shown, "messages" if shown else None)
    own_code = outcome is OutcomeClass.INVALID_REQUEST
    assert error["code"] == ("their_code" if own_code else RULES[outcome].code)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_error_tells_the_sdks_not_to_try_again(terminal: bool) -> None:
    reply = error_reply(502, {"message": "m"}, [(b"x-request-id", b"r-1")], terminal=terminal)
    headers = dict(reply.headers)
    assert (reply.status, json.loads(reply.body)) == (502, {"error": {"message": "m"}})
    assert (headers[b"x-request-id"], headers[b"content-type"]) == (b"r-1", b"application/json")
    assert headers.get(b"x-should-retry") == (b"false" if terminal else None)
