"""How nodes and their values are put into words, for diffs and drawings. Secrets never get into words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from engine.units import format_duration

from .beside import Hedge, Mirror
from .limits import Rate
from .nodes import Balance, Fallback, Reject, Retry, RouteStep, Split, Step, Switch, TargetStep, Timeouts

_SECRET_NAME = re.compile(
    r"secret|passw|credential|authorization|cookie|signature|(api|private)[-_. ]?key|(^|[-_.])token$", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")
_QUERY = re.compile(r"\?.*")
_LONGEST = 60

HIDDEN = "***"


def public_url(url: str) -> str:
    """The URL without what may be a credential: user information and query."""
    return _QUERY.sub("?" + HIDDEN, _USERINFO.sub(HIDDEN + "@", url))


def is_secret_name(name: str) -> bool:
    """Whether a value of this name may be a credential, and so is not shown."""
    return _SECRET_NAME.search(name) is not None


def shorten(text: str, longest: int = _LONGEST) -> str:
    """The text, cut at ``longest`` characters with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def show(value: Any) -> str:
    """A value of a node as people would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (frozenset, set)):
        return ", ".join(sorted(map(show, value))) or "none"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(show, value)) or "none"
    return str(value)


def describe_rate(rate: Rate) -> str:
    """``60 requests per 1m``, ``16 at a time``."""
    if rate.per is None:
        return f"{rate.limit} at a time"
    return f"{rate.limit} {rate.unit} per {format_duration(rate.per)}"


def percent(weight: Decimal, total: Decimal) -> str:
    """A weight as its share of the total: ``90%``, ``33.3%``."""
    if not total:
        return "0%"
    share = (weight * 100 / total).quantize(Decimal("0.1"))
    if not share and weight:
        return "<0.1%"
    return f"{show(share)}%"


def kind(step: Step) -> str:
    """The step's key in YAML."""
    return _KINDS[type(step)]


_KINDS: dict[type, str] = {
    TargetStep: "target",
    Fallback: "fallback",
    Split: "split",
    Balance: "balance",
    Switch: "switch",
    Hedge: "hedge",
    Mirror: "mirror",
    Reject: "reject",
    RouteStep: "route",
}


def label(step: Step) -> str:
    """The step in a word or two: a target's id, ``split "trial"``, ``fallback``."""
    if isinstance(step, TargetStep):
        return step.target.id
    if isinstance(step, Split):
        return f'split "{step.name}"'
    if isinstance(step, RouteStep):
        return f'route "{step.route}"'
    if isinstance(step, Mirror):
        return f"mirror to {step.to.target.id}"
    return kind(step)


#: The timeouts of each try of a target, as they are called for people.
TIMEOUT_WORDS = {"connect": "connect", "first_token": "first token", "idle": "idle", "attempt": "attempt"}


def tries(retry: Retry) -> str:
    """``2 tries``; ``1 try`` is no retry at all."""
    return f"{retry.per_target} {'try' if retry.per_target == 1 else 'tries'}"


def target_policy(retry: Retry, timeouts: Timeouts, usual: tuple[Retry, Timeouts] | None = None) -> list[str]:
    """What bounds each try of a target; where ``usual`` is given, only what differs from it."""
    out = []
    if usual is None or retry.per_target != usual[0].per_target:
        out.append(tries(retry))
    if (usual is None and retry.per_target > 1) or (
        usual is not None and (retry.initial, retry.max) != (usual[0].initial, usual[0].max)
    ):
        out.append(f"backoff {format_duration(retry.initial)}-{format_duration(retry.max)}")
    for field, word in TIMEOUT_WORDS.items():
        value = getattr(timeouts, field)
        if usual is None or value != getattr(usual[1], field):
            out.append(f"{word} {format_duration(value)}")
    return out


def request_policy(retry: Retry, timeouts: Timeouts) -> list[str]:
    """What bounds a whole request."""
    attempts = f"at most {retry.max_attempts} attempt{'' if retry.max_attempts == 1 else 's'}"
    return [attempts, f"{format_duration(timeouts.total)} in all", f"retries up to {round(retry.budget * 100, 1):g}%"]
