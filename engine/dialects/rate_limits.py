"""Reading what an upstream says is left of its limits, in every notation that occurs.

Sources: the providers' manuals on rate limits, and recorded replies. OpenAI, Azure, Groq, xAI and most services that
speak OpenAI's protocol send ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``; Anthropic
``anthropic-ratelimit-*``; Mistral, Cerebras and Fireworks say the unit or the window at the end; Together and
OpenRouter send ``x-ratelimit-*`` alone; Hugging Face and Replicate the header fields of the IETF's draft
(draft-ietf-httpapi-ratelimit-headers).
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

from msgspec import Struct

from engine.exchange import Header

from .retry_after import date, number

#: Seconds that a limit is taken to hold where the reply does not say when it begins anew.
UNSAID = 60.0
#: No upstream is believed about a time that is further away (seconds).
FARTHEST = 31 * 86400.0


class Limit(Struct, frozen=True):
    """One limit of an upstream: ``remaining`` of ``limit`` are left until ``reset`` (Unix seconds)."""

    name: str
    limit: float
    remaining: float
    reset: float


def _row(name: str, pattern: str) -> tuple[str, str, str, str]:
    return (name, pattern.format("limit"), pattern.format("remaining"), pattern.format("reset"))


_ROWS = (
    _row("requests", "x-ratelimit-{}-requests"),
    _row("tokens", "x-ratelimit-{}-tokens"),
    _row("requests", "anthropic-ratelimit-requests-{}"),
    _row("tokens", "anthropic-ratelimit-tokens-{}"),
    _row("input tokens", "anthropic-ratelimit-input-tokens-{}"),
    _row("output tokens", "anthropic-ratelimit-output-tokens-{}"),
    _row("requests a minute", "x-ratelimit-{}-req-minute"),
    _row("requests a minute", "x-ratelimit-{}-requests-minute"),
    _row("requests a day", "x-ratelimit-{}-requests-day"),
    _row("tokens a minute", "x-ratelimit-{}-tokens-minute"),
    _row("tokens a day", "x-ratelimit-{}-tokens-day"),
    _row("tokens a month", "x-ratelimit-{}-tokens-month"),
    _row("tokens of prompts", "x-ratelimit-{}-tokens-prompt"),
    _row("tokens of answers", "x-ratelimit-{}-tokens-generated"),
    _row("tokens", "ratelimitbysize-{}"),
    _row("tokens", "x-tokenlimit-{}"),
    _row("requests", "x-ratelimit-{}"),
    _row("requests", "ratelimit-{}"),
)


def rate_limits(header: Header, now: float) -> tuple[Limit, ...]:
    """Every limit that a reply tells of, its times counted from ``now`` (Unix seconds); empty where it tells of none.

    Times of the day are counted from the reply's own ``date`` where it has one, so that clocks that disagree do no
    harm. A limit whose numbers make no sense is left out.
    """
    found = []
    for name, whole, left, reset in _ROWS:
        text = header(left)
        if text is not None:
            limit = _limit(name, number(header(whole)), number(text), _until(header(reset), header, now))
            if limit is not None:
                found.append(limit)
    text = header("ratelimit")
    if text is not None:
        found += _drafted(text, header("ratelimit-policy") or "", now)
    return tuple(found)


def _limit(name: str, limit: float | None, remaining: float | None, reset: float) -> Limit | None:
    if remaining is None or not 0 <= remaining < inf:
        return None
    if limit is None and remaining == 0:
        limit = 1.0  # nothing is left of it, however much it was
    if limit is None or not 0 < limit < inf:
        return None
    return Limit(name, limit, min(remaining, limit), reset)


def _until(text: str | None, header: Header, now: float) -> float:
    """When a limit begins anew: said as seconds, as Unix time, as a duration (``6m0s``, ``20ms``), or as a date."""
    seconds = number(text)
    if seconds is None and text:
        seconds = duration(text)
    if seconds is None:
        until = _instant(text)
        if until is None:
            return now + UNSAID
        sent = date(header("date"))
        seconds = until - (now if sent is None else sent)
    elif seconds > 1e11:
        seconds = seconds / 1000 - now
    elif seconds > 1e9:
        seconds -= now
    return now + min(max(seconds, 0.0), FARTHEST)


def _instant(text: str | None) -> float | None:
    """The Unix time of an RFC 3339 date."""
    try:
        when = datetime.fromisoformat(text) if text else None
        if when is None:
            return None
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text: str) -> float | None:
    """Seconds of a duration as Go writes it (``1h2m3.5s``, ``20ms``); ``None`` where it is none."""
    total = 0.0
    rest = text.strip()
    while rest:
        figures = len(rest) - len(rest.lstrip("0123456789."))
        value = number(rest[:figures])
        rest = rest[figures:]
        unit = rest[: len(rest) - len(rest.lstrip("dhmsunµ"))]
        if value is None or unit not in _UNITS:
            return None
        total += value * _UNITS[unit]
        rest = rest[len(unit) :]
    return total if text.strip() else None


def _drafted(text: str, policy: str, now: float) -> list[Limit]:
    """``"api";r=499;t=249`` with the quota of ``"api";q=500;w=300`` beside it."""
    quotas = {name: values for names, values in map(_item, policy.split(",")) for name in names}
    found = []
    for names, values in map(_item, text.split(",")):
        quota = next((quotas[name].get("q") for name in names if name in quotas), None)
        reset = now + min(max(values.get("t", UNSAID), 0.0), FARTHEST)
        limit = _limit("requests", quota, values.get("r"), reset)
        if limit is not None:
            found.append(limit)
    return found


def _item(text: str) -> tuple[list[str], dict[str, float]]:
    names: list[str] = []
    values: dict[str, float] = {}
    for part in text.split(";"):
        key, equals, value = part.strip().partition("=")
        if not equals:
            names.append(key.strip('"'))
        elif (figure := number(value)) is not None:
            values[key] = figure
    return names, values
