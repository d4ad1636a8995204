"""Records of decisions in the library: by a setting that comes and goes, by an observer, and not at all."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Outcome, PrepareError
from engine.executor.transport import Answer, StreamAnswer, TransportOptions
from engine.graph import Provider
from engine.planner import Record

REPLY = b'{"choices":[{"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}'


class Served:
    """A transport that answers."""

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        none: dict[str, str] = {}
        return Answer(200, none.get, REPLY)

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


class Ears:
    """An observer of decisions."""

    def __init__(self) -> None:
        self.heard: list[Record] = []

    def __call__(self, outcome: Outcome) -> None:
        """Outcomes are somebody else's."""

    def decided(self, record: Record) -> None:
        self.heard.append(record)


def served(provider: Provider, options: TransportOptions) -> Served:
    return Served()


def wanted(config: Any, file: Path | None, **more: Any) -> None:
    telemetry = {} if file is None else {"telemetry": {"records": {"file": str(file), **more}}}
    config.put("policies/settings.yaml", json.dumps({"version": 1, "kind": "settings", "name": "s", **telemetry}))


async def ask(engine: Engine, *ids: str) -> None:
    for id_ in ids:
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}
        await engine.chat(body, headers={"x-request-id": id_})


def ids(file: Path) -> list[str]:
    return [json.loads(line)["request_id"] for line in file.read_text().splitlines()]


@pytest.fixture
def small(config: Any) -> Any:
    config.provider(9)
    config.route()
    return config


def test_a_setting_that_comes_and_goes(small: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"

    async def main() -> None:
        async with Engine.open(small.root, watch=False, transport=served) as engine:
            await ask(engine, "r1")
            for file, id_ in ((first, "r2"), (second, "r3"), (None, "r4"), (second, "r5")):
                wanted(small, file)
                assert await engine.reload() == ()
                await ask(engine, id_)

    asyncio.run(main())
    assert (ids(first), ids(second)) == (["r2"], ["r3", "r5"])


def test_a_sample_is_chosen_by_the_ids(small: Any, tmp_path: Path) -> None:
    async def main(file: Path) -> None:
        wanted(small, file, sample="25%")
        async with Engine.open(small.root, watch=False, transport=served) as engine:
            await ask(engine, *(f"r{n}" for n in range(200)))

    for name in "ab":
        asyncio.run(main(tmp_path / name))
    assert 25 < len(ids(tmp_path / "a")) < 75
    assert ids(tmp_path / "a") == ids(tmp_path / "b")


def test_each_of_several_workers_has_a_file_of_its_own(small: Any, tmp_path: Path) -> None:
    wanted(small, tmp_path / "d.jsonl")

    async def main() -> None:
        engine = Engine.open(small.root, watch=False, transport=served)
        (tmp_path / "facts").mkdir()
        engine.telemetry.share(tmp_path / "facts", "2")
        async with engine:
            await ask(engine, "r1")

    asyncio.run(main())
    assert ids(tmp_path / "d-2.jsonl") == ["r1"]
    assert not (tmp_path / "d.jsonl").exists()


def test_a_place_that_cannot_be_written_to_stops_the_start_and_an_edit(small: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Engine.open(small.root, watch=False, transport=served) as engine:
            before = engine.graph.fingerprint
            wanted(small, tmp_path / "away" / "d.jsonl")
            told = await engine.reload()
            assert "there is no folder" in " ".join(f"{d.summary} {d.detail}" for d in told)
            assert engine.graph.fingerprint == before
        with pytest.raises(PrepareError, match=r"telemetry\.records\.file: there is no folder"):
            async with Engine.open(small.root, watch=False, transport=served):
                pass

    asyncio.run(main())


def test_an_observer_hears_of_decisions_with_their_commit(small: Any) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(small.root)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    ears = Ears()

    async def main() -> None:
        async with Engine.open(small.root, watch=False, transport=served, observers=[ears]) as engine:
            await ask(engine, "r1")

    asyncio.run(main())
    (record,) = ears.heard
    assert (record.id, record.commit) == ("r1", head)
    assert record.plan is not None
    assert (record.plan.route, [step.do for step in record.steps]) == ("chat", ["try"])


def test_nobody_takes_notes_where_nobody_wants_them(small: Any) -> None:
    async def main() -> None:
        async with Engine.open(small.root, watch=False, transport=served, observers=[lambda outcome: None]) as engine:
            assert engine.executor.planner is None

    asyncio.run(main())
