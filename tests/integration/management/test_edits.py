"""Changing providers by API: edits of the files, compiled first, kept readable, refused where they must be."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import Engine
from engine.ledger.store import Store

from .conftest import KEY, Manage

PUT = "/api/v1/config/providers/service"


def put(managing: Manage, body: Any, path: str = PUT, **headers: str) -> tuple[httpx.Response, str]:
    async def go() -> tuple[httpx.Response, str]:
        async with managing() as (client, engine):
            reply = await client.put(path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
            return reply, engine.graph.fingerprint

    return asyncio.run(go())


def files(config: Path) -> dict[str, str]:
    return {str(p.relative_to(config)): p.read_text() for p in sorted(config.rglob("*.yaml"))}


def test_a_change_is_saved_with_its_comments_and_goes_live(managing: Manage, config: Path) -> None:
    before = files(config)["providers.d/service.yaml"]
    body = {"text_config": {"model": "model-l", "temperature": 0.2, "api_key": "${OTHER_KEY}"}}
    reply, live = put(managing, body)
    assert reply.status_code == 200
    said = reply.json()
    assert said["saved"] is True
    assert said["fingerprint"] == live
    assert said["files"] == ["policies/provider-service.yaml", "providers.d/service.yaml"]
    after = files(config)
    text = after["providers.d/service.yaml"]
    assert "# What we use for drafts." in text
    assert "# the service in the basement" in text
    assert "env: OTHER_KEY" in text
    assert "model-l" in text
    kept = [line for line in before.splitlines() if "auth" not in line]
    assert [line for line in kept if line not in text.splitlines()] == []
    assert "temperature: 0.2" in after["policies/provider-service.yaml"]
    assert "+  model-l:" in said["patch"]


def test_the_audit_says_who_changed_what(managing: Manage, config: Path) -> None:
    reply, live = put(managing, {"text_config": {"model": "model-l"}})
    (row,) = [json.loads(line) for line in (config / ".interlock/audit.jsonl").read_text().splitlines()]
    assert row["provider"] == "service"
    assert row["after"] == live
    assert row["before"] != live
    assert row["patch"] == reply.json()["patch"]
    assert row["at"].endswith("+00:00")


def test_the_ledger_says_it_too(config: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'ledger.sqlite'}"

    async def go() -> str:
        async with (
            Engine.open(config, environ={"SERVICE_KEY": KEY}, watch=False, ledger=database) as engine,
            httpx.AsyncClient(transport=engine.transport(), base_url="http://interlock") as client,
        ):
            before = engine.graph.fingerprint
            await client.put(PUT, json={"text_config": {"model": "model-l"}})
            return before

    before = asyncio.run(go())
    with closing(Store(database)) as store:
        (change,) = store.rows("config_changes")
        (audit,) = [json.loads(line) for line in (config / ".interlock/audit.jsonl").read_text().splitlines()]
        assert {name: change[name] for name in audit if name != "at"} == {k: v for k, v in audit.items() if k != "at"}
        assert [row["fingerprint"] for row in store.rows("revisions")] == [before, change["after"]]


def test_a_provider_of_the_catalogue_is_added(managing: Manage, config: Path) -> None:
    reply, _ = put(managing, {"text_config": {"api_key": {"env": "G_KEY"}}}, "/api/v1/config/providers/groq")
    assert reply.status_code == 200
    text = (config / "providers.d/groq.yaml").read_text()
    assert "base_url: https://api.groq.com/openai/v1" in text
    assert "env: G_KEY" in text


def test_a_service_nobody_knows_is_added(managing: Manage, config: Path) -> None:
    body = {
        "text_config": {
            "base_url": "https://llm.example.com/v1",
            "api_key": {"file": "/run/secrets/x"},
            "model": "m-1",
        },
        "embedding_config": {"model": "e-1"},
    }
    reply, _ = put(managing, body, "/api/v1/config/providers/mine")
    assert reply.status_code == 200
    text = (config / "providers.d/mine.yaml").read_text()
    assert "embeddings" in text
    assert "file: /run/secrets/x" in text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text_config": {"api_key": "sk-literal-secret"}}, 400, "literal_secret"),
        ({"text_config": {"base_url": "https://elsewhere.example/v1"}}, 400, "secret_required"),
        ({"text_config": {"surprise": 1}}, 400, "invalid_request"),
        ({"text_config": {"model": ""}}, 400, "invalid_request"),
        ({"text_config": {"category": "moon"}}, 422, "invalid_configuration"),
        ({"text_config": {"dialect": "no-such"}}, 422, "invalid_configuration"),
        ({"text_config": {"models": {"small": None}}}, 422, "invalid_configuration"),
        ({}, 400, "invalid_request"),
        ([], 400, "invalid_request"),
    ],
)
def test_what_must_not_be_saved_is_refused_and_nothing_changes(
    managing: Manage, config: Path, body: Any, status: int, code: str
) -> None:
    before = files(config)
    reply, _ = put(managing, body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert files(config) == before
    assert "sk-literal-secret" not in reply.text
    if status == 422:
        assert reply.json()["diagnostics"]
    assert not (config / ".interlock").exists()


def test_if_match_holds_the_edit_to_what_was_read(managing: Manage, config: Path) -> None:
    before = files(config)
    reply, live = put(managing, {"text_config": {"model": "x"}}, if_match='"0000000000000000"')
    assert reply.status_code == 412
    assert files(config) == before
    reply, _ = put(managing, {"text_config": {"model": "x"}}, if_match=f'"{live}"')
    assert reply.status_code == 200


@pytest.mark.parametrize("name", ["..", "a/b", "UPPER", "%2e%2e", "a" * 100])
def test_a_name_that_is_none_leaves_the_folder_alone(managing: Manage, config: Path, name: str) -> None:
    before = files(config)
    reply, _ = put(managing, {"text_config": {"model": "x"}}, f"/api/v1/config/providers/{name}")
    assert reply.status_code in (400, 404)
    assert files(config) == before


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def repository(config: Path) -> Path:
    git(config, "init", "-q", "-b", "main")
    git(config, "add", ".")
    git(config, "commit", "-qm", "first")
    return config


def test_a_folder_of_git_is_answered_with_the_patch(managing: Manage, repository: Path, tmp_path: Path) -> None:
    before = files(repository)
    reply, _ = put(managing, {"text_config": {"model": "model-l"}})
    assert reply.status_code == 409
    assert files(repository) == before
    patch = tmp_path / "edit.patch"
    patch.write_text(reply.json()["patch"])
    git(repository, "apply", "--check", str(patch))


def test_told_to_it_commits_to_a_branch(managing: Manage, repository: Path) -> None:
    settings = "version: 1\nkind: settings\nname: server\nmanagement: {edits: branch}\n"
    (repository / "policies/settings.yaml").write_text(settings)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "settings")
    before = files(repository)
    reply, _ = put(managing, {"text_config": {"model": "model-l"}})
    assert reply.status_code == 202
    branch = reply.json()["branch"]
    assert files(repository) == before
    assert git(repository, "status", "--porcelain") == ""
    assert "model-l" in git(repository, "show", f"{branch}:providers.d/service.yaml")
    assert git(repository, "diff", "--name-only", "main", branch).split() == ["providers.d/service.yaml"]
