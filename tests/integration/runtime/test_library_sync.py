"""The library in code without an event loop: an engine with a loop and a thread of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine import ConfigError, Outcome, RequestError, SyncEngine

from .threads import assert_no_threads

HELLO = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


class Background:
    """The upstream on a loop of its own, for code without one."""

    def __init__(self, serving: Any) -> None:
        self.ready = threading.Event()
        self.serving = serving
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(self.run()))

    async def run(self) -> None:
        self.stop = asyncio.Event()
        async with self.serving() as self.up:
            self.ready.set()
            await self.stop.wait()
            await asyncio.sleep(0.05)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def __enter__(self) -> Any:
        self.thread.start()
        assert self.ready.wait(5)
        return self.up

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.close()


def test_without_an_event_loop(config: Any, upstream: Any) -> None:
    with Background(upstream) as up:
        config.provider(up.port)
        config.route()
        with SyncEngine.open(config.root) as engine:
            assert engine.chat(HELLO).text == "one/small"
            chunks = engine.stream(HELLO)
            assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == "one/small"
            assert engine.explain({"model": "chat"}).attempts == ("home/small",)
            assert engine.status()["candidate"] is None
            assert engine.ready()
            assert engine.reload() == ()
            assert engine.wait_for(engine.graph.fingerprint, 0)
            assert engine.embeddings({"model": "chat", "input": "x"}).body["object"] == "list"
            assert engine.completions({"model": "chat", "prompt": "x"}).text == "one/small"
            with pytest.raises(RequestError):
                engine.chat({**HELLO, "model": "nobody"})
            content_type, body = engine.metrics()
            assert content_type.startswith("text/plain")
            assert any(
                b'"unroutable"' in line for line in body.splitlines() if line.startswith(b"interlock_requests_total")
            )
        with pytest.raises(RuntimeError, match="not open"):
            engine.chat(HELLO)
        engine.close()
    assert_no_threads()


def test_from_several_threads(config: Any, upstream: Any) -> None:
    with Background(upstream) as up:
        config.provider(up.port)
        config.route()
        with SyncEngine.open(config.root) as engine, ThreadPoolExecutor(8) as threads:
            replies = list(threads.map(lambda n: engine.chat(HELLO).text if n % 2 else streamed(engine), range(64)))
            assert set(replies) == {"one/small"}


def streamed(engine: SyncEngine) -> str:
    return "".join(c["choices"][0]["delta"].get("content", "") for c in engine.stream(HELLO))


def test_leaving_a_stream_early_without_an_event_loop(config: Any, upstream: Any) -> None:
    with Background(upstream) as up:
        config.provider(up.port)
        config.route(step="home/endless")
        with SyncEngine.open(config.root) as engine:
            for _ in engine.stream(HELLO):
                break
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(up.left.wait(), 5), up.loop).result(6)


def test_a_broken_configuration_without_an_event_loop(config: Any) -> None:
    config.put("policies/a.yaml", "nonsense")
    with pytest.raises(ConfigError), SyncEngine.open(config.root):
        pass
    assert_no_threads()


def test_its_own_observers_may_not_call_it(config: Any, upstream: Any) -> None:
    caught: list[BaseException] = []

    def observer(outcome: Outcome) -> None:
        try:
            engine.chat(HELLO)
        except RuntimeError as error:
            caught.append(error)

    with Background(upstream) as up:
        config.provider(up.port)
        config.route()
        with SyncEngine.open(config.root, observers=[observer]) as engine:
            engine.chat(HELLO)
    assert "observers" in str(caught[0])


def test_a_script_that_never_closes_it_ends_quietly(config: Any) -> None:
    config.provider(9)
    config.route()
    script = (
        "import sys, time; from engine import SyncEngine; engine = SyncEngine.open(sys.argv[1]); engine.__enter__();"
        "time.sleep(0.3); print(engine.explain({'model': 'chat'}).attempts)"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(config.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "('home/small',)\n", "")
