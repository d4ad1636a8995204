"""Listing, testing and asking providers for their models."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from .conftest import KEY, Manage, Service, service

TEST = "/api/v1/providers/service/test"


def test_every_provider_is_listed_with_what_it_can_do(managing: Manage) -> None:
    async def go() -> Any:
        async with managing() as (client, engine):
            first = (await client.get("/api/v1/providers")).json()["providers"]
            await engine.chat({"model": "chat", "messages": [{"role": "user", "content": "hi"}]})
            second = (await client.get("/api/v1/providers")).json()["providers"]
            return first, second

    first, second = asyncio.run(go())
    ours = next(row for row in first if row["id"] == "service")
    assert ours["configured"] is True
    assert ours["source"] == "configuration"
    assert ours["models"] == ["small", "vectors"]
    assert ours["capabilities"] == {
        "text_generation": True,
        "embeddings": True,
        "rerank": False,
        "streaming": True,
        "function_calling": False,
        "vision": False,
        "json_schema": False,
        "reasoning": False,
    }
    assert ours["health"] == {"state": "unknown"}
    assert next(row for row in second if row["id"] == "service")["health"]["state"] == "healthy"
    shipped = [row for row in first if row["source"] == "catalogue"]
    assert {"cloud", "local", "gateway"} <= {row["category"] for row in shipped}
    assert not any(row["configured"] for row in shipped)


def test_a_provider_without_its_secret_is_not_configured(managing: Manage) -> None:
    async def go() -> Any:
        async with managing(SERVICE_KEY="") as (client, _):
            return (await client.get("/api/v1/providers")).json()["providers"]

    assert next(row for row in asyncio.run(go()) if row["id"] == "service")["configured"] is False


@pytest.mark.parametrize(("mode", "target"), [("text", "service/small"), ("embedding", "service/vectors")])
def test_a_test_sends_one_small_request(managing: Manage, mode: str, target: str) -> None:
    async def go() -> Any:
        async with managing() as (client, _):
            return await client.post(TEST, json={"test_mode": mode})

    reply = asyncio.run(go())
    assert reply.status_code == 200
    said = reply.json()
    assert said["success"] is True
    assert said["target"] == target
    assert said["latency"] > 0
    assert said["models"] == (["model-s"] if mode == "text" else ["text-embed-1"])
    assert said["capabilities"]["text_generation"] is True


@pytest.mark.parametrize(
    ("environ", "body", "outcome", "remedy"),
    [
        ({"SERVICE_KEY": "wrong-key-9"}, {}, "unauthorized", "set the environment variable SERVICE_KEY"),
        ({"SERVICE_KEY": ""}, {}, "unauthorized", "set the environment variable SERVICE_KEY"),
        ({}, {"config": {"api_key": "wrong-key-9"}}, "unauthorized", "the provider refuses the key in config.api_key"),
        ({}, {"model": "no-such-model"}, "model_gone", "still offered"),
        (
            {},
            {"config": {"base_url": "http://127.0.0.1:9/v1", "api_key": "k-of-another"}},
            "connection",
            "is http://127.0.0.1:9/v1 the right address",
        ),
    ],
)
def test_a_failed_test_says_what_to_do(
    managing: Manage, environ: dict[str, str], body: dict[str, Any], outcome: str, remedy: str
) -> None:
    async def go() -> Any:
        async with managing(**environ) as (client, _):
            return await client.post(TEST, json=body)

    reply = asyncio.run(go())
    said = reply.json()
    assert reply.status_code == 200
    assert said["success"] is False
    assert said["error"]["outcome"] == outcome
    assert remedy in said["error"]["remedy"]
    assert "wrong-key-9" not in reply.text


def test_another_configuration_is_tried_and_not_kept(managing: Manage) -> None:
    with service() as other:
        Service.keys.add("key-in-hand")

        async def go() -> Any:
            async with managing() as (client, engine):
                config = {"base_url": f"http://127.0.0.1:{other}/v1", "api_key": "key-in-hand"}
                reply = await client.post(TEST, json={"config": config})
                return reply, engine.graph.providers["service"].base_url

        try:
            reply, kept = asyncio.run(go())
        finally:
            Service.keys.discard("key-in-hand")
    assert reply.json()["success"] is True
    assert str(other) not in kept
    assert "key-in-hand" not in reply.text
    assert {given for _, given in Service.seen} == {"key-in-hand"}


def test_a_stored_key_goes_to_no_other_host(managing: Manage) -> None:
    with service() as other:

        async def go() -> Any:
            async with managing() as (client, _):
                return await client.post(TEST, json={"config": {"base_url": f"http://127.0.0.1:{other}/v1"}})

        reply = asyncio.run(go())
    assert reply.status_code == 400
    assert "send api_key too" in reply.json()["error"]["message"]
    assert Service.seen == []


def test_models_come_from_the_provider_itself(managing: Manage) -> None:
    async def go() -> Any:
        async with managing() as (client, _):
            return (await client.get("/api/v1/providers/service/models")).json()

    said = asyncio.run(go())
    assert said["text_models"] == ["model-s"]
    assert said["embedding_models"] == ["text-embed-1"]
    assert said["other_models"] == ["speaker-tts"]
    assert said["details"]["model-s"]["context_window"] == 8192


def test_models_that_cannot_be_had_are_those_declared(managing: Manage) -> None:
    async def go() -> Any:
        async with managing(SERVICE_KEY="wrong-key-9") as (client, _):
            return await client.get("/api/v1/providers/service/models")

    reply = asyncio.run(go())
    said = reply.json()
    assert (said["text_models"], said["embedding_models"]) == (["model-s"], ["vectors"])
    assert said["source"] == "configuration"
    assert "SERVICE_KEY" in said["error"]["remedy"]
    assert "wrong-key-9" not in reply.text


@pytest.mark.parametrize(
    ("path", "method"), [("/api/v1/providers/nobody/test", "POST"), ("/api/v1/providers/nobody/models", "GET")]
)
def test_an_unknown_provider_is_404(managing: Manage, path: str, method: str) -> None:
    async def go() -> Any:
        async with managing() as (client, _):
            return await client.request(method, path)

    reply = asyncio.run(go())
    assert reply.status_code == 404
    assert "nobody" in reply.json()["error"]["message"]


@pytest.mark.parametrize("body", ["[]", "{", '{"test_mode": "song"}', '{"surprise": 1}', '{"config": 5}'])
def test_a_body_that_is_no_test_is_refused(managing: Manage, body: str) -> None:
    async def go() -> Any:
        async with managing() as (client, _):
            return await client.post(TEST, content=body)

    reply = asyncio.run(go())
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_no_key_shows_anywhere(managing: Manage, config: Path) -> None:
    async def go() -> list[str]:
        async with managing() as (client, _):
            replies = [
                await client.get("/api/v1/providers"),
                await client.post(TEST),
                await client.get("/api/v1/providers/service/models"),
            ]
            return [reply.text for reply in replies]

    assert not any(KEY in text for text in asyncio.run(go()))
