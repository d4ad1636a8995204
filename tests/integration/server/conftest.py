"""One upstream and one server process for most tests of this folder; configurations made to measure for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import Server
from .upstream import Models

PROVIDER = """\
version: 1
kind: provider
name: near
category: local
dialect: openai-chat
base_url: {url}
auth: {auth}
models:
  words: {{supports: [chat, stream, tools, vision, json_schema, logprobs]}}
  slow: {{supports: [chat, stream]}}
  limited: {{supports: [chat, stream]}}
  picky: {{supports: [chat, stream]}}
  broke: {{supports: [chat, stream]}}
  tattling: {{supports: [chat, stream]}}
  cut: {{supports: [chat, stream]}}
  vectors: {{model: upstream-vectors, supports: [embeddings]}}
  text: {{supports: [completions, stream]}}
  judge: {{supports: [moderations]}}
  painter: {{supports: [images]}}
  voice: {{model: upstream-voice, supports: [audio]}}
"""
ROUTES = """\
version: 1
kind: policy
name: everywhere
applies_to: {all: true}
retry: {max_attempts: 2, per_target: 1}
---
{version: 1, kind: route, name: chat, match: {model: [chat, "gpt-4o*"]}, step: near/words}
---
{version: 1, kind: route, name: slow, step: near/slow}
---
{version: 1, kind: route, name: limited, step: near/limited}
---
{version: 1, kind: route, name: picky, step: near/picky}
---
{version: 1, kind: route, name: broke, step: near/broke}
---
{version: 1, kind: route, name: tattling, step: near/tattling}
---
{version: 1, kind: route, name: cut, step: near/cut}
---
{version: 1, kind: route, name: vectors, step: near/vectors}
---
{version: 1, kind: route, name: text, step: near/text}
---
{version: 1, kind: route, name: judge, step: near/judge}
---
{version: 1, kind: route, name: painter, step: near/painter}
---
{version: 1, kind: route, name: voice, step: near/voice}
---
version: 1
kind: route
name: refusing
step: {reject: {status: 451, message: not in this country}}
---
version: 1
kind: route
name: tiered
step:
  switch:
    cases: [{when: {metadata.tier: paid}, step: near/words}]
    default: {reject: {status: 402, message: free callers are not served}}
"""

WriteConfig = Callable[..., Path]


@pytest.fixture(scope="session")
def upstream() -> Iterator[Models]:
    with Models() as running:
        yield running


@pytest.fixture(scope="session")
def write_config(upstream: Models, tmp_path_factory: pytest.TempPathFactory) -> WriteConfig:
    """``write_config(more="", auth="{scheme: none}")``: a configuration folder, with more documents appended."""

    def write(more: str = "", auth: str = "{scheme: none}") -> Path:
        folder = tmp_path_factory.mktemp("config")
        (folder / "providers.d").mkdir()
        (folder / "policies").mkdir()
        provider = PROVIDER.format(url=upstream.base_url, auth=auth)
        (folder / "providers.d" / "near.yaml").write_text(provider)
        (folder / "policies" / "all.yaml").write_text(ROUTES + ("---\n" + more if more else ""))
        return folder

    return write


@pytest.fixture(scope="session")
def server(write_config: WriteConfig) -> Iterator[Server]:
    """A server without keys, shared: tests leave it as they found it."""
    with Server(write_config()) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(upstream: Models) -> Iterator[None]:
    """What the upstream saw is one test's own."""
    upstream.seen.clear()
    upstream.gate.clear()
    yield
    upstream.gate.set()
