"""Why answers end, in the words of the services that speak this protocol."""

from __future__ import annotations

from engine.exchange import OutcomeClass, Verdict
from engine.exchange.canonical import Finish

_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
}

_FAILURES = {
    "error": OutcomeClass.SERVER_ERROR,
    "abort": OutcomeClass.SERVER_ERROR,
    "network_error": OutcomeClass.SERVER_ERROR,
    "insufficient_system_resource": OutcomeClass.OVERLOADED,
}

_WORDS: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    # A refusal in the model's own words ends like any answer; without any, only this word tells of it.
    "refusal": "content_filter",
    "pause": "stop",
    "error": "stop",
}


def finish_of(word: str, *, called: bool, refused: bool) -> Finish:
    """The canonical reason for a service's ``word``; one that nobody knows is an ordinary end.

    Services that end with ``stop`` after tool calls (``called``) or after a refusal (``refused``) mean those.
    """
    finish = _FINISHES.get(word.lower(), "stop")
    if finish == "stop" and called:
        return "tool_calls"
    return "refusal" if refused and finish in ("stop", "content_filter") else finish


def failure_of(word: str) -> Verdict | None:
    """The verdict on an answer that ended with ``word`` because the service failed; ``None`` for every other end."""
    found = _FAILURES.get(word.lower())
    return None if found is None else Verdict(found, detail=f"the answer broke off with finish_reason {word!r}")


def word_of(finish: Finish | None, *, refused: bool) -> str:
    """The protocol's own word; ``refused`` is whether the refusal's text stands in the answer."""
    return "stop" if finish is None or (finish == "refusal" and refused) else _WORDS[finish]
