"""A program on this machine as a provider: the headless command, played by a script that keeps to its protocol."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, RequestError

PRETEND = Path(__file__).with_name("pretend.py")
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a router?"}]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    models = {name: {"supports": ["chat", "stream"]} for name in ("good", "slow", "broken", "logged-out")}
    providers = [
        {"name": "coder", "command": [sys.executable, str(PRETEND)], "models": models},
        {"name": "absent", "command": ["no-such-command-here"], "models": {"good": models["good"]}},
    ]
    documents: list[Any] = [
        {"version": 1, "kind": "provider", "dialect": "claude-code", "transport": "process", **provider}
        for provider in providers
    ]
    routes = {
        "good": "coder/good",
        "slow": "coder/slow",
        "broken": {"fallback": ["coder/broken", "coder/good"]},
        "logged-out": "coder/logged-out",
        "absent": {"fallback": ["absent/good", "coder/good"]},
    }
    documents += [{"version": 1, "kind": "route", "name": name, "step": step} for name, step in routes.items()]
    for folder in ("providers.d", "policies"):
        (tmp_path / folder).mkdir()
    (tmp_path / "policies/all.yaml").write_text("".join(f"---\n{json.dumps(document)}\n" for document in documents))
    return tmp_path


def test_it_answers_in_an_empty_folder(config: Path) -> None:
    async def go() -> Any:
        async with Engine.open(config, watch=False) as engine:
            return await engine.chat({"model": "good", "messages": CHAT, "temperature": 0.5})

    reply = asyncio.run(go())
    assert reply.text == "0 files; asked: What is a router?"
    assert reply.body["usage"]["prompt_tokens"] == 10
    assert reply.body["usage"]["completion_tokens"] == 5
    assert reply.outcome.dropped == ("temperature",)


def test_its_stream_arrives_as_it_comes(config: Path) -> None:
    async def go() -> list[tuple[float, str]]:
        async with Engine.open(config, watch=False) as engine:
            pieces: list[tuple[float, str]] = []
            async for chunk in engine.stream({"model": "good", "messages": CHAT}):
                texts = [choice["delta"].get("content") for choice in chunk["choices"]]
                pieces += [(time.monotonic(), text) for text in texts if text]
            return pieces

    pieces = asyncio.run(go())
    assert "".join(text for _, text in pieces) == "0 files; asked: What is a router?"
    assert pieces[-1][0] - pieces[0][0] > 0.02


def test_a_program_that_is_missing_is_skipped(config: Path) -> None:
    async def go() -> Any:
        async with Engine.open(config, watch=False) as engine:
            plan = engine.explain({"model": "absent"})
            reply = await engine.chat({"model": "absent", "messages": CHAT})
            return plan, reply

    plan, reply = asyncio.run(go())
    assert [(skip.target, skip.reason) for skip in plan.skips] == [("absent/good", "credential")]
    assert "'no-such-command-here' of provider 'absent' is not installed" in plan.skips[0].detail
    assert reply.target == "coder/good"


def test_a_program_that_fails_fails_over(config: Path) -> None:
    async def go() -> Any:
        async with Engine.open(config, watch=False) as engine:
            return await engine.chat({"model": "broken", "messages": CHAT})

    reply = asyncio.run(go())
    first, *_, last = reply.outcome.attempts
    assert (first.target, first.outcome_class) == ("coder/broken", "connection")
    assert "status 3: cannot start: no licence" in first.detail
    assert last.target == "coder/good"


@pytest.mark.parametrize("stream", [False, True])
def test_a_login_that_is_missing_is_told_apart(config: Path, stream: bool) -> None:
    async def go() -> None:
        async with Engine.open(config, watch=False) as engine:
            body = {"model": "logged-out", "messages": CHAT}
            if stream:
                async for _ in engine.stream(body):
                    pass
            else:
                await engine.chat(body)

    with pytest.raises(RequestError) as failure:
        asyncio.run(go())
    assert failure.value.outcome.attempts[0].outcome_class == "unauthorized"
    assert failure.value.status == 502


def test_leaving_ends_the_program(config: Path) -> None:
    async def go() -> tuple[int, int]:
        async with Engine.open(config, watch=False) as engine:
            task = asyncio.create_task(engine.chat({"model": "slow", "messages": CHAT}))
            await asyncio.sleep(0.5)
            before = len(children())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return before, len(children())

    before, after = asyncio.run(go())
    assert before - after == 1


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
