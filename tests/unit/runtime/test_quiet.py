"""The interpreter's settings during heavy work, and after it."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from engine.runtime.quiet import quiet


def test_it_turns_both_down_and_restores_them() -> None:
    interval = sys.getswitchinterval()
    with quiet():
        assert not gc.isenabled()
        assert sys.getswitchinterval() < interval
        with quiet():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(interval)


def test_it_restores_after_an_error() -> None:
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert gc.isenabled()


def test_a_process_without_collection_stays_without() -> None:
    gc.disable()
    try:
        with quiet():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_was_made_meanwhile_is_old_and_not_frozen() -> None:
    frozen = gc.get_freeze_count()
    with quiet():
        made: list[list[int]] = [[] for _ in range(60_000)]
    assert gc.get_freeze_count() == frozen
    young = {id(o) for generation in (0, 1) for o in gc.get_objects(generation)}
    assert not young & {id(o) for o in made}


def test_a_little_is_left_to_the_collector() -> None:
    class Node:
        """Refers to itself, so that only the collector can free it."""

        def __init__(self) -> None:
            self.me = self

    with quiet():
        for _ in range(1000):
            Node()
    gc.collect(1)
    assert not [o for o in gc.get_objects() if type(o) is Node]


def test_threads_overlap() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    with quiet():
        thread.start()
        assert inside.wait(5)
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()
