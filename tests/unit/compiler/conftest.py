"""Compiles a few documents, written as text, beside two providers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine.compiler import Compilation, CompilerCache, compile_documents
from engine.documents import Document, load_text

PROVIDERS = """\
version: 1
kind: provider
name: acme
dialect: openai-chat
base_url: https://api.acme.example/v1/
labels: {region: us, tier: 1}
models:
  large: {model: acme-large, context_window: 100000, supports: [stream, tools], labels: {region: eu}}
  small: {context_window: 100000, supports: [stream, tools]}
  embed: {supports: [embeddings]}
---
version: 1
kind: provider
name: beta
dialect: openai-chat
base_url: https://beta.example/v1
models: {llama: {}, other: {}}
"""

Compiled = Callable[..., Compilation]


def route(name: str, step: str, match: str = "", priority: int = 0) -> str:
    """A route document."""
    lines = [f"---\nversion: 1\nkind: route\nname: {name}", f"priority: {priority}", f"step: {step}"]
    return "\n".join(lines + ([f"match: {match}"] if match else [])) + "\n"


def policy(name: str, applies_to: str, rules: str) -> str:
    """A policy document."""
    return f"---\nversion: 1\nkind: policy\nname: {name}\napplies_to: {applies_to}\n{rules}\n"


def documents(*texts: str) -> list[Document]:
    """The documents of the texts, which must be in order."""
    found: list[Document] = []
    for i, text in enumerate(texts):
        loaded, wrong = load_text(text, f"policies/{i}.yaml")
        assert wrong == []
        found += loaded
    return found


@pytest.fixture
def compiled() -> Compiled:
    """``compiled(*texts)``: the compilation of these documents and the providers."""

    def run(*texts: str, cache: CompilerCache | None = None, providers: str = PROVIDERS, **more: Any) -> Compilation:
        return compile_documents(documents(providers, *texts), cache=cache, environ={}, **more)

    return run


@pytest.fixture
def codes() -> Callable[[Compilation], Sequence[str]]:
    """The codes of a compilation, notes left out."""
    return lambda result: [d.code for d in result.diagnostics if d.severity != "note"]


@pytest.fixture
def write() -> Any:
    """The functions ``route`` and ``policy``."""

    class Write:
        route = staticmethod(route)
        policy = staticmethod(policy)
        providers = PROVIDERS

    return Write
