"""What an unstreamed reply with a status of success means."""

from __future__ import annotations

import msgspec

from engine.dialects.statuses import unreadable
from engine.exchange import OutcomeClass, Verdict

from .errors import read_object, verdict_of
from .usage import read_usage
from .wire import Body, Choice, carries_output, check_text, decode_body

_GARBLED = OutcomeClass.GARBLED
#: Finish reasons of an answer that a filter withheld or cut short.
FILTERED = frozenset({"content_filter", "sensitive"})
#: Finish reasons of an answer that broke off on the service's side.
_FAILED = frozenset({"error", "network_error"})
#: Surfaces whose replies this dialect reads; of others only the status counts.
READ = frozenset({"chat", "completions", "embeddings"})


def decode_reply(surface: str, body: bytes) -> Verdict:
    """Served with its usage; or the error that hid in a success; or garbled: unreadable, or empty."""
    if surface not in READ:
        return Verdict(OutcomeClass.SERVED)
    try:
        check_text(body)
        reply = decode_body(body)
    except msgspec.ValidationError as problem:
        return _odd(body, problem)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return unreadable(body)
    if reply.error and not reply.choices and not reply.data:
        return inner_error(reply.error)
    if surface == "embeddings":
        if not reply.data:
            return Verdict(_GARBLED, detail="the reply holds no embedding")
        return Verdict(OutcomeClass.SERVED, usage=read_usage(reply.usage))
    if not reply.choices:
        return _choiceless(reply, body)
    wrong = next(filter(None, map(failed_choice, reply.choices)), None) or _empty_choices(reply.choices)
    return wrong or Verdict(OutcomeClass.SERVED, usage=read_usage(reply.usage))


def failed_choice(choice: Choice) -> Verdict | None:
    """The verdict on a choice that broke off on the service's side, whatever it holds; ``None`` if it did not."""
    if choice.error:
        return inner_error(choice.error)
    if choice.finish_reason in _FAILED:
        return Verdict(OutcomeClass.SERVER_ERROR, detail=f"the answer broke off with {choice.finish_reason!r}")
    return None


def filtered() -> Verdict:
    """The verdict on an answer of which a filter left nothing."""
    return Verdict(OutcomeClass.CONTENT_REFUSED, code="content_filter", message="The answer was filtered.")


def _empty_choices(choices: list[Choice]) -> Verdict | None:
    """A success without any output is no success, unless the limit on tokens was spent before output began."""
    for choice in choices:
        if choice.text or (choice.message is not None and carries_output(choice.message)):
            return None
    if any(choice.finish_reason in FILTERED for choice in choices):
        return filtered()
    if any(choice.finish_reason == "length" for choice in choices):
        return None
    return Verdict(_GARBLED, detail="a success without any output")


def _choiceless(reply: Body, body: bytes) -> Verdict:
    if reply.object == "error":
        return inner_error(read_object(body))
    return Verdict(_GARBLED, detail="the reply holds no choice")


def inner_error(error: object) -> Verdict:
    """The verdict on an error that stood inside a success."""
    return verdict_of(error if isinstance(error, dict) else {"message": error}, 200)


def _odd(body: bytes, problem: msgspec.ValidationError) -> Verdict:
    """JSON of another shape than the protocol's: an error if it says so, else unreadable."""
    tree = read_object(body)
    if tree is not None and tree.get("error"):
        return inner_error(tree["error"])
    return Verdict(_GARBLED, detail=f"the reply has another shape than the protocol's: {problem}")
