"""A conversation that a provider keeps is found by every process that shares a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from engine import Engine

from ...redis_server import RedisServer, needs_redis
from ..gateway import configuration, environ
from ..upstream import Upstream, error, whole

pytestmark = needs_redis


def response(id_: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "hi", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    kept = {"id": id_, "object": "response", "status": "completed", "store": True, "created_at": 1, "model": "m"}
    return {**kept, "output": [message], "usage": usage}


async def ask(engine: Engine, **body: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=engine.transport(), base_url="http://gateway") as client:
        return await client.post("/v1/responses", json={"model": "chat", "input": "hello", **body})


def test_it_goes_on_at_its_target_by_way_of_another_process(tmp_path: Path) -> None:
    async def test(redis: RedisServer) -> None:
        speaks = {"dialect": "openai-responses"}
        state = {"store": "redis", "url": redis.url, "timeout": "5s"}
        shared = {"version": 1, "kind": "settings", "name": "server", "state": state}
        scripts: dict[str, Any] = {
            "one": [error(503), whole(200, response("resp_one"))],
            "two": whole(200, response("resp_two")),
        }
        async with Upstream(**scripts) as upstream:
            folder = configuration(
                tmp_path,
                upstream.port,
                {"fallback": ["one/m", "two/m"]},
                providers={"one": speaks, "two": speaks},
                policy={"retry": {"per_target": 1}, "breaker": {"consecutive": 100}},
                more=[shared],
            )
            async with Engine.open(folder, environ=environ()) as a, Engine.open(folder, environ=environ()) as b:
                first = await ask(a)
                assert first.json()["id"] == "resp_two", first.text
                assert (await ask(b)).headers["x-interlock-target"] == "one/m"
                for _ in range(2):
                    answer = await ask(b, previous_response_id="resp_two")
                    assert answer.status_code == 200, answer.text
                    assert answer.headers["x-interlock-target"] == "two/m"
                redis.kill()
                # What b has learnt it knows; of others it is as after a restart, and nobody waits for long.
                assert (await ask(b, previous_response_id="resp_two")).headers["x-interlock-target"] == "two/m"
                assert (await ask(b, previous_response_id="resp_x")).headers["x-interlock-target"] == "one/m"

    with RedisServer(tmp_path) as redis:
        asyncio.run(test(redis))
