"""Heavy work beside an event loop without stalling it.

A thread that compiles ten thousand documents shares the interpreter's lock with the loop that serves requests. Two
things of the interpreter would make requests wait for it, and both can be turned down while it runs:

* the *switch interval*: a waiting thread gets the lock only after this long, at every single wake-up of the loop;
* the *garbage collector*: allocating a large graph starts full collections, each of which walks every object of the
  process in one go, holding the lock throughout.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH_SECONDS = 0.0005
_MANY = 50_000
"""So many new objects and more are not left for the next collection to walk through: some ten milliseconds' worth."""

_lock = threading.Lock()
_depth = 0
_before = (0.005, True)


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, other threads get the interpreter quickly and no garbage collection starts.

    Process-wide, and nests across threads and engines: the last one out restores what the first one found. A process
    that uses ``gc.freeze`` stays frozen, the objects made meanwhile included.
    """
    global _depth, _before
    with _lock:
        _depth += 1
        if _depth == 1:
            _before = (sys.getswitchinterval(), gc.isenabled())
            sys.setswitchinterval(min(_SWITCH_SECONDS, _before[0]))
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                sys.setswitchinterval(_before[0])
                if gc.get_count()[0] > _MANY:
                    _age_young_objects()
                if _before[1]:
                    gc.enable()


def _age_young_objects() -> None:
    """Move what was allocated meanwhile to the oldest generation, which costs nothing.

    Otherwise the very next allocation would start a collection that walks all of it. The price: what is garbage among
    it by then, and in a cycle, stays until the next full collection, so heavy work had better not leave much of that.
    """
    frozen = gc.get_freeze_count()
    gc.freeze()
    if not frozen:
        gc.unfreeze()
