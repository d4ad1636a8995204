"""Measures one library inside its own process: 64 tasks, each awaiting one answer after the other.

Run by the benchmark in the contestant's environment, on the contestant's core:
``python inprocess.py NAME --upstream URL --config PATH --request FILE --seconds 5``. Prints one line of JSON. Every
contestant takes the request as a mapping and must hand back the answer's text, which is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
Chat = Callable[[dict[str, Any]], Awaitable[str]]


async def interlock(options: argparse.Namespace, stack: AsyncExitStack) -> Chat:
    """``Engine.chat`` of this tree."""
    from engine import Engine

    engine = await stack.enter_async_context(Engine.open(options.config))

    async def chat(request: dict[str, Any]) -> str:
        return (await engine.chat(request)).text

    return chat


async def bare(options: argparse.Namespace, stack: AsyncExitStack) -> Chat:
    """The transport alone, with the body encoded and the reply decoded."""
    import bare as prototype

    return prototype.chat


async def litellm(options: argparse.Namespace, stack: AsyncExitStack) -> Chat:
    """LiteLLM's ``Router.acompletion`` with one deployment."""
    from litellm import Router

    deployment = {"model": "openai/gpt-4o-mini", "api_base": options.upstream, "api_key": "upstream"}
    router = Router(model_list=[{"model_name": "chat", "litellm_params": deployment}], num_retries=0)

    async def chat(request: dict[str, Any]) -> str:
        reply = await router.acompletion(**request)
        return str(reply.choices[0].message.content)

    return chat


async def tensorzero(options: argparse.Namespace, stack: AsyncExitStack) -> Chat:
    """TensorZero's embedded gateway, called through its own Python client."""
    from tensorzero import AsyncTensorZeroGateway

    gateway = await AsyncTensorZeroGateway.build_embedded(config_file=options.config)
    await stack.enter_async_context(gateway)

    async def chat(request: dict[str, Any]) -> str:
        system, user = request["messages"]
        reply = await gateway.inference(
            model_name="chat",
            input={"system": system["content"], "messages": [user]},
            params={"chat_completion": {"temperature": request["temperature"], "max_tokens": request["max_tokens"]}},
        )
        return str(reply.content[0].text)

    return chat


CONTESTANTS = {"interlock": interlock, "bare": bare, "litellm": litellm, "tensorzero": tensorzero}


def rss() -> float:
    """This process's resident memory in MB (1e6 bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6


async def measure(options: argparse.Namespace, request: dict[str, Any]) -> dict[str, Any]:
    """The figures of one run: answers a second, latency percentiles, memory, and seconds from start to first answer."""
    async with AsyncExitStack() as stack:
        chat = await CONTESTANTS[options.name](options, stack)
        first = await chat(request)
        if "piece00" not in first:
            raise SystemExit(f"a wrong answer: {first[:200]!r}")
        cold = time.perf_counter() - STARTED
        times: list[float] = []
        earliest = time.perf_counter() + options.warm_up
        warm, begin, end = 0, math.inf, math.inf

        async def worker() -> None:
            nonlocal warm, begin, end
            clock = time.perf_counter
            answered = 0
            while (sent := clock()) < end:
                answer = await chat(request)
                if "piece00" not in answer:
                    raise SystemExit(f"a wrong answer: {answer[:200]!r}")
                now = clock()
                if begin <= now < end:
                    times.append(now - sent)
                elif end == math.inf:  # still warming up, until every task had an answer
                    answered += 1
                    warm += answered == 1
                    if now >= earliest and warm == options.concurrency:
                        begin, end = now, now + options.seconds

        await asyncio.gather(*(worker() for _ in range(options.concurrency)))
        times.sort()
        count = len(times)
        figures = {"rate": round(count / options.seconds, 1), "completed": count, "cold_start": round(cold, 3)}
        for name, part in (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99)):
            figures[name] = round(times[int(part * (count - 1))] * 1e6, 1) if count else 0.0
        return {**figures, "rss_mb": round(rss(), 1)}


def main() -> None:
    """Reads the options, measures under uvloop, prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(CONTESTANTS))
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--config", default="")
    parser.add_argument("--request", required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=0.5)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    request: dict[str, Any] = json.loads(Path(options.request).read_text())
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(options, request))))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
