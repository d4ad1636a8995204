"""The engine's records of decisions: whether any are kept, of which requests, and who gets them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import PrepareError
from engine.graph import DecisionRecords as Wanted
from engine.graph import Settings
from engine.planner import DIRECT, Planner, Record, Tape
from engine.planner.hashing import uniform
from engine.telemetry.decisions import DecisionLog

from .observers import Observers
from .snapshot import Snapshot


class Decisions:
    """Has requests recorded for the file of the settings, and for observers that have a method ``decided``."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        self._heard = observers.hear_decisions
        self._wanted: Wanted | None = None
        self._log: DecisionLog | None = None
        self._closing: list[DecisionLog] = []
        self._snapshots: dict[str, Snapshot] = {}

    def follow(self, snapshot: Snapshot, worker: str) -> Callable[[str], Planner] | None:
        """Write to where the settings of this snapshot say, from here on. What each request's id is to be asked for.

        ``worker`` is this process, if it is one of several.
        """
        self._snapshots = {name: s for name, s in self._snapshots.items() if s.pins}
        self._snapshots[snapshot.graph.fingerprint] = snapshot
        wanted = snapshot.graph.settings.decisions
        if wanted != self._wanted:
            self._wanted = wanted
            if self._log is not None:
                self._log.stop()
                self._closing.append(self._log)
            self._log = None
            if wanted is not None:
                file = _file(wanted, worker)
                self._log = DecisionLog(file, max_size=wanted.max_size, keep=wanted.keep)
        return None if self._log is None and not self._heard else self._planner

    async def aclose(self) -> None:
        """Write what waits, for some seconds at most."""
        logs = [*self._closing, *([] if self._log is None else [self._log])]
        self._closing = []
        for log in logs:
            await asyncio.to_thread(log.close)

    def _planner(self, request_id: str) -> Planner:
        return Tape(self._take) if self._heard or self._chosen(request_id) else DIRECT

    def _take(self, record: Record) -> None:
        snapshot = self._snapshots.get(record.graph)
        record.commit = None if snapshot is None else snapshot.git_commit
        if self._log is not None and self._chosen(record.id):
            self._log.decided(record)
        if self._heard:
            self._observers.decided(record)

    def _chosen(self, request_id: str) -> bool:
        """Whether the file is to have this request: the same for every worker, whatever has happened."""
        wanted = self._wanted
        return wanted is not None and (wanted.sample >= 1.0 or uniform("record", request_id) < wanted.sample)


def _file(wanted: Wanted, worker: str) -> Path:
    file = Path(wanted.file)
    return file.with_name(f"{file.stem}-{worker}{file.suffix}") if worker else file


def writable(settings: Settings) -> None:
    """Raises :class:`PrepareError` where the settings want records in a place that cannot be written to."""
    if settings.decisions is None:
        return
    file = Path(settings.decisions.file)
    if not file.parent.is_dir():
        raise PrepareError(f'settings: telemetry.records.file: there is no folder "{file.parent}"')
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise PrepareError(f'settings: telemetry.records.file: "{file}" cannot be written to')
