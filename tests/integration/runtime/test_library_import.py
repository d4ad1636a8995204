"""``import engine`` costs nothing, and its public names are what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import engine

_PROBE = """
import sys, time
before = set(sys.modules)
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)) if event in WATCHED else None)
start = time.perf_counter()
import engine
took = time.perf_counter() - start
files = [str(a[0]) for e, a in seen if e == "open" and not str(a[0]).endswith((".py", ".pyc"))]
print(repr({"took": took, "files": files, "sockets": [e for e, _ in seen if e.startswith("socket")],
            "modules": sorted(set(sys.modules) - before)}))
"""


def probe() -> dict[str, object]:
    code = f"WATCHED = ('open', 'socket.__new__', 'socket.connect', 'socket.bind')\n{_PROBE}"
    root = str(Path(engine.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    result = eval(done.stdout)  # noqa: S307 (our own repr)
    assert isinstance(result, dict)
    return result


def test_importing_opens_nothing_and_is_quick() -> None:
    results = [probe() for _ in range(5)]
    for result in results:
        assert result["files"] == []
        assert result["sockets"] == []
        assert [name for name in result["modules"] if name.startswith("engine")] == ["engine"]  # type: ignore[attr-defined]
    assert min(float(str(result["took"])) for result in results) < 0.03


def test_the_public_names() -> None:
    assert engine.__all__ == sorted(engine.__all__)
    for name in engine.__all__:
        assert getattr(engine, name).__name__ == name
        assert name in dir(engine)
    with pytest.raises(AttributeError, match="nonsense"):
        engine.nonsense  # noqa: B018 (reading it is the point)


def test_the_types_are_shipped() -> None:
    assert (Path(engine.__file__).parent / "py.typed").exists()
