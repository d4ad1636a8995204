"""People as a provider: questions wait in a file, are answered by API, time out into failover, survive restarts."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import Engine, RequestError
from engine.executor.inbox import AnswerError, Inbox

TOKEN = "token-of-the-desk"
ASK = {"model": "help", "messages": [{"role": "user", "content": "Is this safe?"}]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "providers.d").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "providers.d/desk.yaml").write_text(
        "version: 1\nkind: provider\nname: desk\ncategory: specialized\ndialect: openai-chat\ntransport: queue\n"
        f"queue_file: {tmp_path / 'desk.sqlite'}\n"
        "auth: {scheme: bearer, secret: {env: DESK_TOKEN}}\nmodels: {person: {supports: [chat, stream]}}\n"
    )
    (tmp_path / "policies/help.yaml").write_text("version: 1\nkind: route\nname: help\nstep: desk/person\n")
    return tmp_path


@asynccontextmanager
async def desk(config: Path) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    async with (
        Engine.open(config, environ={"DESK_TOKEN": TOKEN}, watch=False) as engine,
        httpx.AsyncClient(
            transport=engine.transport(), base_url="http://x", headers={"authorization": f"Bearer {TOKEN}"}
        ) as client,
    ):
        yield engine, client


async def next_question(client: httpx.AsyncClient) -> dict[str, Any]:
    for _ in range(100):
        waiting = (await client.get("/api/v1/relay")).json()["waiting"]
        if waiting:
            question: dict[str, Any] = waiting[0]
            return question
        await asyncio.sleep(0.02)
    raise AssertionError("no question came")


def test_a_person_answers(config: Path) -> None:
    async def go() -> Any:
        async with desk(config) as (engine, client):
            asking = asyncio.create_task(engine.chat(ASK))
            question = await next_question(client)
            sent = await client.post(f"/api/v1/relay/{question['id']}", json={"text": "Yes.", "by": "ann"})
            reply = await asking
            again = await client.post(f"/api/v1/relay/{question['id']}", json={"text": "No."})
            after = (await client.get("/api/v1/relay")).json()
            return question, sent, reply, again, after

    question, sent, reply, again, after = asyncio.run(go())
    assert question["messages"] == ASK["messages"]
    assert sent.status_code == 200
    assert reply.text == "Yes."
    assert again.status_code == 409
    assert after["waiting"] == []
    assert (after["past"][0]["state"], after["past"][0]["answered_by"]) == ("answered", "ann")


def test_a_stream_is_answered_in_one_piece(config: Path) -> None:
    async def go() -> str:
        async with desk(config) as (engine, client):

            async def read() -> str:
                chunks = [chunk["choices"] async for chunk in engine.stream(ASK)]
                return "".join(choice["delta"].get("content") or "" for choices in chunks for choice in choices)

            asking = asyncio.create_task(read())
            question = await next_question(client)
            await client.post(f"/api/v1/relay/{question['id']}", json={"text": "Yes."})
            return await asking

    assert asyncio.run(go()) == "Yes."


def test_time_that_is_up_is_a_timeout_and_leaves_no_question(config: Path) -> None:
    (config / "policies/limits.yaml").write_text(
        "version: 1\nkind: policy\nname: limits\napplies_to: {all: true}\ntimeouts: {attempt: 200ms}\n"
    )

    async def go() -> Any:
        async with desk(config) as (engine, client):
            with pytest.raises(RequestError) as failure:
                await engine.chat(ASK)
            return failure.value, (await client.get("/api/v1/relay")).json()

    failure, after = asyncio.run(go())
    assert failure.status == 504
    assert after["waiting"] == []
    assert after["past"][0]["state"] == "given_up"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_questions_are_for_those_with_the_token(config: Path, token: str) -> None:
    async def go() -> Any:
        async with desk(config) as (_, client):
            headers = {"authorization": f"Bearer {token}"} if token else {"authorization": ""}
            looked = await client.get("/api/v1/relay", headers=headers)
            answered = await client.post("/api/v1/relay/relay_1", json={"text": "x"}, headers=headers)
            page = await client.get("/relay", headers=headers)
            return looked, answered, page

    looked, answered, page = asyncio.run(go())
    assert (looked.status_code, answered.status_code) == (401, 401)
    assert page.status_code == 200
    assert "<title>" in page.text


@pytest.mark.parametrize("body", ["", "[]", '{"text": "  "}', '{"text": 5}', '{"words": "x"}'])
def test_an_answer_that_is_none_is_refused(config: Path, body: str) -> None:
    async def go() -> int:
        async with desk(config) as (_, client):
            return (await client.post("/api/v1/relay/relay_1", content=body)).status_code

    assert asyncio.run(go()) == 400


def test_what_waited_when_the_gateway_ended_is_kept_as_lost(tmp_path: Path) -> None:
    inbox, copy = Inbox(tmp_path / "desk.sqlite"), tmp_path / "killed.sqlite"

    async def ask() -> None:
        task = asyncio.create_task(inbox.ask("relay_1", "desk", b'{"model": "m", "messages": []}'))
        await asyncio.sleep(0.1)
        assert len(inbox.waiting()) == 1
        with closing(sqlite3.connect(copy)) as killed:
            inbox._file.backup(killed)  # the file as a process that is killed here leaves it
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())
    after = Inbox(copy)
    assert after.waiting() == []
    assert [row["state"] for row in after.history()] == ["lost"]
    with pytest.raises(AnswerError):
        after.answer("relay_1", "late", None)
    inbox.close()
    after.close()


CALLERS = {
    "nobody": "",
    "keys": f"version: 1\nkind: key\nname: someone\nsha256: {'a' * 64}\n",
    "tokens": "version: 1\nkind: settings\nname: server\nclients:\n  tokens:\n"
    "    - {name: sso, issuer: a, audience: b, keys: {file: keys.json}}\n",
}


@pytest.mark.parametrize(("callers", "status"), [("nobody", 200), ("keys", 401), ("tokens", 401)])
def test_a_desk_without_a_token_is_open_only_where_nobody_needs_one(config: Path, callers: str, status: int) -> None:
    provider = config / "providers.d/desk.yaml"
    provider.write_text(re.sub("auth: .*\n", "", provider.read_text()))
    if CALLERS[callers]:
        (config / "policies/callers.yaml").write_text(CALLERS[callers])

    async def go() -> Any:
        async with desk(config) as (_, client):
            return await client.get("/api/v1/relay", headers={"authorization": ""})

    assert asyncio.run(go()).status_code == status


def test_a_test_asks_the_person_once_and_for_no_list_of_models(config: Path) -> None:
    async def go() -> Any:
        async with desk(config) as (_, client):
            admin = {"authorization": ""}
            asking = asyncio.create_task(client.post("/api/v1/providers/desk/test", json={}, headers=admin))
            question = await next_question(client)
            await client.post(f"/api/v1/relay/{question['id']}", json={"text": "ok"})
            tested = (await asking).json()
            listed = (await client.get("/api/v1/providers/desk/models", headers=admin)).json()
            return question, tested, listed, (await client.get("/api/v1/relay")).json()

    question, tested, listed, after = asyncio.run(go())
    assert question["messages"][0]["content"] == "Answer with the word ok."
    assert tested["success"] is True
    assert listed["text_models"] == ["person"]
    assert listed["error"]["message"] == "a person has no list of models"
    assert [row["state"] for row in after["past"]] == ["answered"]
