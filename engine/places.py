"""Where files of the engine's own are kept on this machine, unless a document says otherwise."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """The folder for state that outlives a restart, by the platform's convention. It need not exist.

    ``$XDG_STATE_HOME/interlock``, by default ``~/.local/state/interlock`` (XDG Base Directory Specification 0.8);
    ``%LOCALAPPDATA%\\interlock`` on Windows, ``~/Library/Application Support/interlock`` on macOS.
    """
    environ = os.environ if environ is None else environ
    declared = environ.get("LOCALAPPDATA" if platform == "win32" else "XDG_STATE_HOME")
    if declared:
        return Path(declared) / "interlock"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "interlock"
    return Path.home() / ".local" / "state" / "interlock"
