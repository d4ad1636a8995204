"""The scripts: which targets there are, what becomes of them, who asks, and what is asked of the answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from benchmarks.chaos import answers as say
from benchmarks.chaos.goals import (
    brown_out,
    client_gone,
    dead,
    hedged,
    limit_kept,
    mixed,
    nothing_false,
    outage,
    queue_order,
    quiet_callers,
    rate_limited,
    slow_one,
)
from benchmarks.chaos.load import Load
from benchmarks.chaos.scenario import Document, Scenario, route
from benchmarks.chaos.upstream import Behaviour

GOOD = Behaviour()
#: The errors of a bad day, all before any output: whoever routes well can hide each of them.
BEFORE_OUTPUT = (
    say.FAILED,
    say.OVERLOADED,
    say.ANTHROPIC_OVERLOADED,
    say.BAD_GATEWAY,
    say.RESET,
    say.CLOSED,
    say.HTML,
    say.EMPTY,
    say.WRONG_JSON,
    say.RESET_AFTER_HEAD,
)
LIMITED = say.limited(retry_after="5")


def bad_day(limited: float) -> Behaviour:
    """20 % errors, of which this share of all calls is 429 with Retry-After 5 s, and 1 % stalls."""
    others = (0.20 - limited) / len(BEFORE_OUTPUT)
    stalls = ((0.005, say.STALL), (0.005, say.STALL_AFTER_HEAD))
    return Behaviour(jitter=0.4, mix=((limited, LIMITED), *((others, fault) for fault in BEFORE_OUTPUT), *stalls))


def fallback_route(variant: str) -> list[Document]:
    """Route ``chat``: a, then b."""
    return [route("chat", ["a/m", "b/m"])]


def mixed_scenario(name: str, words: str, limited: float, step: Any, rate: float, *less: str) -> Scenario:
    """Two targets on a bad day; ``less`` are the variants beside the whole."""
    return Scenario(
        name=name,
        says=f"two targets {words}, each with 20 % mixed errors before output ({limited:.1%} of the calls a 429 with "
        "Retry-After 5 s) and 1 % stalls; 2 s a try",
        seconds=30,
        short=5,
        targets={"a": bad_day(limited), "b": bad_day(limited)},
        routes=lambda variant: [route("chat", step)],
        loads=(Load("plain", rate=rate), Load("streamed", rate=rate, stream=True)),
        goals=mixed,
        variants=("all", *less),
    )


# -- a dead primary ------------------------------------------------------------------------------------------------

DEATHS: dict[str, Behaviour] = {
    "refused": GOOD.but(up=False),
    "hanging": GOOD.but((1.0, say.STALL)),
    "failing": GOOD.but((1.0, say.FAILED)),
}
#: These never worked.
NEVER = {"no-name": "http://no-such-host.invalid:{}/v1", "bad-tls": "https://localhost:{}/v1"}


def _dead_routes(variant: str) -> list[Document]:
    routes = [route(name, [f"{name}/m", "spare/m"]) for name in (*DEATHS, *NEVER)]
    return [*routes, route("direct", "spare/m")]


def _deaths(seconds: float) -> list[tuple[float, str, Behaviour]]:
    return [(1.0, name, behaviour) for name, behaviour in DEATHS.items()]


DEAD = Scenario(
    name="dead",
    says="the primary dies after a second, or never worked; the spare is healthy. Figures from 4 s after its death",
    seconds=16,
    short=7.5,
    settled=5.0,
    targets={**dict.fromkeys((*DEATHS, *NEVER), GOOD), "spare": GOOD},
    addresses=NEVER,
    routes=_dead_routes,
    loads=tuple(Load(name, model=name, rate=25) for name in (*DEATHS, *NEVER, "direct")),
    timeline=_deaths,
    goals=lambda result: dead(result, (*DEATHS, *NEVER), 5.0),
    variants=("all", "no breaker"),
)

# -- 429 with a time to wait ---------------------------------------------------------------------------------------

FORMS = {
    "seconds": LIMITED,
    "milliseconds": say.limited(retry_after_ms="5000"),
    "azure": say.limited(x_ms_retry_after_ms="5000"),
    "date": say.limited_until(5),
    "body": say.GEMINI_LIMITED,
}


def _limited_providers(variant: str) -> dict[str, Document]:
    return {"body": {"dialect": "gemini"}}


RETRY_AFTER = Scenario(
    name="retry-after",
    says="the primary answers 429 and asks for 5 s, in every form there is; the spare is healthy",
    seconds=16,
    short=7,
    targets={**{name: Behaviour(latency=0.001, mix=((1.0, fault),)) for name, fault in FORMS.items()}, "spare": GOOD},
    routes=lambda variant: [*(route(name, [f"{name}/m", "spare/m"]) for name in FORMS), route("direct", "spare/m")],
    providers=_limited_providers,
    loads=tuple(Load(name, model=name, rate=25) for name in (*FORMS, "direct")),
    goals=lambda result: rate_limited(result, tuple(FORMS)),
    variants=("all", "no breaker"),
)

# -- everything down -----------------------------------------------------------------------------------------------


def _outage(seconds: float) -> list[tuple[float, str, Behaviour]]:
    down = GOOD.but((0.7, say.OVERLOADED), (0.3, say.RESET))
    return [
        *((2.0, name, down) for name in "ab"),
        *((outage_ends(seconds), name, GOOD) for name in "ab"),
    ]


def outage_ends(seconds: float) -> float:
    """The second at which a total outage is over: there is time for an even load afterwards."""
    return seconds - (11.0 if seconds > 15 else 4.0)


OUTAGE = Scenario(
    name="outage",
    says="both targets of a balance answer 503 or reset from the 2nd second on, then work again",
    seconds=24,
    short=10,
    targets={"a": GOOD, "b": GOOD},
    routes=lambda variant: [route("chat", {"balance": {"by": "weighted", "steps": ["a/m", "b/m"]}})],
    loads=(Load("plain", rate=40), Load("streamed", rate=20, stream=True)),
    timeline=_outage,
    goals=lambda result: outage(result, 2.0, outage_ends(result.seconds)),
    variants=("all", "no breaker", "no retry"),
    plotted=True,
)

# -- the caller's own mistakes, and callers who leave --------------------------------------------------------------

CALLERS = Scenario(
    name="callers",
    says="every third request is refused by the primary with the caller's own 400; the others are served",
    seconds=5,
    short=3,
    targets={"a": Behaviour(every=(3, say.CALLERS)), "b": GOOD},
    routes=fallback_route,
    loads=(Load("plain", rate=60), Load("streamed", rate=30, stream=True)),
    goals=quiet_callers,
)

SLOW = Behaviour(latency=1.5)
GONE = Scenario(
    name="gone",
    says="the client goes away: while it waits, before the first piece of a stream, and after it",
    seconds=5,
    short=3,
    targets={"slow": SLOW, "drips": Behaviour(mix=((1.0, say.DRIP),))},
    routes=lambda variant: [route("slow", "slow/m"), route("drips", "drips/m")],
    loads=(
        Load("plain", model="slow", rate=30, leave=0.15),
        Load("before output", model="slow", rate=30, stream=True, leave=0.15),
        Load("in output", model="drips", rate=30, stream=True, leave=0.05, in_output=True),
    ),
    goals=client_gone,
)

MIDSTREAM = Scenario(
    name="midstream",
    says="half answers that break off in every way there is, and slow ones that do not; nobody can repair these",
    seconds=8,
    short=4,
    targets={
        "a": Behaviour(mix=(*((0.08, fault) for fault in say.HALVES), (0.2, say.DRIP))),
        "b": GOOD,
    },
    routes=fallback_route,
    loads=(Load("streamed", rate=40, stream=True), Load("plain", rate=20)),
    goals=nothing_false,
)

# -- slowness ------------------------------------------------------------------------------------------------------

QUICK, TEN_TIMES = Behaviour(latency=0.06, jitter=0.2), Behaviour(latency=0.6, jitter=0.2)
BALANCES = {"all": "latency", "weighted": "weighted", "least_busy": "least_busy"}


def _recovers(seconds: float) -> float:
    return seconds * 0.4 if seconds > 20 else seconds - 1.0


def _slow_routes(variant: str) -> list[Document]:
    by = BALANCES[variant]
    return [
        route("three", {"balance": {"by": by, "steps": ["a/m", "b/m", "c/m"]}}),
        route("two", {"balance": {"by": by, "steps": ["d/m", "e/m"]}}),
    ]


SLOW_ONE = Scenario(
    name="slow",
    says="one of three targets is ten times slower from the 2nd second on until it recovers, beside two healthy ones "
    "alone; by latency, and by other balances. Figures from the 4th second until it recovers",
    seconds=32,
    short=9,
    settled=4.0,
    until=_recovers,
    targets=dict.fromkeys("abcde", QUICK),
    routes=_slow_routes,
    loads=(Load("three", model="three", rate=60), Load("two", model="two", rate=40)),
    timeline=lambda seconds: [(2.0, "c", TEN_TIMES), (_recovers(seconds), "c", QUICK)],
    goals=lambda result: slow_one(result, 4.0, _recovers(result.seconds)),
    variants=tuple(BALANCES),
)

TAIL = Behaviour(latency=0.03, jitter=0.3, mix=((0.03, say.STALL), (0.03, say.STALL_AFTER_HEAD)))


def _hedge_routes(variant: str) -> list[Document]:
    steps = ["a/m", "b/m"]
    return [route("chat", {"hedge": {"delay": "150ms", "steps": steps}} if variant == "all" else steps)]


HEDGE = Scenario(
    name="hedge",
    says="6 % of the calls of both targets never answer; a hedge after 150 ms, and a plain fallback",
    seconds=10,
    short=5,
    targets={"a": TAIL, "b": TAIL},
    routes=_hedge_routes,
    loads=(Load("plain", rate=40), Load("streamed", rate=40, stream=True)),
    goals=hedged,
    variants=("all", "no hedge"),
)


def _brown_span(seconds: float) -> tuple[float, float]:
    """When the brown-out begins and how long it takes: afterwards there is time to come back."""
    return seconds * 0.1, seconds * (0.35 if seconds > 20 else 0.7)


def _brown(seconds: float) -> list[tuple[float, str, Behaviour]]:
    """Errors and latency rise to 90 % and twentyfold and fall again, over the middle of the scenario."""
    steps = 12
    begin, length = _brown_span(seconds)
    script = []
    for number in range(steps + 1):
        depth = 1 - abs(2 * number / steps - 1)
        mix = ((0.5 * depth, say.OVERLOADED), (0.2 * depth, say.RESET), (0.2 * depth, say.FAILED))
        script.append((begin + length * number / steps, "a", Behaviour(latency=0.02 * (1 + 19 * depth), mix=mix)))
    return script


BROWN_OUT = Scenario(
    name="brown-out",
    says="the primary's errors rise to 90 % and its latency twentyfold, and fall again; the spare is healthy",
    seconds=34,
    short=8,
    targets={"a": GOOD, "b": GOOD},
    routes=fallback_route,
    loads=(Load("plain", rate=40), Load("streamed", rate=30, stream=True)),
    timeline=_brown,
    goals=lambda result: brown_out(result, sum(_brown_span(result.seconds))),
    variants=("all", "no breaker", "no retry"),
    plotted=True,
)

# -- limits --------------------------------------------------------------------------------------------------------

#: The first provider takes N requests in a window of this many seconds; three times as many are offered.
WINDOW, ALLOWED = 4.0, 80


def _refuse_more(variant: str) -> dict[str, Document]:
    return {} if variant == "no limits" else {"a": {"limits": [{"requests": ALLOWED, "per": f"{WINDOW:g}s"}]}}


LIMIT = Scenario(
    name="limit",
    says=f"the first provider may get {ALLOWED} requests in any {WINDOW:g} s, 3 times that is offered; "
    "the second takes the rest",
    seconds=14,
    short=9,
    targets={"a": GOOD, "b": GOOD},
    routes=fallback_route,
    providers=_refuse_more,
    loads=(Load("plain", rate=40), Load("streamed", rate=20, stream=True)),
    goals=lambda result: limit_kept(result, ALLOWED, WINDOW),
    variants=("all", "no limits"),
)


def _two_at_once(variant: str) -> dict[str, Document]:
    return {} if variant == "no limits" else {"a": {"limits": [{"concurrency": 2}]}}


QUEUE = Scenario(
    name="queue",
    says="one provider takes two requests at a time and answers in 40 ms; for two seconds 70 a second are offered, "
    "then less than it can do",
    seconds=5,
    short=4,
    targets={"a": Behaviour(latency=0.04)},
    routes=lambda variant: [route("chat", "a/m")],
    providers=_two_at_once,
    loads=(Load("flood", rate=70, begin=0.5, end=2.5), Load("steady", rate=10)),
    goals=queue_order,
    variants=("all", "no limits"),
)


#: What is played at the same time, so that all of it takes minutes and no server starts while another one is measured.
HEATS: tuple[tuple[Scenario, ...], ...] = (
    (
        mixed_scenario("mixed", "in order", 0.04, ["a/m", "b/m"], 80, "no breaker", "no retry"),
        mixed_scenario("mixed-few-429", "in order", 0.008, ["a/m", "b/m"], 40),
        mixed_scenario(
            "mixed-balanced", "balanced", 0.04, {"balance": {"by": "weighted", "steps": ["a/m", "b/m"]}}, 40
        ),
    ),
    (DEAD, CALLERS),
    (RETRY_AFTER, OUTAGE, BROWN_OUT),
    (SLOW_ONE, LIMIT),
    (HEDGE, QUEUE, MIDSTREAM),
    (GONE,),
)


def heats(names: Collection[str]) -> list[list[Scenario]]:
    """The scenarios of these names, or all, in heats."""
    chosen = ([one for one in together if not names or one.name in names] for together in HEATS)
    return [together for together in chosen if together]
