"""The demo's side of the wire: the official ``openai`` SDK, pointed at the server by ``base_url`` and nothing else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from engine.cli.terminal import Problem

from .narrator import ClaimError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``headers`` are lower case; ``arrivals`` are the seconds at which a stream's pieces came."""

    text: str
    headers: Mapping[str, str]
    tokens: int | None
    seconds: float
    arrivals: tuple[float, ...] = ()

    @property
    def route(self) -> str:
        """The route that was taken."""
        return self.headers.get("x-interlock-route", "")

    @property
    def target(self) -> str:
        """Which target answered, as the server says."""
        return self.headers.get("x-interlock-target", "")

    @property
    def graph(self) -> str:
        """The fingerprint of the graph that routed it."""
        return self.headers.get("x-interlock-graph", "")


def require_sdk() -> None:
    """Raises :class:`Problem` naming the command to run, unless the SDK is installed."""
    if find_spec("openai") is None:
        raise Problem("the official openai SDK is not installed", f"{sys.executable} -m pip install openai", code=1)


@contextmanager
def _must_be_answered(route: str) -> Iterator[None]:
    """That a request fails is a claim that does not hold: every request of the demo is one that must be answered."""
    from openai import OpenAIError

    try:
        yield
    except OpenAIError as error:
        raise ClaimError(f'a request to the route "{route}" is answered; instead: {error}') from error


class Client:
    """A caller of the server at ``url``; needs the SDK (see :func:`require_sdk`).

    A request that fails is a :class:`ClaimError`.
    """

    def __init__(self, url: str) -> None:
        from openai import OpenAI

        self._sdk = OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0, timeout=120)

    def ask(self, route: str, question: str, **fields: Any) -> Answer:
        """One chat completion, whole."""
        began = time.monotonic()
        with _must_be_answered(route):
            raw = self._sdk.chat.completions.with_raw_response.create(
                model=route, messages=[{"role": "user", "content": question}], **fields
            )
            reply = raw.parse()
        tokens = reply.usage.completion_tokens if reply.usage else None
        return Answer(reply.choices[0].message.content or "", dict(raw.headers), tokens, time.monotonic() - began)

    def stream(self, route: str, question: str, on_piece: Callable[[str], None], **fields: Any) -> Answer:
        """One chat completion as a stream; ``on_piece`` gets every piece of text as it comes."""
        began = time.monotonic()
        pieces: list[str] = []
        arrivals: list[float] = []
        tokens = None
        with _must_be_answered(route):
            raw = self._sdk.chat.completions.with_raw_response.create(
                model=route,
                messages=[{"role": "user", "content": question}],
                stream=True,
                stream_options={"include_usage": True},
                **fields,
            )
            for chunk in raw.parse():
                tokens = chunk.usage.completion_tokens if chunk.usage else tokens
                text = chunk.choices[0].delta.content if chunk.choices else None
                if text:
                    pieces.append(text)
                    arrivals.append(time.monotonic() - began)
                    on_piece(text)
        return Answer("".join(pieces), dict(raw.headers), tokens, time.monotonic() - began, tuple(arrivals))
