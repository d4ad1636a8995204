"""Reading how long an upstream asks to be left alone, in every notation that occurs."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from engine.exchange import Header

#: No upstream may close itself for longer than this many seconds with one header.
CAP = 3600.0

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def retry_after(header: Header, now: float) -> float | None:
    """Seconds to wait, in 0..:data:`CAP`; ``None`` where the reply says nothing readable.

    Reads milliseconds (``retry-after-ms``, ``x-ms-retry-after-ms``) before ``retry-after`` in seconds or as an HTTP
    date (RFC 9110, section 10.2.3). A date is counted from the reply's own ``date`` where it has one, so that clocks
    that disagree do no harm; else from ``now`` (Unix seconds).
    """
    for name in _MILLISECONDS:
        seconds = _number(header(name))
        if seconds is not None:
            return _capped(seconds / 1000)
    text = header("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return _capped(seconds)
    until = _date(text)
    if until is None:
        return None
    sent = _date(header("date"))
    return _capped(until - (sent if sent is not None else now))


def _capped(seconds: float) -> float:
    return min(max(seconds, 0.0), CAP)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is None or value == value else None


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
