"""Noticing that a configuration may have changed: file-system events, and a cheap look now and then.

Events are quick but not to be relied on: they do not tell of a swapped symbolic link above the folder, of a folder that
was deleted and made again, nor of anything on most network mounts. The look finds all of those, a little later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from watchfiles import awatch

from .reading import signature_of
from .source import Source

_log = logging.getLogger("interlock.reload")

_SHARE_OF_LOOKING = 20
"""Between two looks pass at least this many times what a look costs: at most 5 % of a core is spent on looking."""
_REARM_SECONDS = 5.0
"""After events could not be had (too many watches, say), they are asked for again no sooner than this."""


class Sight(NamedTuple):
    """What a look at the folders saw; unequal sights mean that something may have changed."""

    folders: tuple[tuple[int, int] | None, ...]
    """Which folder each path leads to (device and inode), ``None`` where there is none."""
    signature: str | None
    commit: str | None


def look(folders: Iterable[Path], source: Source) -> Sight:
    """What there is to see at this moment. Blocks for as long as the file system does."""
    return Sight(tuple(map(_identity, folders)), signature_of(source), source.commit())


class Watcher:
    """Calls ``changed`` whenever the folders may have changed; too often rather than too rarely.

    ``look`` must not block the loop; ``interval`` gives the seconds between looks.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        look: Callable[[], Awaitable[Sight]],
        changed: Callable[[], None],
        interval: Callable[[], float],
    ) -> None:
        self._folders = tuple(folders)
        self._look = look
        self._changed = changed
        self._interval = interval
        self._events: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        seen: Sight | None = None
        try:
            while True:
                before = loop.time()
                sight = await self._try_to_look()
                took = loop.time() - before
                if sight is not None and sight != seen:
                    if seen is None or sight.folders != seen.folders:
                        await self._arm(sight)
                    self._changed()
                    seen = sight
                await asyncio.sleep(max(self._interval(), _SHARE_OF_LOOKING * took))
        finally:
            await self._disarm()

    async def _try_to_look(self) -> Sight | None:
        try:
            return await self._look()
        except Exception:  # boundary: a look that fails must not end the watch
            _log.exception("could not look at the configuration folder; trying again")
            return None

    async def _arm(self, sight: Sight) -> None:
        await self._disarm()
        paths = [path for path, folder in zip(self._folders, sight.folders, strict=True) if folder is not None]
        if paths:
            self._events = asyncio.create_task(self._follow(paths), name="interlock-events")

    async def _disarm(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.cancel()
            await asyncio.wait({events})

    async def _follow(self, paths: Sequence[Path]) -> None:
        while True:
            try:
                # No filter: hidden entries matter too, a mounted ConfigMap changes by swapping one.
                async for _ in awatch(*paths, watch_filter=None, debounce=100, step=50):
                    self._changed()
            except Exception as error:  # boundary: the looks go on without events
                _log.warning("no file-system events for %s (%s); looking for changes instead", paths[0], error)
            await asyncio.sleep(_REARM_SECONDS)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino)
