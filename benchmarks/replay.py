"""How many recorded decisions ``interlock replay`` takes again in a second: ``python -m benchmarks.replay [COUNT]``.

A scripted run of the engine (providers that fail now and then, a split, a balance, breakers) is recorded; the file
is written as often as it takes, and replayed by the same configuration and by another one. It is
processor time, which a busy machine disturbs least.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from engine import Engine
from engine.cli.findings import compile_graph
from engine.executor.intake import make_call
from engine.executor.transport import Answer, StreamAnswer, TransportOptions
from engine.graph import Provider
from engine.proof.replay import read
from engine.proof.replayed import Replayed
from engine.telemetry.decisions import DecisionLog

_RECORDED = 5_000
_REPLY = b'{"choices":[{"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}'
_PROVIDERS = "".join(
    f"""---
version: 1
kind: provider
name: {name}
category: cloud
dialect: openai-chat
base_url: http://{name}/v1
models: {{m: {{}}, n: {{}}}}
"""
    for name in ("a", "b", "c")
)
_ROUTE = """---
version: 1
kind: route
name: chat
step:
  fallback:
    - split: {name: s, key: user, variants: {x: {weight: WEIGHT, step: a/m}, y: {weight: 10, step: b/m}}}
    - balance: {by: least_busy, steps: [b/n, c/n]}
    - c/m
---
version: 1
kind: policy
name: p
applies_to: {all: true}
retry: {max_attempts: 5, per_target: 2, backoff: {initial: 1ms, max: 2ms}}
breaker: {min_requests: 20, error_rate: 50%, open_for: 100ms}
"""


class _Scripted:
    def __init__(self) -> None:
        self._dice = random.Random(7)

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        await asyncio.sleep(0)
        failed = self._dice.random() < 0.1
        none: dict[str, str] = {}
        return Answer(503 if failed else 200, none.get, b"" if failed else _REPLY)

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


def _folder(root: Path, weight: int) -> Path:
    folder = root / f"w{weight}"
    (folder / "policies").mkdir(parents=True)
    text = _PROVIDERS + _ROUTE.replace("WEIGHT", str(weight))
    (folder / "policies" / "all.yaml").write_text(text, encoding="utf-8")
    return folder


async def _record(folder: Path, file: Path) -> None:
    log = DecisionLog(file)

    def transport(provider: Provider, options: TransportOptions) -> _Scripted:
        return _Scripted()

    async with Engine.open(folder, watch=False, transport=transport, observers=[log]) as engine:
        for begin in range(0, _RECORDED, 50):
            calls = []
            for number in range(begin, begin + 50):
                body = {"model": "chat", "user": f"u{number % 97}", "messages": [{"role": "user", "content": "hi"}]}
                calls.append(make_call("/chat/completions", msgspec.json.encode(body), {}, id_=f"r{number}"))
            await asyncio.gather(*(engine.serve(call) for call in calls))
    log.close()


def main(count: int) -> None:
    """Print decisions a second of processor time for both."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        same, other, file = _folder(root, 90), _folder(root, 20), root / "decisions.jsonl"
        asyncio.run(_record(same, file))
        lines = file.read_bytes().splitlines(keepends=True)
        many = root / "many.jsonl"
        with many.open("wb") as out:
            for _ in range(-(-count // len(lines))):
                out.writelines(lines)
        for word, folder in (("same configuration", same), ("another configuration", other)):
            replayed = Replayed([compile_graph(folder, ())])
            began = time.process_time()
            with many.open("rb") as source:
                for found in read(source):
                    replayed.take(found)
            took = time.process_time() - began
            print(
                f"{word}: {replayed.records / took:,.0f} decisions a second of processor time"
                f" ({replayed.records} in {took:.1f} s; {replayed.differing} differing, {replayed.changed} changed;"
                f" {many.stat().st_size / replayed.records:.0f} bytes each)"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
