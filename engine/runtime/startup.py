"""Starting: on the configuration as it is, or else, loudly, on the last one that worked."""

from __future__ import annotations

import logging

from engine.diagnostics import Diagnostic
from engine.errors import ConfigError, PrepareError

from . import findings
from .last_good import LastGood
from .reading import Reading
from .reloader import FIRST_RETRY, Reloader

_log = logging.getLogger("interlock.reload")


async def start(reloader: Reloader, last_good: LastGood | None) -> None:
    """Put the first snapshot live.

    Raises :class:`ConfigError` or :class:`PrepareError` if the configuration is broken and there is no other to go by.
    """
    reading = await reloader.read_first()
    try:
        reloader.go_live(reading)
    except (ConfigError, PrepareError) as error:
        kept = await reloader.in_thread(last_good.restore) if last_good is not None else None
        if kept is None:
            raise
        _start_on(kept, reloader, reading, error)
    else:
        await reloader.remember(reading)


def _start_on(kept: Reading, reloader: Reloader, broken: Reading, error: ConfigError | PrepareError) -> None:
    reasons: tuple[Diagnostic, ...] = (
        error.diagnostics if isinstance(error, ConfigError) else (findings.not_ready(error),)
    )
    reloader.go_live(kept)
    reloader.hold_back(broken, reasons, FIRST_RETRY if broken.graph is not None else None)
    reloader.on_last_good = True
    _log.error(
        "THE CONFIGURATION IS BROKEN; serving the last good one instead until it is mended: %s: %s",
        findings.count(reasons),
        findings.listing(reasons),
    )
