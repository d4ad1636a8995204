"""Python environments for the contestants, each on its own, made at first use under ``benchmarks/.work/venvs``.

Only the standard library is used here: the command itself runs on any Python 3.11 or newer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / ".work"

#: What each environment holds. Versions of the peers are pinned, so that two runs compare the same things.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "interlock": (f"{ROOT}",),
    "bare": ("httptools", "msgspec", "pyreqwest==0.15.1", "uvicorn==0.54.0", "uvloop"),
    "litellm": ("litellm[proxy]==1.106.2", "uvloop"),
    "tensorzero": ("tensorzero==2026.6.0", "uvloop"),
    "plots": ("matplotlib>=3.9,<4",),
}

INSTALL_SECONDS = 1200


class UnavailableError(Exception):
    """A contestant cannot take part; the message is the reason that the table prints."""


def python_of(name: str) -> Path:
    """The interpreter of an environment, made first if it is not there or holds other versions than asked for.

    ``interlock`` is the tree's own ``.venv`` where that can run it. Raises ``UnavailableError`` with pip's reason.
    """
    if name == "interlock":
        own = ROOT / ".venv" / "bin" / "python"
        if own.exists() and _imports(own, "engine.server.serve, engine.cli.app"):
            return own
    folder = WORK / "venvs" / name
    stamp = folder / "requirements.json"
    wanted = json.dumps(REQUIREMENTS[name])
    python = folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return python
    print(f"  once: making the environment of {name} (pip install {' '.join(REQUIREMENTS[name])}) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)], name)
    _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", *REQUIREMENTS[name]], name)
    stamp.write_text(wanted)
    return python


def nginx() -> str:
    """The program: the machine's own, else Debian's package, unpacked under ``.work`` and not installed.

    Raises ``UnavailableError`` with apt's reason.
    """
    package = WORK / "nginx" / "package"
    unpacked = package / "usr" / "sbin" / "nginx"
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found or unpacked.exists():
        return found or str(unpacked)
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise UnavailableError("nginx is not installed, and there is no apt-get here to bring it")
    print("  once: getting nginx (apt-get download nginx) ...", flush=True)
    package.mkdir(parents=True, exist_ok=True)
    try:
        _run(["apt-get", "download", "-q", "nginx"], "nginx", package)
    except UnavailableError:
        if os.getuid() != 0:
            raise
        _run(["apt-get", "update", "-q"], "nginx")
        _run(["apt-get", "download", "-q", "nginx"], "nginx", package)
    for file in package.glob("nginx*.deb"):
        _run(["dpkg", "-x", str(file), str(package)], "nginx")
    if not unpacked.exists():
        raise UnavailableError("the package nginx of this system holds no program: apt-get install nginx")
    return str(unpacked)


def version_of(python: Path, distribution: str) -> str:
    """The installed version of a distribution, or ``unknown``."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _imports(python: Path, modules: str) -> bool:
    return subprocess.run([str(python), "-c", f"import {modules}"], capture_output=True, check=False).returncode == 0


def _run(command: list[str], name: str, folder: Path = HERE) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, cwd=folder)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"its environment was not ready after {INSTALL_SECONDS} s") from None
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
        raise UnavailableError(f"its environment ({name}) could not be installed: {last[0].strip()}")
