"""Telling observers how a request ended, without letting them hurt it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from engine.exchange import Mirrored, Outcome
from engine.planner import Record

_log = logging.getLogger("interlock.observers")

Observer = Callable[[Outcome], object]
"""Called on the event loop with the frozen record of every request, once; must not block. Its result is ignored.

One that has a method ``mirrored`` is called there with the frozen record of every copy of a request. One that has a
method ``decided`` is called there with the :class:`engine.planner.Record` of every request: why it went where it went.
"""


class Observers:
    """Hands each outcome to every observer in turn; one that raises is logged, and the others still hear of it."""

    __slots__ = ("_observers",)

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def add(self, observer: Observer) -> None:
        """Tell this one too from here on."""
        self._observers = (*self._observers, observer)

    def __call__(self, outcome: Outcome) -> None:
        for observer in self._observers:
            try:
                observer(outcome)
            except Exception:  # boundary: an observer is someone else's code
                _log.exception("observer %r failed for request %s", observer, outcome.request_id)

    def mirrored(self, record: Mirrored) -> None:
        """Hand the record of a copy to those observers that have a method for it."""
        for observer in self._observers:
            hear = getattr(observer, "mirrored", None)
            if hear is None:
                continue
            try:
                hear(record)
            except Exception:  # boundary: an observer is someone else's code
                _log.exception("observer %r failed for the copy of request %s", observer, record.request_id)

    @property
    def hear_decisions(self) -> bool:
        """Whether any observer wants the records of decisions."""
        return any(hasattr(observer, "decided") for observer in self._observers)

    def decided(self, record: Record) -> None:
        """Hand the record of a request's decisions to those observers that have a method for it."""
        for observer in self._observers:
            hear = getattr(observer, "decided", None)
            if hear is None:
                continue
            try:
                hear(record)
            except Exception:  # boundary: an observer is someone else's code
                _log.exception("observer %r failed for the decisions of request %s", observer, record.id)
