"""``interlock providers``: what it lists and shows without a network, and what it tells those who cannot go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import cli

PROVIDERS = """\
version: 1
kind: provider
name: acme
dialect: openai-chat
also_speaks: [openai-responses]
base_url: http://127.0.0.1:9/v1
auth: {scheme: bearer, secret: {env: ACME_KEY}}
models:
  big: {model: acme-big-2, context_window: 131072, max_output: 8192, supports: [stream, tools]}
---
version: 1
kind: provider
name: program
dialect: claude-code
transport: process
command: [no-such-program]
models: {one: {}}
---
version: 1
kind: provider
name: people
dialect: openai-chat
transport: queue
models: {person: {}}
---
version: 1
kind: provider
name: signed
dialect: bedrock-converse
base_url: http://127.0.0.1:9
models: {one: {}}
"""
ROUTE = "version: 1\nkind: route\nname: r\nstep: {fallback: [acme/big, program/one, people/person, signed/one]}\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("ACME_KEY", raising=False)
    for name, text in (("providers.d/all.yaml", PROVIDERS), ("policies/r.yaml", ROUTE)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path)


def providers(*args: str) -> Result:
    return CliRunner().invoke(cli, ["providers", *args])


def test_the_list_says_who_is_ready(config: str) -> None:
    rows = {line.split()[0]: line.split() for line in providers("list", "--config", config).stdout.splitlines()}
    assert rows["acme"][:5] == ["acme", "cloud", "openai-chat", "1", "no"]
    assert rows["program"][4] == "no"
    assert rows["people"][4] == "yes"
    assert "groq" not in rows


def test_the_catalogue_is_listed_on_demand(config: str) -> None:
    said = providers("list", "--all", "--config", config, "--format", "json").stdout
    rows = {row["id"]: row for row in json.loads(said)}
    assert rows["groq"]["source"] == "catalogue"
    assert rows["acme"]["source"] == "configuration"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("acme", ["openai-chat, openai-responses", "secret env ACME_KEY (not set)", "acme-big-2", "131,072"]),
        ("program", ["transport process", "the program no-such-program (not installed)"]),
        ("people", ["transport queue", "scheme none"]),
        ("groq", ["(cloud, catalogue)", "secret env GROQ_API_KEY\n"]),
    ],
)
def test_one_is_shown_with_its_sign_in_and_its_models(config: str, name: str, lines: list[str]) -> None:
    said = providers("show", name, "--config", config)
    assert said.exit_code == 0
    for line in lines:
        assert line in said.stdout


@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        (("show", "acmee"), 'there is no provider "acmee"', 'did you mean "acme"?'),
        (("test", "acmee"), 'there is no provider "acmee"', 'did you mean "acme"?'),
        (("test", "acme"), "acme/big: unauthorized", "set the environment variable ACME_KEY"),
        (("test", "program"), "program/one: unauthorized", "install the program 'no-such-program'"),
        (("test", "people"), 'behind "people" are people', "POST /api/v1/providers/people/test"),
        (("models", "signed"), "bedrock-converse has no list of models", "its models are those that you declare"),
        (("models", "people"), "a person has no list of models", "its models are those that you declare"),
        (("models", "acme"), "there is no credential", "set the environment variable ACME_KEY"),
    ],
)
def test_who_cannot_go_on_is_told_what_to_do(config: str, words: tuple[str, ...], message: str, remedy: str) -> None:
    said = providers(*words, "--config", config)
    assert said.exit_code in (1, 2)
    assert message in said.stderr
    assert remedy in said.stderr


def test_a_service_that_is_down_is_named_with_its_address(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "a-key-of-acme")
    said = providers("test", "acme", "--config", config)
    assert said.exit_code == 1
    assert "connection" in said.stderr
    assert "is http://127.0.0.1:9/v1 the right address" in said.stderr
    assert "a-key-of-acme" not in said.output
