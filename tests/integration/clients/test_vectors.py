"""Embeddings by OpenAI's client and LangChain's, and rankings, from services of several protocols."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from openai import OpenAI

from ...dialects.recordings import cassette
from ..server.harness import PATIENCE, Server
from ..upstream import Answer, Seen, ThreadedUpstream, whole
from .conftest import ONCE, write
from .played import refusal

#: By dialect: the recording, where in it the first vector is, how many there are, and the tokens they cost.
VECTORS: dict[str, tuple[str, list[Any], int, int | None]] = {
    "bedrock-converse": ("titan-embedding", ["embedding"], 1, 11),
    "cohere": ("vectors", ["embeddings", "float", 0], 1, 7),
    "gemini": ("vectors", ["embeddings", 0, "values"], 3, None),
    "ollama": ("vectors", ["embeddings", 0], 1, 10),
    "openai-chat": ("packed-vectors", ["data", 0, "embedding"], 1, 4),
}
#: By dialect and recording, the places and scores: Cohere's, Voyage's and (llama.cpp's after) Jina's.
RANKED: dict[tuple[str, str], list[tuple[int, float]]] = {
    ("cohere", "rerank"): [(3, 0.9999989), (2, 0.9003547), (0, 0.6807725)],
    ("openai-chat", "ranking"): [(0, 0.69140625), (2, 0.494140625)],
    ("openai-chat", "ranking-negative"): [(2, 0.8224502801895142), (1, -4.761697769165039), (0, -8.374549865722656)],
}
DOCUMENTS = ["Paris is the capital of France.", "London is the capital of England.", "Berlin is in Germany."]


def recorded(dialect: str, name: str) -> bytes:
    return cassette("openai-chat-recorded" if dialect == "openai-chat" else dialect, name).body


def vector(dialect: str) -> list[float]:
    """The first vector, as the recording has it."""
    name, path, _, _ = VECTORS[dialect]
    found: Any = json.loads(recorded(dialect, name))
    for step in path:
        found = found[step]
    return list(memoryview(base64.b64decode(found)).cast("f")) if isinstance(found, str) else list(found)


class Vectors(ThreadedUpstream):
    """Plays the recording that the model names; asked for the model ``429``, it is too busy."""

    def __init__(self) -> None:
        super().__init__(**dict.fromkeys(VECTORS, self._play))

    def _play(self, seen: Seen) -> Answer:
        models = seen.body.get("model") or re.split(r"[/:]", seen.path)[2]
        return refusal(seen.account, 429) if models == "429" else whole(200, recorded(seen.account, models))


@pytest.fixture(scope="module")
def vectors() -> Iterator[Vectors]:
    with Vectors() as running:
        yield running


@pytest.fixture(scope="module")
def serving(vectors: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("vectors")
    names = {"429", *(row[0] for row in VECTORS.values()), *(name for _, name in RANKED)}
    models = {name: {"supports": ["embeddings", "rerank"]} for name in sorted(names)}
    documents: list[dict[str, Any]] = [
        {
            "kind": "provider",
            "name": dialect,
            "dialect": dialect,
            "base_url": f"http://127.0.0.1:{vectors.port}/{dialect}/v1",
            "auth": {"scheme": "none"},
            "models": models,
        }
        for dialect in VECTORS
    ]
    documents += [
        {"kind": "route", "name": f"{dialect}.{model}", "step": f"{dialect}/{model}"}
        for dialect in VECTORS
        for model in models
    ]
    documents.append({"kind": "policy", "name": "once", "applies_to": {"all": True}, **ONCE})
    with Server(write(folder, documents)) as running:
        yield running


@pytest.fixture
def sdk(serving: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{serving.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("dialect", sorted(VECTORS))
@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(sdk: OpenAI, dialect: str, form: Any) -> None:
    """The client asks for packed vectors on its own, and unpacks them, to four bytes a number."""
    name, _, count, tokens = VECTORS[dialect]
    options = {} if form == "base64" else {"encoding_format": form}
    reply = sdk.embeddings.create(model=f"{dialect}.{name}", input=["text"] * count, **options)
    assert [entry.index for entry in reply.data] == list(range(count))
    if dialect != "openai-chat" or form == "base64":  # which is passed on as it was recorded
        assert reply.data[0].embedding == pytest.approx(vector(dialect), rel=1e-6)
    usage: Any = reply.usage  # ``None`` where the service says nothing of it
    assert (usage and usage.prompt_tokens) == tokens


def test_several_texts_where_the_service_takes_one(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        sdk.embeddings.create(model="bedrock-converse.titan-embedding", input=["a", "b"])


@pytest.mark.parametrize("dialect", sorted(VECTORS.keys() - {"bedrock-converse"}))
def test_embeddings_that_are_refused(sdk: OpenAI, dialect: str) -> None:
    with pytest.raises(openai.RateLimitError):
        sdk.embeddings.create(model=f"{dialect}.429", input="text")


@pytest.mark.parametrize("dialect", ["cohere", "ollama"])
def test_langchains_embeddings(serving: Server, dialect: str) -> None:
    client = OpenAIEmbeddings(
        model=f"{dialect}.vectors", base_url=f"{serving.url}/v1", api_key="-", check_embedding_ctx_length=False
    )
    assert client.embed_query("text") == pytest.approx(vector(dialect), rel=1e-6)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("dialect", "name"), sorted(RANKED))
def test_rankings(serving: Server, vectors: Vectors, dialect: str, name: str, version: str) -> None:
    """In Cohere's shape, whatever the service calls its fields, and where Cohere's clients ask for it."""
    told = RANKED[dialect, name]
    body = {"model": f"{dialect}.{name}", "query": "Capital?", "documents": DOCUMENTS * 2, "top_n": len(told)}
    reply = httpx.post(f"{serving.url}/{version}/rerank", json=body, timeout=PATIENCE, trust_env=False).json()
    assert [(entry["index"], entry["relevance_score"]) for entry in reply["results"]] == told
    asked = vectors.seen[-1].body
    assert (asked["query"], asked["documents"], asked["top_n"]) == ("Capital?", DOCUMENTS * 2, len(told))


@pytest.mark.parametrize("dialect", ["cohere", "openai-chat"])
def test_rankings_that_are_refused(serving: Server, dialect: str) -> None:
    body = {"model": f"{dialect}.429", "query": "Capital?", "documents": DOCUMENTS}
    reply = httpx.post(f"{serving.url}/v1/rerank", json=body, timeout=PATIENCE, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limited")
