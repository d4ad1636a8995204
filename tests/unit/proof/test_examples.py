"""Tests of a configuration: what each form of fault, state and expectation means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.cli.tested import Played, play_all

PROVIDERS = """
version: 1
kind: provider
name: {name}
category: cloud
dialect: openai-chat
base_url: http://{name}.example/v1
limits: {limits}
models:
  m: {{supports: [tools, stream], context_window: 8000, max_output: 500, price: {{input: 1, output: 4}}}}
"""
ROUTE = "version: 1\nkind: route\nname: chat\nstep: {fallback: [a/m, b/m]}\n---\n"


def played(folder: Path, test: str, *, more: str = "", limits: str = "[]") -> Played:
    (folder / "providers.d").mkdir()
    (folder / "policies").mkdir()
    for name in "ab":
        text = PROVIDERS.format(name=name, limits=limits if name == "a" else "[]")
        (folder / "providers.d" / f"{name}.yaml").write_text(text)
    (folder / "policies" / "all.yaml").write_text(f"{ROUTE}{more}version: 1\nkind: test\nname: t\n{test}")
    return play_all(folder, (), (), None)


def mismatches(found: Played) -> list[tuple[str, str, str]]:
    (example,) = found.examples
    return [(one.what, one.expected, one.actual) for step in example.steps for one in step.mismatches]


HOLDS = {
    "served": "request: {model: chat}\n"
    "expect: {route: chat, attempts: [a/m], target: a/m, outcome: served, status: 200}",
    "fails over": "request: {model: chat}\nfaults: [{target: a/m, outcome: garbled}]\nexpect: {attempts: [a/m, b/m]}",
    "retries": "request: {model: chat}\nfaults: [{target: a/m, outcome: overloaded, times: 1}]\n"
    "expect: {attempts: [a/m, a/m], outcome: served}",
    "not the caller's fault twice": "request: {model: chat}\nfaults: [{target: a/m, outcome: invalid_request}]\n"
    "expect: {attempts: [a/m], outcome: invalid_request, status: 400}",
    "cut after output": "request: {model: chat, stream: true}\n"
    "faults: [{target: a/m, outcome: garbled, after_output: true}]\n"
    "expect: {attempts: [a/m], outcome: garbled, status: 200}",
    "deadline": "request: {model: chat}\nfaults: [{target: '*', outcome: timeout, after: 100s}]\n"
    "expect: {attempts: [a/m, b/m], outcome: deadline, status: 504}",
    "open by declaration": "request: {model: chat}\nstate: {open: [a/m]}\nexpect: {attempts: [b/m]}",
    "no credential": "request: {model: chat}\nstate: {no_credential: [a]}\nexpect: {attempts: [b/m]}",
    "too long": "request: {model: chat, input_tokens: 9000}\nexpect: {attempts: [], outcome: context_exceeded}",
    "no route": "request: {model: other}\nexpect: {outcome: unroutable, status: 404}",
    "money": "request: {model: chat, input_tokens: 1000, output_tokens: 500}\nexpect: {max_usd: 0.003}",
    "held by Retry-After": "scenario:\n"
    "- request: {model: chat}\n  faults: [{target: a/m, outcome: rate_limited, retry_after: 30s}]\n"
    "  expect: {attempts: [a/m, b/m]}\n"
    "- after: 29s\n  request: {model: chat}\n  expect: {attempts: [b/m]}\n"
    "- after: 2s\n  request: {model: chat}\n  expect: {attempts: [a/m]}\n",
}


@pytest.mark.parametrize("test", HOLDS.values(), ids=HOLDS.keys())
def test_holds(test: str, tmp_path: Path) -> None:
    found = played(tmp_path, test)
    assert mismatches(found) == []
    assert found.holds


FAILS: dict[str, tuple[str, tuple[str, str, str]]] = {
    "attempts": ("{attempts: [b/m]}", ("attempts", "b/m", "a/m")),
    "outcome": ("{outcome: timeout}", ("outcome", "timeout", "served")),
    "status": ("{status: 500}", ("status", "500", "200")),
    "target": ("{target: b/m}", ("target", "b/m", "a/m")),
    "money": ("{max_usd: 0.0001}", ("max_usd", "at most 0.0001 USD", "0.002 USD")),
    "variants": ("{variants: {trial: new}}", ("variants", "trial: new", "trial: not reached")),
}


@pytest.mark.parametrize(("expect", "said"), FAILS.values(), ids=FAILS.keys())
def test_says_what_came_instead(expect: str, said: tuple[str, str, str], tmp_path: Path) -> None:
    found = played(tmp_path, f"request: {{model: chat}}\nexpect: {expect}")
    assert mismatches(found) == [said]
    assert not found.holds


def test_a_limit_of_a_provider_is_passed_over_and_waited_for(tmp_path: Path) -> None:
    test = (
        "scenario:\n"
        "- request: {model: chat}\n  repeat: 2\n  expect: {attempts: [a/m]}\n"
        "- request: {model: chat}\n  expect: {attempts: [b/m]}\n"
        "- request: {model: chat}\n  state: {no_credential: [b]}\n  expect: {attempts: [a/m], outcome: served}\n"
    )
    found = played(tmp_path, test, limits="[{requests: 2, per: 10s}]")
    assert mismatches(found) == []
    assert 9 < found.examples[0].steps[-1].course.seconds < 12, "the last request waited for room"


def test_a_limit_of_callers_refuses(tmp_path: Path) -> None:
    limit = "version: 1\nkind: limit\nname: few\nlimits: [{requests: 2, per: 1m}]\n---\n"
    test = (
        "scenario:\n"
        "- request: {model: chat}\n  repeat: 2\n  expect: {outcome: served}\n"
        "- request: {model: chat}\n  expect: {outcome: over_limit, status: 429, attempts: []}\n"
        "- after: 61s\n  request: {model: chat}\n  expect: {outcome: served}\n"
    )
    assert mismatches(played(tmp_path, test, more=limit)) == []


def test_one_test_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    again = "request: {model: chat}\nfaults: [{target: a/m, outcome: unauthorized}]\nexpect: {attempts: [a/m, b/m]}"
    found = played(tmp_path, f"{again}\n---\nversion: 1\nkind: test\nname: u\n{again}")
    assert found.holds
    assert len(found.examples) == 2


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("expect: {status: 200}", "S202"),
        ("request: {model: chat}", "S202"),
        ("request: {model: chat}\nexpect: {status: 200}\nscenario: [{request: {model: chat}}]", "S208"),
        ("scenario: [{request: {model: chat}}]", "S202"),
        ("scenario: [{request: {model: chat}, expect: {attempts: [c/m]}}]", "R301"),
    ],
)
def test_what_is_wrong_with_a_test(test: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended: Any = None
    try:
        played(tmp_path, test)
    except Exception as problem:
        ended = problem
    assert getattr(ended, "exit_code", None) == 1
    assert f"error[{code}]" in capsys.readouterr().err


def test_coverage_is_of_routes_steps_failovers(tmp_path: Path) -> None:
    found = played(tmp_path, "request: {model: chat}\nexpect: {status: 200}")
    assert [(item.kind, item.path) for item in found.coverage.missing()] == [
        ("failover", "fallback[1]"),
        ("step", "fallback[1]"),
    ]
    assert found.coverage.share == 0.5
