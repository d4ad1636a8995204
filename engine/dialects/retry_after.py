"""Reading how long an upstream asks to be left alone, in every notation that occurs."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from engine.exchange import Header

#: No upstream may close itself for longer than this many seconds with one header.
CAP = 3600.0

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def retry_after(header: Header, now: float) -> float | None:
    """Seconds to wait, in 0..:data:`CAP`; ``None`` where the reply says nothing readable.

    Reads milliseconds (``retry-after-ms``, ``x-ms-retry-after-ms``) before ``retry-after`` in seconds or as an HTTP
    date (RFC 9110, section 10.2.3). A date is counted from the reply's own ``date`` where it has one, so that clocks
    that disagree do no harm; else from ``now`` (Unix seconds). Zero milliseconds beside whole seconds are a mistake
    that services make: the seconds count.
    """
    for name in _MILLISECONDS:
        milliseconds = number(header(name))
        if milliseconds is not None and milliseconds > 0:
            return _capped(milliseconds / 1000)
    text = header("retry-after")
    found = seconds(text)
    if found is not None:
        return found
    until = date(text)
    if until is None:
        return None
    sent = date(header("date"))
    return _capped(until - (sent if sent is not None else now))


def seconds(text: str | None) -> float | None:
    """The number that ``text`` is, in 0..:data:`CAP`; ``None`` where it is none."""
    value = number(text)
    return None if value is None else _capped(value)


def _capped(value: float) -> float:
    return min(max(value, 0.0), CAP)


def number(text: str | None) -> float | None:
    """The number that ``text`` is, whatever its size; ``None`` where it is none."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is None or value == value else None


def date(text: str | None) -> float | None:
    """The Unix time of an HTTP date; ``None`` where it is none."""
    try:
        when = parsedate_to_datetime(text) if text else None
        if when is None:
            return None
        # A date without a zone is in UTC like every date of HTTP, not in this machine's zone.
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
