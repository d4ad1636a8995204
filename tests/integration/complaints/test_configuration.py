"""Complaints 1 to 7, 20 and 21: who decides what is configured, and what becomes of mistakes. See README.md here."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import Engine
from engine.compiler import compile_folder
from engine.diagnostics import render_human

from ..gateway import Gateway, chat, configuration, environ, play
from ..upstream import Upstream, error, served, until, whole

TIMEOUT = 10.0


def written(folder: Path, documents: list[dict[str, Any]]) -> Path:
    """A configuration folder of these documents; JSON is YAML."""
    file = folder / "policies" / "all.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join("---\n" + json.dumps(document, indent=1) + "\n" for document in documents))
    return folder


# -- 1: what was changed by a page or an API wins over the deployed files ------------------------------------------


def test_01_a_deployed_file_wins_over_what_was_changed_by_api(tmp_path: Path) -> None:
    """An edit by API is an edit of the file; the next deployment of that file is what runs, with nothing to undo."""
    folder = configuration(tmp_path, 9)
    deployed = {
        "version": 1,
        "kind": "provider",
        "name": "four",
        "dialect": "openai-chat",
        "base_url": "http://127.0.0.1:9/deployed/v1",
        "models": {"m": {}},
    }
    file = folder / "providers.d" / "four.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps(deployed))

    async def main() -> None:
        async with Engine.open(folder, environ=environ(), watch=False) as engine:
            transport = httpx.ASGITransport(engine.asgi())
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                before = engine.graph.fingerprint
                change = {"text_config": {"model": "by-api"}}
                assert (await client.put("/api/v1/config/providers/four", json=change)).status_code == 200
                assert engine.graph.fingerprint != before
                assert "by-api" in file.read_text()
                file.write_text(json.dumps(deployed))
                await engine.reload()
                assert engine.graph.fingerprint == before
                assert [target for target in engine.graph.targets if target.startswith("four/")] == ["four/m"]

    asyncio.run(main())


# -- 2: an edit of some field has no effect -------------------------------------------------------------------------

#: One document of each kind that is acted on, with every kind of value.
EVERYTHING: list[dict[str, Any]] = [
    {
        "version": 1,
        "kind": "provider",
        "name": "acme",
        "category": "cloud",
        "dialect": "openai-chat",
        "base_url": "https://acme.example/v1",
        "auth": {"scheme": "header", "name": "x-key", "secret": {"env": "ONE_KEY"}},
        "headers": {"x-team": "a"},
        "labels": {"region": "us"},
        "limits": [{"requests": 30, "per": "1m"}, {"tokens": 6000, "per": "1m"}, {"concurrency": 16}],
        "models": {
            "m": {
                "model": "acme-m",
                "context_window": 1000,
                "max_output": 100,
                "supports": ["chat", "stream"],
                "labels": {"tier": 1},
                "price": {"input": 1.0, "output": 2.0, "cached_input": 0.5, "request": 0.1},
            },
            "n": {"context_window": 2000, "supports": ["chat", "stream"], "price": {"input": 1, "output": 1}},
        },
    },
    {
        "version": 1,
        "kind": "route",
        "name": "r",
        "match": {"model": ["r", "s-*"], "when": {"metadata.tier": {"in": ["free"]}, "input_tokens": {"lt": 500}}},
        "priority": 3,
        "step": {
            "fallback": {
                "steps": [
                    {
                        "target": "acme/m",
                        "params": {"set": {"seed": 7}, "default": {"temperature": 0.5}},
                        "timeouts": {"first_token": "3s"},
                    },
                    {
                        "split": {
                            "name": "trial",
                            "key": "user",
                            "variants": {"a": {"weight": 9, "step": "acme/m"}, "b": {"weight": 1, "step": "acme/n"}},
                            "pins": {"u-1": "a"},
                        }
                    },
                    {"balance": {"by": "weighted", "steps": [{"weight": 3, "step": "acme/m"}, {"step": "acme/n"}]}},
                    {"reject": {"status": 451, "message": "not here"}},
                ],
                "also_on": ["content_refused"],
            }
        },
    },
    {
        "version": 1,
        "kind": "policy",
        "name": "p",
        "applies_to": {"all": True},
        "retry": {"max_attempts": 7, "per_target": 3, "backoff": {"initial": "100ms", "max": "2s"}, "budget": "30%"},
        "timeouts": {"connect": "1s", "first_token": "9s", "idle": "8s", "attempt": "20s", "total": "60s"},
        "breaker": {
            "window": "20s",
            "min_requests": 5,
            "error_rate": "40%",
            "open_for": "4s",
            "max_open_for": "1m",
            "when_all_open": "reject",
        },
        "params": {"set": {"top_p": 0.5}, "default": {"n": 1}, "unsupported": "error"},
    },
    {
        "version": 1,
        "kind": "key",
        "name": "k",
        "sha256": "ab" * 32,
        "scopes": ["use"],
        "routes": ["r"],
        "metadata": {"team": "x"},
    },
]
#: Other values for words that cannot be changed at will.
OTHERS: dict[str, Any] = {
    "cloud": "local",
    "openai-chat": "ollama",
    "header": "bearer",
    "weighted": "least_busy",
    "content_refused": "invalid_request",
    "reject": "least_bad",
    "error": "drop",
    "use": "read",
    "user": "metadata.user",
    "acme/m": "acme/n",
    "acme/n": "acme/m",
    "ab" * 32: "cd" * 32,
    "free": "paid",
    "a": "b",
    "r": "s-1",
    "chat": "tools",
    "stream": "vision",
}
#: Two changes at once, where one alone would not be valid.
NOT_ALONE = {("auth", "scheme"), ("version",), ("kind",), ("all",)}


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values that are no mappings and no lists."""
    if isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, (*path, key))
    else:
        yield path


def other(value: Any, path: tuple[Any, ...]) -> Any:
    """Another valid value of the same kind."""
    if path == ("routes", 0):
        return "r*"
    if isinstance(value, str) and value in OTHERS and path[-1] not in ("name", "message", "env"):
        return OTHERS[value]
    if isinstance(value, (int, float)):
        return value + 1
    digits = "".join(c for c in value if c.isdigit())
    return value.replace(digits, str(int(digits) + 1), 1) if digits and value[0].isdigit() else f"{value}x"


CHANGES = [
    (number, path)
    for number, document in enumerate(EVERYTHING)
    for path in leaves(document)
    if not any(path[-len(alone) :] == alone for alone in NOT_ALONE)
]


@pytest.mark.parametrize(("number", "path"), CHANGES, ids=repr)
def test_02_an_edit_of_any_field_is_an_edit_of_what_runs(tmp_path: Path, number: int, path: tuple[Any, ...]) -> None:
    """A reload swaps what runs exactly if the fingerprint changed; so every field must be in it."""
    changed = copy.deepcopy(EVERYTHING)
    place: Any = changed[number]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = other(place[path[-1]], path)
    if path == ("name",) and number == 0:  # whoever names the provider has to follow
        changed = json.loads(json.dumps(changed).replace("acme/", f"{place['name']}/"))
    if path == ("name",) and number == 1:
        changed[3]["routes"] = [place["name"]]
    before = compile_folder(written(tmp_path / "before", EVERYTHING), environ=environ())
    after = compile_folder(written(tmp_path / "after", changed), environ=environ())
    assert before.graph is not None, render_human(before.diagnostics, documents=before.documents)
    assert after.graph is not None, render_human(after.diagnostics, documents=after.documents)
    assert after.graph.fingerprint != before.graph.fingerprint


# -- 3 and 21: mistakes that show only at the first request ---------------------------------------------------------

ROUTE: dict[str, Any] = {"version": 1, "kind": "route", "name": "chat", "step": "acme/m"}
PROVIDER = {
    "version": 1,
    "kind": "provider",
    "name": "acme",
    "dialect": "openai-chat",
    "base_url": "https://a.example/v1",
}
PROVIDER["models"] = {"m": {"supports": ["chat"]}}  # type: ignore[assignment]
POLICY: dict[str, Any] = {"version": 1, "kind": "policy", "name": "p", "retry": {"max_attempts": 2}}

#: A mistake, the documents that hold it, the code of its finding and what the finding must mention.
MISTAKES: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a misspelt key": ([PROVIDER, {**ROUTE, "prioritty": 1}], "S201", 'did you mean "priority"'),
    "a name declared twice": ([PROVIDER, ROUTE, ROUTE], "D127", "chat"),
    "an unknown strategy": (
        [PROVIDER, {**ROUTE, "step": {"balance": {"by": "latncy", "steps": ["acme/m"]}}}],
        "S204",
        "latency",
    ),
    "a secret that is not set": (
        [{**PROVIDER, "auth": {"scheme": "bearer", "secret": {"env": "NOBODY_SET_THIS"}}}, ROUTE],
        "W903",
        "NOBODY_SET_THIS",
    ),
    "a misspelt target": ([PROVIDER, {**ROUTE, "step": "acme/n"}], "R301", "acme/m"),
    "a value of another type": ([PROVIDER, {**ROUTE, "priority": "high"}], "S203", "priority"),
    "a fallback to a route that is not there": ([PROVIDER, {**ROUTE, "step": {"route": "chta"}}], "R303", "chta"),
    "a policy for a route that is not there": (
        [PROVIDER, ROUTE, {**POLICY, "applies_to": {"routes": ["chta"]}}],
        "R303",
        "chat",
    ),
    "a policy for targets that no glob finds": (
        [PROVIDER, ROUTE, {**POLICY, "applies_to": {"targets": ["acne/*"]}}],
        "P401",
        "acne",
    ),
    "a limit for a model that nobody asks for": (
        [
            PROVIDER,
            ROUTE,
            {
                "version": 1,
                "kind": "limit",
                "name": "l",
                "when": {"model": "chta"},
                "limits": [{"tokens": 5, "per": "1m"}],
            },
        ],
        "P401",
        "chta",
    ),
    "routes in a circle": (
        [
            PROVIDER,
            {**ROUTE, "step": {"route": "b"}},
            {**ROUTE, "name": "b", "step": {"fallback": ["acme/m", {"route": "chat"}]}},
        ],
        "R304",
        "chat",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_03_07_21_a_mistake_is_found_before_any_request_with_its_place_and_remedy(tmp_path: Path, name: str) -> None:
    documents, code, mention = MISTAKES[name]
    result = compile_folder(written(tmp_path, documents), environ={})
    found = [d for d in result.diagnostics if d.code == code]
    assert found, [(d.code, d.summary) for d in result.diagnostics]
    assert found[0].line > 1
    assert found[0].file == "policies/all.yaml"
    assert found[0].hint
    assert mention in render_human(found, documents=result.documents)
    assert (result.graph is None) == (found[0].severity == "error")


# -- 6: replicas disagree -------------------------------------------------------------------------------------------


def test_06_replicas_say_by_one_hash_what_they_run_and_agree_after_an_edit(tmp_path: Path) -> None:
    """The same files are the same fingerprint on every machine, and every answer carries it."""
    folders = [configuration(tmp_path / name, 9) for name in ("x", "y")]

    async def main() -> None:
        async with Engine.open(folders[0], environ=environ()) as one, Engine.open(folders[1], environ=environ()) as two:
            first = one.status()["running"]["fingerprint"]
            assert two.status()["running"]["fingerprint"] == first
            for folder in folders:
                configuration(folder, 9, step="two/m")
            async with asyncio.timeout(TIMEOUT):
                wanted = compile_folder(folders[0], environ=environ()).graph
                assert wanted is not None
                await asyncio.gather(*(engine.wait_for(wanted.fingerprint) for engine in (one, two)))
            assert one.status()["running"]["fingerprint"] == two.status()["running"]["fingerprint"]

    asyncio.run(main())


# -- 7: one malformed tool call and a circle of fallbacks wrote 456 MB of logs ---------------------------------------

BAD_CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": '}}],
}


def test_07_a_malformed_tool_call_is_answered_once_and_not_tried_around(tmp_path: Path) -> None:
    """What our own translation cannot do is no failure of a provider: nobody is asked again because of it."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        messages = [{"role": "user", "content": "Hi"}, BAD_CALL, {"role": "tool", "tool_call_id": "c", "content": "x"}]
        got = await gateway.ask(chat(messages=messages))
        assert len(upstream.seen) <= 1
        assert len(gateway.outcome.attempts) <= 1
        assert got.status in (200, 400)

    body = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn",
    }
    claude = {"dialect": "anthropic-messages"}
    play(
        tmp_path,
        scenario,
        scripts={
            "one": whole(200, {**body, "id": "m", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}),
            "two": served(False),
        },
        step={"fallback": ["one/m", "two/m"]},
        providers={"one": claude},
        models={"one": {"max_output": 100}},
    )


def test_07_however_much_an_upstream_says_a_record_of_it_is_short(tmp_path: Path) -> None:
    """A megabyte of error text, at every attempt: a line of the log stays a line."""
    tirade = "no " * 350_000

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert got.status == 502
        assert len(got.body) < 2_000
        assert len(upstream.seen) == 5
        assert all(len(attempt.detail) <= 2_000 for attempt in gateway.outcome.attempts)

    async def logged(gateway: Gateway, upstream: Upstream) -> None:
        await scenario(gateway, upstream)
        await until(gateway.log.getvalue)
        assert len(gateway.log.getvalue()) < 14_000

    scripts = {"one": error(500, tirade), "two": whole(500, tirade.encode(), "text/plain")}
    play(tmp_path, logged, scripts=scripts, step={"fallback": ["one/m", "two/m"]})


def test_20_what_has_no_effect_is_said(tmp_path: Path) -> None:
    """A target that nothing can lead to, a rule that another one hides: a finding, and never silence."""
    unreachable = {**ROUTE, "step": {"fallback": {"steps": ["acme/m", "acme/m"]}}}
    hidden = {**ROUTE, "name": "wide", "match": {"model": "*"}, "priority": 9}
    for documents, code in (([PROVIDER, unreachable], "W902"), ([PROVIDER, ROUTE, hidden], "P406")):
        folder = written(tmp_path / code, documents)
        assert code in {d.code for d in compile_folder(folder, environ={}).diagnostics}
