"""A provider that gives a ticket and is asked until the answer is there."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from engine.executor.transport import Answer, TransportError, header_of
from engine.executor.transport_poll import PollTransport

URL = "https://poll.example/v1/models/a/b/predictions"
HEADERS = [("content-type", "application/json"), ("authorization", "Bearer k")]


class Desk:
    """Answers with these replies in turn, and keeps what it was asked."""

    def __init__(self, *replies: tuple[int, dict[str, Any]]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, list[tuple[str, str]]]] = []

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        self.asked.append((method, url, headers))
        status, tree = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return Answer(status, header_of({"content-type": "application/json"}), msgspec.json.encode(tree))

    async def open(self, *_: Any) -> Any:
        raise AssertionError("nothing streams here")

    async def close(self) -> None:
        pass


def ticket(status: str, **more: Any) -> tuple[int, dict[str, Any]]:
    at = "https://poll.example/v1/predictions/7"
    return 200, {"id": "7", "status": status, "urls": {"get": at, "cancel": f"{at}/cancel"}, **more}


def test_it_asks_until_the_answer_is_there() -> None:
    desk = Desk((201, ticket("starting")[1]), ticket("processing"), ticket("succeeded", output=["a", "b"]))
    answer = asyncio.run(PollTransport(desk).send("POST", URL, HEADERS, b"{}"))
    assert msgspec.json.decode(answer.body)["output"] == ["a", "b"]
    assert [(method, url) for method, url, _ in desk.asked] == [
        ("POST", URL),
        ("GET", "https://poll.example/v1/predictions/7"),
        ("GET", "https://poll.example/v1/predictions/7"),
    ]
    assert desk.asked[1][2] == [("authorization", "Bearer k")]


@pytest.mark.parametrize("where", ["https://evil.example/v1/predictions/7", "http://poll.example/x", None, 5])
def test_the_key_goes_to_no_other_host(where: Any) -> None:
    desk = Desk((200, {"status": "starting", "urls": {"get": where}}))
    with pytest.raises(TransportError, match="no address of its own"):
        asyncio.run(PollTransport(desk).send("POST", URL, HEADERS, b"{}"))
    assert len(desk.asked) == 1


def test_an_error_meanwhile_is_the_answer() -> None:
    desk = Desk(ticket("starting"), (429, {"detail": "slow down"}))
    assert asyncio.run(PollTransport(desk).send("POST", URL, HEADERS, b"{}")).status == 429


def test_leaving_cancels_the_ticket() -> None:
    desk = Desk(ticket("processing"))

    async def go() -> None:
        task = asyncio.create_task(PollTransport(desk).send("POST", URL, HEADERS, b"{}"))
        await asyncio.sleep(0.4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert desk.asked[-1][:2] == ("POST", "https://poll.example/v1/predictions/7/cancel")
