"""Noticing changes, with and without file-system events."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from engine.runtime import watch
from engine.runtime.watch import Sight, Watcher


class Noticed:
    """A watcher's ``changed``, to wait for."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def __call__(self) -> None:
        self.event.set()

    async def within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.event.wait(), seconds)
        except TimeoutError:
            return False
        self.event.clear()
        return True


class Watched:
    """A folder under watch; ``async with`` it to have a ``Noticed``."""

    def __init__(self, folder: Path, interval: float) -> None:
        self.folder = folder
        self.interval = interval
        self.noticed = Noticed()

    async def look(self) -> Sight:
        return watch.look([self.folder], self)

    def signature(self) -> str:
        files = sorted(self.folder.rglob("*.yaml")) if self.folder.exists() else []
        return repr([(str(file), file.stat().st_mtime_ns, file.stat().st_ino) for file in files])

    def commit(self) -> None:
        return None

    def load(self) -> Any:
        raise NotImplementedError

    def compile(self, loaded: Any) -> Any:
        raise NotImplementedError

    async def __aenter__(self) -> Noticed:
        watcher = Watcher([self.folder], self.look, self.noticed, lambda: self.interval)
        self.task = asyncio.create_task(watcher.run())
        assert await self.noticed.within(5)  # the first look
        await asyncio.sleep(0.2)
        self.noticed.event.clear()
        return self.noticed

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        assert len(asyncio.all_tasks()) == 1


def without_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*paths: str, **_: object) -> Iterator[object]:
        raise OSError("OS file watch limit reached")
        yield

    monkeypatch.setattr(watch.watchfiles, "watch", none)


def test_events_come_long_before_the_next_look(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Watched(tmp_path, interval=60) as noticed:
            (tmp_path / "policies").mkdir()
            assert await noticed.within(5)
            (tmp_path / "policies" / "a.yaml").write_text("a: 1")
            assert await noticed.within(5)

    asyncio.run(scenario())


def test_events_follow_into_new_folders(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Watched(tmp_path, interval=60) as noticed:
            (tmp_path / "policies" / "team").mkdir(parents=True)
            assert await noticed.within(5)
            await asyncio.sleep(0.5)
            noticed.event.clear()
            (tmp_path / "policies" / "team" / "a.yaml").write_text("a: 1")
            assert await noticed.within(5)

    asyncio.run(scenario())


def test_watching_borrows_no_thread_of_the_program(tmp_path: Path) -> None:
    """A program serves its own requests with such threads; there are forty, and any number of engines."""

    async def scenario() -> None:
        async with Watched(tmp_path, interval=60):
            assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("root", ["", ".", "..", "linked"])
def test_what_lies_beside_the_configuration_is_not_watched(
    tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("policies", "node_modules/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "node_modules" / "linked").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "node_modules" if root in ("..", "linked") else tmp_path)

    async def scenario() -> None:
        async with Watched(Path(root or tmp_path), interval=60) as noticed:
            (tmp_path / "node_modules" / "deep" / "a.yaml").write_text("a: 1")
            (tmp_path / "access.log").write_text("a line")
            assert not await noticed.within(0.5)
            (tmp_path / "policies" / "a.yaml").write_text("a: 1")
            assert await noticed.within(5)

    asyncio.run(scenario())


def test_a_folder_that_is_swapped_and_removed_is_left_at_once(tmp_path: Path) -> None:
    """Removing the old folder is an event, and where it comes from there is nothing to watch any more."""
    for name in ("one", "two"):
        (tmp_path / name / "policies").mkdir(parents=True)
    link = tmp_path / "live"
    link.symlink_to("one")

    async def scenario() -> None:
        async with Watched(link, interval=60) as noticed:
            (tmp_path / "next").symlink_to("two")
            (tmp_path / "next").replace(link)
            shutil.rmtree(tmp_path / "one")
            assert await noticed.within(5)
            await asyncio.sleep(0.5)
            noticed.event.clear()
            (tmp_path / "two" / "policies" / "a.yaml").write_text("a: 1")
            assert await noticed.within(5)

    asyncio.run(scenario())


def test_looks_find_changes_where_there_are_no_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_events(monkeypatch)

    async def scenario() -> None:
        async with Watched(tmp_path, interval=0.05) as noticed:
            (tmp_path / "a.yaml").write_text("a: 1")
            assert await noticed.within(5)

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert "OS file watch limit reached" in caplog.text


def test_a_swapped_link_to_the_folder_is_found_and_events_follow_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "policies").mkdir(parents=True)
        (tmp_path / name / "policies" / "a.yaml").write_text("a: 1")
    link = tmp_path / "live"
    link.symlink_to("one")

    async def scenario() -> None:
        watched = Watched(link, interval=0.05)
        async with watched as noticed:
            (tmp_path / "next").symlink_to("two")
            (tmp_path / "next").replace(link)
            assert await noticed.within(5)
            await asyncio.sleep(0.3)
            noticed.event.clear()
            watched.interval = 60
            await asyncio.sleep(0.1)
            (tmp_path / "two" / "policies" / "note.txt").write_text("no look would see this")
            assert await noticed.within(5)

    asyncio.run(scenario())


def test_a_folder_that_was_removed_and_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()

    async def scenario() -> None:
        async with Watched(folder, interval=0.05) as noticed:
            folder.rmdir()
            assert await noticed.within(5)
            await asyncio.sleep(0.2)
            noticed.event.clear()
            folder.mkdir()
            assert await noticed.within(5)

    asyncio.run(scenario())


def test_a_look_that_fails_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        watched = Watched(tmp_path, interval=0.02)
        async with watched as noticed:
            watched.signature = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
            await asyncio.sleep(0.1)
            del watched.signature
            (tmp_path / "a.yaml").write_text("a: 1")
            assert await noticed.within(5)

    asyncio.run(scenario())
    assert "could not look at the configuration folder" in caplog.text


def test_looks_that_take_long_are_made_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_events(monkeypatch)
    looks = 0

    async def slow() -> Sight:
        nonlocal looks
        looks += 1
        return Sight((), "same", None, cost=0.02)

    async def scenario() -> None:
        task = asyncio.create_task(Watcher([tmp_path], slow, lambda: None, lambda: 0.001).run())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
    assert 1 <= looks <= 4
