"""The ``kind: test`` documents that ship hold, for the real engine and providers that answer as each of them says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Literal

import pytest

from engine import Engine, Outcome, RequestError
from engine.cli.tested import play_all
from engine.compiler import compile_folder
from engine.executor.transport import Answer, StreamAnswer, TransportOptions
from engine.graph import Graph, Provider, matches
from engine.schema import TestDoc

from .test_shipped import ROOT, secrets_of

#: A status that means each class; those without one cannot be scripted here.
STATUS = {
    "invalid_request": 400,
    "unauthorized": 401,
    "quota_exhausted": 402,
    "model_gone": 404,
    "rate_limited": 429,
    "server_error": 500,
    "overloaded": 503,
}
CHAT = {"choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}
OLLAMA = {"message": {"role": "assistant", "content": "yes"}, "done": True, "done_reason": "stop"}
#: An answer in every protocol of the shipped routes at once.
REPLY = json.dumps({**CHAT, **OLLAMA, "data": [{"embedding": [0.5]}]}).encode()
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

COMPILED = compile_folder(ROOT, environ={})
DOCUMENTS = [declared for declared in COMPILED.declarations if isinstance(declared, TestDoc)]


class Scripted:
    """A provider's transport that fails as the document says, and else answers."""

    def __init__(self, graph: Graph, provider: Provider, document: TestDoc) -> None:
        self.targets = {t.model: t.id for t in graph.targets.values() if t.provider.name == provider.name}
        self.faults = document.faults

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        target = self.targets[json.loads(body)["model"]]
        status = next((STATUS[fault.outcome] for fault in self.faults if matches(fault.target, target)), 200)
        no_headers: dict[str, str] = {}
        return Answer(status, no_headers.get, REPLY if status == 200 else b"")

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


def body_of(document: TestDoc) -> dict[str, Any]:
    """A body with the attributes that the document names."""
    asked = document.request
    text = "x" * (4 * (asked.input_tokens or 1) - 60)
    if asked.surface == "embeddings":
        return {"model": asked.model, "input": text}
    content = [IMAGE] if asked.vision else text
    return {"model": asked.model, "user": asked.user, "messages": [{"role": "user", "content": content}]}


async def played(document: TestDoc) -> Outcome:
    """How the document's request ends."""
    assert COMPILED.graph is not None
    graph, without = COMPILED.graph, document.state.no_credential
    kept = {p.auth.secret.name for p in graph.providers.values() if p.auth.secret and p.name not in without}

    def transport(provider: Provider, options: TransportOptions) -> Scripted:
        return Scripted(graph, provider, document)

    environ = dict.fromkeys(kept & secrets_of(ROOT), "set-for-this-test")
    async with Engine.open(ROOT, watch=False, environ=environ, transport=transport) as engine:
        surface: Literal["chat", "embeddings"] = "embeddings" if document.request.surface == "embeddings" else "chat"
        try:
            reply = await getattr(engine, surface)(body_of(document))
        except RequestError as error:
            return error.outcome
        return reply.outcome


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_shipped_test_holds(document: TestDoc) -> None:
    asked = document.request
    said = {name for name, value in asked.model_dump(exclude_defaults=True).items() if value is not None}
    assert said <= {"model", "surface", "user", "vision", "input_tokens"}, "this driver knows no other attribute"
    outcome = asyncio.run(played(document))
    happened = {
        "attempts": [attempt.target for attempt in outcome.attempts],
        "outcome": outcome.outcome_class,
        "status": outcome.status,
        "route": outcome.route,
        "target": outcome.target,
    }
    expected = document.expect.model_dump(exclude_none=True)
    assert {name: happened[name] for name in expected} == expected


def test_every_shipped_route_but_the_demo_has_one() -> None:
    assert COMPILED.graph is not None
    named = {document.request.model for document in DOCUMENTS}
    tested = {
        route.name
        for route in COMPILED.graph.routes.values()
        if any(matches(pattern, name) for pattern in route.models for name in named)
    }
    assert set(COMPILED.graph.routes) - tested == {"demo"}


def test_the_documents_are_where_they_belong() -> None:
    files = {source.source.file_of(()) for (kind, _), source in COMPILED.sources.items() if kind == "test"}
    assert files == {path.relative_to(ROOT).as_posix() for path in Path(ROOT, "policies/tests").glob("*.yaml")}


def test_interlock_test_says_the_same() -> None:
    found = play_all(ROOT, (), (), None)
    assert found.holds
    assert {example.name for example in found.examples} == {document.name for document in DOCUMENTS}
