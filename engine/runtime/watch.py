"""Noticing that a configuration may have changed: file-system events, and a cheap look now and then.

Events are quick but not to be relied on: they do not tell of a swapped symbolic link above the folder, nor of anything
on most network mounts. The look finds all of those, a little later. Events are asked for in the folders that files are
read from and in no others: a configuration is often the top of a repository, beside thousands of folders that are none
of ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import watchfiles

from engine.documents import folders
from engine.documents.files import FOLDERS, wanted

from .reading import signature_of
from .source import Source
from .threads import run_in

_log = logging.getLogger("interlock.reload")

_SHARE_OF_LOOKING = 20
"""Between two looks pass at least this many times what a look costs: at most 5 % of a core is spent on looking."""
_LONGEST_WAIT = 1000
"""Milliseconds that the thread waits for events before it looks whether anybody still wants them."""
_REARM_SECONDS = 5.0
"""After events could not be had (too many watches, say), they are asked for again no sooner than this."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at the folders saw; unequal sights mean that something may have changed."""

    folders: tuple[tuple[str, tuple[int, int] | None], ...]
    """Every folder that files are read from, and what its path leads to (device and inode), ``None`` if nowhere."""
    signature: str | None
    commit: str | None
    cost: float = field(default=0.0, compare=False)
    """Seconds of processor time that the look took."""


def look(roots: Iterable[Path], source: Source) -> Sight:
    """What there is to see at this moment. Blocks for as long as the file system does."""
    began = time.thread_time()
    seen = tuple((folder, _identity(folder)) for root in roots for folder in folders(root))
    signature, commit = signature_of(source), source.commit()
    return Sight(seen, signature, commit, time.thread_time() - began)


class Watcher:
    """Calls ``changed`` whenever the folders may have changed; too often rather than too rarely.

    ``look`` must not block the loop; ``interval`` gives the seconds between looks.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        look: Callable[[], Awaitable[Sight]],
        changed: Callable[[], None],
        interval: Callable[[], float],
    ) -> None:
        self._roots = frozenset(map(os.path.abspath, roots))
        self._look = look
        self._changed = changed
        self._interval = interval
        self._moved = asyncio.Event()
        self._events: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        seen: Sight | None = None
        try:
            while True:
                self._moved.clear()
                before = loop.time()
                sight = await self._try_to_look()
                took = loop.time() - before
                if sight is not None and sight != seen:
                    if seen is None or sight.folders != seen.folders:
                        await self._arm(sight)
                    self._changed()
                    seen = sight
                cost = sight.cost if sight is not None else 0.0
                await self._rest(max(self._interval(), took, _SHARE_OF_LOOKING * cost))
        finally:
            await self._disarm()

    async def _rest(self, seconds: float) -> None:
        """Until the next look: so long, or until the folders themselves seem to have moved."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()

    async def _try_to_look(self) -> Sight | None:
        try:
            return await self._look()
        except Exception:  # boundary: a look that fails must not end the watch
            _log.exception("could not look at the configuration folder; trying again")
            return None

    async def _arm(self, sight: Sight) -> None:
        await self._disarm()
        paths = [path for path, leads_to in sight.folders if leads_to is not None]
        if paths:
            self._events = asyncio.create_task(self._follow(paths), name="interlock-events")

    async def _disarm(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.cancel()
            await asyncio.wait({events})

    async def _follow(self, paths: Sequence[str]) -> None:
        # Not one of the loop's threads, nor of anyio's: those are few, and the program's that the engine is part of.
        thread = ThreadPoolExecutor(1, "interlock-events")
        try:
            while True:
                try:
                    await self._listen(paths, thread)
                except Exception as error:  # boundary: the looks go on without events
                    _log.warning("no file-system events for %s (%s); looking for changes instead", paths[0], error)
                await asyncio.sleep(_REARM_SECONDS)
        finally:
            thread.shutdown(wait=False)

    async def _listen(self, paths: Sequence[str], thread: ThreadPoolExecutor) -> None:
        stop = Event()
        events = watchfiles.watch(
            *paths, watch_filter=self._matters, debounce=50, step=10, recursive=False, stop_event=stop,
            rust_timeout=_LONGEST_WAIT, yield_on_timeout=True,
        )  # fmt: skip
        try:
            while (changes := await run_in(thread, next, events, None)) is not None:
                # What is no YAML file may be a folder or a link to one: events have to follow it.
                if not all(wanted(Path(path).name) for _, path in changes):
                    self._moved.set()
                if changes:
                    self._changed()
        finally:
            stop.set()
            with suppress(RuntimeError):  # the program is ending
                thread.submit(events.close)

    def _matters(self, _: watchfiles.Change, path: str) -> bool:
        """Not every entry of the top folder does, where logs and build results may lie too.

        Hidden ones that begin with two dots do: a mounted ConfigMap changes by swapping such a link.
        """
        folder, name = os.path.split(os.path.normpath(path))
        return folder not in self._roots or name in FOLDERS or name.startswith("..")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
