"""What a request holds of limits: taken before anything is sent, settled to what was used, let go at its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.exchange import Attempt, OutcomeClass, Usage
from engine.planner import Plan, over_limit
from engine.state import Claim, Grant, Refusal, Store

if TYPE_CHECKING:
    from .reply import Headers
    from .run import Run

#: Ways to end in which an upstream may have worked on a request without saying how much.
_UNSAID = frozenset(
    {OutcomeClass.SERVED, OutcomeClass.TIMEOUT, OutcomeClass.GARBLED, OutcomeClass.CONNECTION, OutcomeClass.CANCELLED}
)


class Held:
    """What one request holds."""

    __slots__ = ("grant", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.grant: Grant | None = None
        """Of client limits."""

    def end(self, attempts: Iterable[Attempt]) -> None:
        """The request has ended: count what it used, and free its places."""
        if self.grant is not None:
            settle(self.store, self.grant, spent(attempts))
            self.store.release(self.grant)


async def enter(run: Run, plan: Plan) -> Plan:
    """Take what the plan claims of client limits: the plan itself, or the one of a refusal."""
    store = run.state.store
    answer = store.take(plan.limits, run.clock())
    if not isinstance(answer, Grant | Refusal):
        answer = await answer
    if isinstance(answer, Refusal):
        return over_limit(plan, plan.limits, answer)
    held = run.held = run.held or Held(store)
    held.grant = answer
    return plan


def settle(store: Store, grant: Grant, used: int | None) -> None:
    """Put the tokens that were used in place of those reserved; ``None`` is unknown, and leaves the reserve."""
    if used is not None:
        costs = {claim.key: used for claim in grant.claims if claim.unit == "tokens"}
        if costs:
            store.settle(grant, costs)


def tokens(usage: Usage | None, outcome: OutcomeClass, status: int | None) -> int | None:
    """The tokens an attempt used, ``None`` where nobody knows. An answer that is an error used none."""
    if usage is not None and not (usage.input is None and usage.output is None):
        return (usage.input or 0) + (usage.output or 0)
    failed = status is not None and not 200 <= status < 300
    return None if outcome in _UNSAID and not failed else 0


def spent(attempts: Iterable[Attempt]) -> int | None:
    """The tokens that all attempts used together, ``None`` where that of one is unknown."""
    total = 0
    for attempt in attempts:
        used = tokens(attempt.usage, attempt.outcome_class, attempt.status)
        if used is None:
            return None
        total += used
    return total


def rate_headers(plan: Plan, held: Held | None) -> Headers:
    """What the caller's limits have left, in the headers of OpenAI: the tightest of requests, and of tokens."""
    grant = None if held is None else held.grant
    rows: Iterable[tuple[Claim, int, float]] = ()
    if grant is not None:
        rows = zip(grant.claims, grant.left, grant.resets, strict=True)
    elif plan.refusal is not None:
        refusal = plan.refusal
        rows = ((claim, refusal.left, refusal.retry_after) for claim in plan.limits if claim.key == refusal.key)
    tightest: dict[str, tuple[int, float, int]] = {}
    for claim, left, reset in rows:
        if claim.per is not None:
            tightest[claim.unit] = min(
                tightest.get(claim.unit, (left, -reset, claim.limit)), (left, -reset, claim.limit)
            )
    headers: Headers = []
    for unit, (left, reset, limit) in tightest.items():
        name = unit.encode()
        headers.append((b"x-ratelimit-limit-" + name, b"%d" % limit))
        headers.append((b"x-ratelimit-remaining-" + name, b"%d" % max(0, left)))
        if -reset < float("inf"):
            headers.append((b"x-ratelimit-reset-" + name, _duration(-reset)))
    return headers


def _duration(seconds: float) -> bytes:
    """``6m0.25s``, as OpenAI writes durations; rounded up, so that whoever waits so long has waited enough."""
    ms = -int(-seconds * 1000 // 1)
    minutes, rest = divmod(ms, 60_000)
    if not minutes and rest < 1000:
        return b"%dms" % rest
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return (f"{hours}h{text}" if hours else text).encode()
