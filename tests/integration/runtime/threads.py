"""Whether engines leave threads behind."""

from __future__ import annotations

import threading
import time


def assert_no_threads() -> None:
    """Threads of engines end with them: at once, but for what they are in the middle of."""
    deadline = time.monotonic() + 5
    while [thread for thread in threading.enumerate() if thread.name.startswith("interlock")]:
        assert time.monotonic() < deadline, "an engine left a thread behind"
        time.sleep(0.01)
