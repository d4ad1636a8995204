"""Where a request goes after a failure, and as what: nested fallbacks, windows, caps, budgets, overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, chat, environ, play
from .upstream import Answer, Script, Upstream, error, served

BAD, LONG, REFUSED = error(400), error(400, code="context_length_exceeded"), error(400, code="content_filter")
GONE, LIMITED, DOWN, FAILED = error(404), error(429), error(503), error(500)
OK = served(False)
ONE, TWO, THREE, FOUR = "one/m", "two/m", "three/m", "four/m"
ONCE: dict[str, Any] = {"retry": {"per_target": 1}}


def fallback(*steps: object, **options: object) -> dict[str, Any]:
    return {"fallback": {"steps": list(steps), **options} if options else list(steps)}


#: A tree, what each account answers, and the accounts that are tried; the last one decides what the client sees.
TREES: dict[str, tuple[object, dict[str, Script], list[str]]] = {
    "in order": (fallback(ONE, TWO, THREE), {"one": DOWN, "two": GONE, "three": OK}, ["one", "two", "three"]),
    "stops where it served": (fallback(ONE, TWO, THREE), {"one": DOWN, "two": OK}, ["one", "two"]),
    "all fail": (fallback(ONE, TWO, THREE), {"one": DOWN, "two": GONE, "three": FAILED}, ["one", "two", "three"]),
    "nobody else can mend it": (fallback(ONE, TWO), {"one": BAD}, ["one"]),
    "only_on holds": (fallback(ONE, TWO, only_on=["overloaded"]), {"one": DOWN, "two": OK}, ["one", "two"]),
    "only_on holds back": (fallback(ONE, TWO, only_on=["overloaded"]), {"one": FAILED}, ["one"]),
    "only_on takes what the default does not": (
        fallback(ONE, TWO, only_on=["invalid_request"]),
        {"one": BAD, "two": OK},
        ["one", "two"],
    ),
    "also_on adds": (fallback(ONE, TWO, also_on=["content_refused"]), {"one": REFUSED, "two": OK}, ["one", "two"]),
    "also_on keeps": (fallback(ONE, TWO, also_on=["content_refused"]), {"one": DOWN, "two": OK}, ["one", "two"]),
    "the inner rule, then the outer": (
        fallback(fallback(ONE, TWO, only_on=["overloaded"]), THREE),
        {"one": DOWN, "two": FAILED, "three": OK},
        ["one", "two", "three"],
    ),
    "past the inner rule to the outer": (
        fallback(fallback(ONE, TWO, only_on=["overloaded"]), THREE),
        {"one": FAILED, "three": OK},
        ["one", "three"],
    ),
    "neither the inner rule nor the outer": (
        fallback(fallback(ONE, TWO, only_on=["overloaded"]), THREE, only_on=["timeout"]),
        {"one": FAILED},
        ["one"],
    ),
    "an inner fallback that comes second": (
        fallback(ONE, fallback(TWO, THREE, only_on=["rate_limited"])),
        {"one": DOWN, "two": LIMITED, "three": OK},
        ["one", "two", "three"],
    ),
    "the last of the outer": (
        fallback(fallback(ONE, TWO), fallback(THREE, FOUR)),
        {"one": DOWN, "two": DOWN, "three": DOWN, "four": OK},
        ["one", "two", "three", "four"],
    ),
    "another route's tree": (
        fallback({"route": "spare"}, THREE),
        {"one": DOWN, "two": DOWN, "three": OK},
        ["one", "two", "three"],
    ),
    "to a larger window only": (fallback(ONE, TWO, THREE), {"one": LONG, "three": OK}, ["one", "three"]),
    "to a larger window, and from there on": (
        fallback(ONE, TWO, THREE, FOUR),
        {"one": LONG, "three": LONG, "four": OK},
        ["one", "three", "four"],
    ),
    "not to a smaller window": (fallback(THREE, ONE, FOUR), {"three": LONG, "four": FAILED}, ["three", "four"]),
    "no larger window": (fallback(THREE, ONE, TWO), {"three": LONG}, ["three"]),
}
#: ``four`` does not say how large its window is.
WINDOWS = {"one": {"context_window": 8000}, "two": {"context_window": 4000}, "three": {"context_window": 32000}}
SPARE = {"version": 1, "kind": "route", "name": "spare", "step": fallback(ONE, TWO)}
FOURTH: dict[str, Any] = {"four": {"auth": {"scheme": "none"}}}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tree(tmp_path: Path, name: str, streamed: bool) -> None:
    step, answers, tried = TREES[name]
    scripts = {account: served(True) if streamed and answer is OK else answer for account, answer in answers.items()}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        assert [seen.account for seen in upstream.seen] == tried
        assert gateway.outcome.target == got.headers["x-interlock-target"] == f"{tried[-1]}/m"
        assert got.headers["x-interlock-attempts"] == str(len(tried))
        last = gateway.outcome.attempts[-1].outcome_class
        assert gateway.outcome.outcome_class == last
        assert (got.status == 200) == (last == "served") == (answers[tried[-1]] is OK)

    play(tmp_path, scenario, scripts=scripts, step=step, models=WINDOWS, providers=FOURTH, policy=ONCE, more=[SPARE])


@pytest.mark.parametrize(
    ("retry", "attempts"),
    [
        ({}, ["one", "one", "two", "two", "three"]),
        ({"max_attempts": 3}, ["one", "one", "two"]),
        ({"per_target": 1}, ["one", "two", "three"]),
        ({"per_target": 3, "max_attempts": 4}, ["one", "one", "one", "two"]),
        ({"per_target": 3, "max_attempts": 9}, ["one"] * 3 + ["two"] * 3 + ["three"] * 3),
        ({"budget": "0%"}, ["one", "two", "three"]),
    ],
)
def test_the_caps_on_attempts(tmp_path: Path, retry: dict[str, Any], attempts: list[str]) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert [seen.account for seen in upstream.seen] == attempts
        assert [attempt.target for attempt in gateway.outcome.attempts] == [f"{account}/m" for account in attempts]
        assert (got.status, got.error["code"]) == (503, "overloaded")
        assert got.headers["x-interlock-attempts"] == str(len(attempts))

    policy = {"retry": {"backoff": {"initial": "0ms", "max": "1s"}, **retry}}
    scripts: dict[str, Answer] = {"one": DOWN, "two": DOWN, "three": DOWN}
    play(tmp_path, scenario, scripts=scripts, step=fallback(ONE, TWO, THREE), policy=policy)


def test_the_retry_budget_bounds_retries_and_not_failovers(tmp_path: Path) -> None:
    """Ten retries are always allowed; from there on a fifth of the requests."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(40):
            assert (await gateway.ask()).status == 200
        assert upstream.calls("two") == 40
        assert upstream.calls("one") == 40 + 10
        retried = [len(outcome.attempts) - 2 for outcome in gateway.outcomes]
        assert retried == [1] * 10 + [0] * 30

    policy = {
        "retry": {"backoff": {"initial": "0ms", "max": "1s"}, "budget": "20%"},
        "breaker": {"consecutive": 1000, "min_requests": 1000},
    }
    play(tmp_path, scenario, scripts={"one": DOWN, "two": OK}, step=fallback(ONE, TWO), policy=policy)


def test_a_policy_of_a_target_bounds_that_target_alone(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask()
        assert [seen.account for seen in upstream.seen] == ["one", "two", "two"]

    timid = {"version": 1, "kind": "policy", "name": "timid", "applies_to": {"targets": ["one/*"]}, **ONCE}
    play(tmp_path, scenario, scripts={"one": DOWN, "two": DOWN}, step=fallback(ONE, TWO), more=[timid])


@pytest.mark.parametrize("word", ["1", "true", "YES"])
def test_a_client_forbids_failover(tmp_path: Path, word: str) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(x_interlock_no_fallback=word)
        assert (got.status, got.error["code"]) == (502, "model_gone")
        assert [seen.account for seen in upstream.seen] == ["one"]
        assert (await gateway.ask(x_interlock_no_fallback="0")).status == 200

    play(tmp_path, scenario, scripts={"one": GONE, "two": OK}, step=fallback(ONE, TWO))


def test_no_candidate_is_left(tmp_path: Path) -> None:
    """Nothing that could serve is nobody's failure: who can mend it is told."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
    wanted: list[tuple[dict[str, Any], int, str, str]] = [
        (chat(tools=tools), 400, "unsupported_capability", "supports what this request needs (tools)"),
        (chat(messages=image), 400, "unsupported_capability", "(vision)"),
        (chat(True), 400, "unsupported_capability", "(stream)"),
        (chat(messages=[{"role": "user", "content": "x" * 9000}]), 400, "context_length_exceeded", "window is 1000"),
        (chat(model="locked"), 502, "unauthorized", "credential"),
        (chat(model="locked-or-small", messages=[{"content": "x" * 9000}]), 502, "unauthorized", "credential"),
    ]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for body, status, code, message in wanted:
            got = await gateway.ask(body)
            assert (got.status, got.error["code"]) == (status, code)
            assert message in got.error["message"]
            assert got.headers["x-should-retry"] == "false"
            assert got.headers["x-interlock-attempts"] == "0"
            assert "x-interlock-target" not in got.headers
            assert gateway.outcomes[-1].code == code
            assert (gateway.outcomes[-1].attempts, gateway.outcomes[-1].target) == ((), None)
        assert upstream.seen == []

    more = [
        {"version": 1, "kind": "route", "name": "locked", "step": TWO},
        {"version": 1, "kind": "route", "name": "locked-or-small", "step": fallback(TWO, ONE)},
    ]
    small: dict[str, Any] = {"one": {"supports": ["chat"], "context_window": 1000}}
    play(tmp_path, scenario, scripts={}, models=small, env=environ("two"), more=more)


def test_a_target_without_its_credential_is_passed_over(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert (got.status, got.headers["x-interlock-target"]) == (200, TWO)
        assert [seen.account for seen in upstream.seen] == ["two"]

    play(tmp_path, scenario, scripts={"two": OK}, step=fallback(ONE, TWO), env=environ("one"))


def test_overrides_of_a_target_and_of_a_variant(tmp_path: Path) -> None:
    """``set`` wins over the client, ``default`` fills in, each attempt has its own, and the rest stays as it came."""
    variants = {
        "a": {"weight": 1, "step": {"target": TWO, "params": {"default": {"temperature": 0.2, "seed": 7}}}},
        "b": {"weight": 0, "step": {"target": THREE, "params": {"set": {"temperature": 0.9}}}},
    }
    split = {"split": {"name": "trial", "key": "user", "pins": {"u-b": "b"}, "variants": variants}}
    step = fallback({"target": ONE, "params": {"set": {"temperature": 0, "max_tokens": 5}}}, split)

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        body = b'{"model": "chat", "messages": [], "temperature": 1.50, "user": "u-a", "odd": {"a":  [1e2, 0.10]}}'
        await gateway.ask(body)
        one, two = upstream.seen
        assert (one.body["temperature"], one.body["max_tokens"]) == (0, 5)
        assert (two.body["temperature"], two.body["seed"]) == (1.5, 7)
        assert "max_tokens" not in two.body
        for seen in upstream.seen:
            assert seen.body["model"] == f"m-of-{seen.account}"
            assert b'{"a":  [1e2, 0.10]}' in seen.raw
        assert b"1.50" in two.raw
        assert gateway.outcome.variants == (("trial", "a"),)
        await gateway.ask(chat(user="u-b", temperature=1))
        assert upstream.seen[-1].account == "three"
        assert upstream.seen[-1].body["temperature"] == 0.9
        assert gateway.outcomes[-1].variants == (("trial", "b"),)

    play(tmp_path, scenario, scripts={"one": DOWN, "two": OK, "three": OK}, step=step, policy=ONCE)


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_target_does_not_take_is_dropped_and_named_or_refused(tmp_path: Path, streamed: bool) -> None:
    quirks = {"one": {"quirks": {"drop": ["logit_bias", "seed"], "rename": {"max_tokens": "max_completion_tokens"}}}}
    strict = {"version": 1, "kind": "policy", "name": "strict", "applies_to": {"routes": ["strict"]}}
    more = [
        {"version": 1, "kind": "route", "name": "strict", "step": fallback(ONE, TWO)},
        {**strict, "params": {"unsupported": "error"}},
    ]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        fields = {"seed": 1, "logit_bias": {}, "max_tokens": 3}
        got = await gateway.ask(chat(streamed, **fields))
        assert got.headers["x-interlock-dropped"] == "logit_bias, seed"
        assert gateway.outcome.dropped == ("logit_bias", "seed")
        assert "seed" not in upstream.seen[0].body
        assert upstream.seen[0].body["max_completion_tokens"] == 3
        assert "x-interlock-dropped" not in (await gateway.ask(chat(streamed, max_tokens=3))).headers
        got = await gateway.ask(chat(streamed, model="strict", **fields))
        assert (got.status, got.error["code"]) == (400, "unsupported_parameter")
        assert got.error["param"] == "logit_bias"
        assert len(upstream.seen) == 2

    play(tmp_path, scenario, scripts={"one": served(streamed)}, providers=quirks, more=more)
