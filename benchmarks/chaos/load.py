"""Load that does not wait: requests start when due, whatever became of those before, and every answer is checked."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.answers import text

#: Who waits longer than this was left without an answer.
PATIENCE = 12.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Load:
    """Requests at a fixed rate. ``begin`` and ``end`` are seconds of the scenario, ``end`` 0 is its end.

    ``leave``: the client goes away so many seconds after it asked, or, of a stream, after its first piece if
    ``in_output``. ``headers`` go with each request.
    """

    name: str
    model: str = "chat"
    rate: float = 40.0
    stream: bool = False
    begin: float = 0.0
    end: float = 0.0
    leave: float | None = None
    in_output: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Record:
    """One request; times are of ``time.monotonic``. ``due`` is when it had to start, which is what latency counts from.

    ``kind``: ``ok`` (whole and this request's own), ``failed`` (an honest error), ``wrong`` (called a success, and is
    not this request's whole answer), ``silent`` (it just ended, or never did), ``left`` (the client went).
    """

    token: str
    load: str
    due: float
    first: float = 0.0
    end: float = 0.0
    kind: str = "silent"
    status: int = 0
    code: str = ""
    attempts: int = 0
    target: str = ""
    started: float = 0.0

    @property
    def seconds(self) -> float:
        """From when it was due to its end."""
        return self.end - self.due


def new_record(load: Load, due: float) -> Record:
    """The record of a request that is to start then, with a token that no other request has."""
    return Record(f"tok-{next(_numbers):08d}", load.name, due)


@dataclass
class Client:
    """A client of one server that keeps its connections."""

    port: int
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def run(self, load: Load, begun: float, seconds: float, records: list[Record]) -> None:
        """Offers the load until its end, then waits for what is still under way."""
        tasks = set()
        end = begun + (load.end or seconds)
        due = begun + load.begin
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            record = new_record(load, due)
            records.append(record)
            task = asyncio.create_task(self.ask(load, record))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += 1 / load.rate
        if tasks:
            await asyncio.wait(tasks)

    def close(self) -> None:
        """Closes the connections that are kept."""
        for _, writer in self.idle:
            writer.transport.abort()

    async def ask(self, load: Load, record: Record) -> None:
        """Makes one request; the record then says what came of it. Raises nothing."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask(load, record)
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            record.code = record.code or f"{type(error).__name__} {error}"[:80]
        record.end = time.monotonic()

    async def _ask(self, load: Load, record: Record) -> None:
        reader, writer = await self._connection()
        done = False
        try:
            record.started = time.monotonic()
            writer.write(_request(load, record.token))
            if load.leave is not None and not load.in_output:
                await asyncio.sleep(load.leave)
                record.kind = "left"
                return
            done = await self._read(load, record, reader)
        finally:
            if done:
                self.idle.append((reader, writer))
            else:
                writer.transport.abort()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof() and not writer.transport.is_closing():
                return reader, writer
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def _read(self, load: Load, record: Record, reader: asyncio.StreamReader) -> bool:
        """Reads one reply; whether the connection can be used again."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        record.status = int(first.split()[1])
        record.attempts = int(headers.get("x-interlock-attempts", "0"))
        record.target = headers.get("x-interlock-target", "")
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
            record.first = time.monotonic()
            _judge(record, json.loads(body) if body else {})
            return headers.get("connection", "") != "close"
        return await self._stream(load, record, reader)

    async def _stream(self, load: Load, record: Record, reader: asyncio.StreamReader) -> bool:
        said, rest, ended, error = "", b"", False, ""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            rest += (await reader.readexactly(size + 2))[:-2]
            *events, rest = rest.split(b"\n\n")
            for each in events:
                data = each.partition(b"data: ")[2]
                if data == b"[DONE]":
                    ended = True
                elif data:
                    tree = json.loads(data)
                    error = error or _code(tree)
                    said += "".join(c["delta"].get("content") or "" for c in tree.get("choices", ()))
            if said and not record.first:
                record.first = time.monotonic()
                if load.leave is not None:
                    await asyncio.sleep(load.leave)
                    record.kind = "left"
                    return False
        await reader.readexactly(2)
        if error:
            record.kind, record.code = ("wrong" if ended else "failed"), error
        elif ended:
            record.kind = "ok" if said == text(record.token) else "wrong"
        return True


def _request(load: Load, token: str) -> bytes:
    body: dict[str, Any] = {"model": load.model, "messages": [{"role": "user", "content": token}]}
    if load.stream:
        body["stream"] = True
    data = json.dumps(body).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: bench", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in load.headers]
    return "\r\n".join([*lines, f"content-length: {len(data)}", "", ""]).encode() + data


def _code(tree: Any) -> str:
    error = tree.get("error") if isinstance(tree, dict) else None
    return str(error.get("code") or error.get("type") or "error") if isinstance(error, dict) else ""


def _judge(record: Record, tree: Any) -> None:
    record.code = _code(tree)
    if record.status != 200:
        record.kind = "failed" if record.code else "wrong"
        return
    choices = tree.get("choices") if isinstance(tree, dict) else None
    said = choices[0]["message"]["content"] if choices else None
    record.kind = "ok" if said == text(record.token) and not record.code else "wrong"
