"""Where a request stands in a trace that began elsewhere: W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

_HEX = frozenset("0123456789abcdef")
_getrandbits = random.Random(random.SystemRandom().getrandbits(256)).getrandbits  # noqa: S311 (unique, not secret)
#: Characters of ``tracestate`` that are kept: the specification asks for 512 at least.
_LONGEST_STATE = 512


class Trace(msgspec.Struct, frozen=True):
    """A request's place: its own span, and the caller's if it sent one. Ids are lower-case hexadecimal."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    sampled: bool = True
    state: str = ""

    def span_of(self, provider: str, started: float) -> str:
        """The id of an attempt's span: the same for whoever knows which attempt at ``provider`` it is."""
        return blake2b(f"{self.span_id} {provider} {started!r}".encode(), digest_size=8).hexdigest()


class Tracing(msgspec.Struct, frozen=True):
    """Which requests are traced: ``share`` of those whose caller has not decided. ``to`` names the providers that the
    context is passed on to."""

    share: float
    to: frozenset[str]

    def begin(self, headers: Mapping[str, str]) -> Trace:
        """The place of a request with these headers; a context that is not well-formed counts as none."""
        span_id = f"{_getrandbits(64) | 1:016x}"
        given = headers.get("traceparent")
        parent = None if given is None else _parse(given)
        if parent is None:
            bits = _getrandbits(128) | 1
            return Trace(f"{bits:032x}", span_id, "", (bits >> 64) < self.share * 2**64)
        trace_id, parent_id, sampled = parent
        return Trace(trace_id, span_id, parent_id, sampled, headers.get("tracestate", "")[:_LONGEST_STATE])

    def headers(self, trace: Trace, provider: str, started: float) -> list[tuple[str, str]]:
        """What an attempt at ``provider`` passes on; nothing where it is not declared to receive it."""
        if provider not in self.to:
            return []
        parent = f"00-{trace.trace_id}-{trace.span_of(provider, started)}-{'01' if trace.sampled else '00'}"
        return [("traceparent", parent), *([("tracestate", trace.state)] if trace.state else [])]


def _parse(text: str) -> tuple[str, str, bool] | None:
    """Trace id, span id and the flag ``sampled``; ``None`` for what the specification calls invalid."""
    parts = text.strip().split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    version, trace_id, span_id, flags = parts[:4]
    if not all(_HEX.issuperset(part) for part in parts[:4]) or version == "ff" or (version == "00" and len(parts) > 4):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return trace_id, span_id, bool(int(flags, 16) & 1)
