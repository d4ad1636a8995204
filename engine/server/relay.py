"""Where people answer: a small page and its endpoints, for providers of the transport ``queue``."""

from __future__ import annotations

import hmac
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from engine.executor.inbox import AnswerError, Inbox
from engine.executor.intake import BadRequestError
from engine.executor.transport_queue import inbox_path
from engine.graph import Provider

from .access import DeniedError, secret_of
from .asked import Answer, Asked, json_answer

if TYPE_CHECKING:
    from engine.runtime import Engine


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """A person's answer."""

    text: str
    by: str | None = None


async def page(asked: Asked) -> Answer:
    """The page on which people answer; it asks for the token itself."""
    return 200, "text/html; charset=utf-8", files("engine.server").joinpath("relay.html").read_bytes()


async def waiting(asked: Asked) -> Answer:
    """The requests that wait for a person, the oldest first, and what became of the latest others."""
    rows: list[dict[str, Any]] = []
    past: list[dict[str, Any]] = []
    for inbox in _inboxes(asked):
        rows += [msgspec.to_builtins(row) for row in inbox.waiting()]
        past += inbox.history()
    past.sort(key=lambda row: -row["asked_at"])
    return json_answer({"waiting": rows, "past": past[:50], "now": time.time()})


async def answer(asked: Asked) -> Answer:
    """A person's answer to one request: ``{"text": ...}``; 409 where nobody waits for it any more."""
    try:
        written = msgspec.json.decode(asked.body, type=Written)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise BadRequestError(f'An answer is {{"text": ...}}: {problem}.') from None
    if not written.text.strip():
        raise BadRequestError("The answer is empty.", param="text")
    by = asked.key.name if asked.key else written.by
    for inbox in _inboxes(asked):
        if any(row.id == asked.argument for row in inbox.waiting()):
            try:
                inbox.answer(asked.argument, written.text, by)
            except AnswerError:
                break
            return json_answer({"answered": asked.argument})
    message = "Nobody waits for this answer any more: it was answered, or its time was up."
    raise BadRequestError(message, status=409, code="not_waiting")


def _providers(asked: Asked) -> list[Provider]:
    return [provider for provider in asked.graph.providers.values() if provider.transport == "queue"]


def _inboxes(asked: Asked) -> list[Inbox]:
    """The inboxes whose token the caller has, or all for an administrator and where there are no tokens."""
    engine: Engine = asked.engine
    given = secret_of(asked.headers)
    allowed: dict[int, Inbox] = {}
    providers = _providers(asked)
    knows_callers = bool(asked.graph.keys or asked.graph.settings.issuers)
    for provider in providers:
        client = engine.snapshot.clients.of(provider.name)
        headers = client.credential.headers(None, time.monotonic())
        token = headers[0][1].removeprefix("Bearer ") if headers else None
        open_to_all = provider.auth.secret is None and not knows_callers
        if asked.key is not None or open_to_all or (token and hmac.compare_digest(token.encode(), given.encode())):
            inbox = Inbox.of(inbox_path(provider.name, provider.queue_file))
            allowed[id(inbox)] = inbox
    if providers and not allowed:
        token, key = "the token of the provider (its auth.secret)", "a key with the scope admin"
        message = f"This is neither {token} nor {key}." if given else f"Answering needs {token}, or {key}."
        raise DeniedError(401, "invalid_token", message)
    return list(allowed.values())
