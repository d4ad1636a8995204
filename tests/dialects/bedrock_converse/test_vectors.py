"""Embeddings and reranking: each model in the body of its maker."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects import dialects, link
from engine.exchange import OutcomeClass, UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest, Ranked, RerankReply, RerankRequest

from ..play import encode, shape, tree
from ..recordings import cassette

NAME = "bedrock-converse"
CODECS: Any = dialects()[NAME].codecs
EMBED, RANK = CODECS["embeddings"], CODECS["rerank"]
TITAN, NOVA, COHERE = "amazon.titan-embed-text-v2:0", "amazon.nova-2-multimodal-embeddings-v1:0", "cohere.embed-v4:0"


def write(model: str, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    written = EMBED.write_request(EmbedRequest(origin="openai-chat", **fields), shape(model))
    return tree(written.body), written.dropped


def test_bodies_by_maker() -> None:
    assert write(TITAN, input=["a"], dimensions=256, user="u") == ({"inputText": "a", "dimensions": 256}, ["user"])
    assert write(COHERE, input=["a", "b"], dimensions=256, purpose="search_query") == (
        {"texts": ["a", "b"], "input_type": "search_query", "output_dimension": 256},
        [],
    )
    assert write(COHERE, input=["a"])[0]["input_type"] == "search_document"
    assert write(NOVA, input=["a"], dimensions=256, purpose="search_query")[0] == {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": "TEXT_RETRIEVAL",
            "text": {"truncationMode": "NONE", "value": "a"},
            "embeddingDimension": 256,
        },
    }


@pytest.mark.parametrize(("model", "texts"), [(TITAN, ["a", "b"]), (NOVA, ["a", "b"]), (COHERE, [[1, 2]]), (TITAN, [])])
def test_what_cannot_be_embedded(model: str, texts: list[Any]) -> None:
    with pytest.raises(UncarriedError) as caught:
        write(model, input=texts)
    assert caught.value.param == "input"


@pytest.mark.parametrize(
    ("body", "vectors", "usage"),
    [
        ({"embedding": [1.0], "inputTextTokenCount": 4}, [[1.0]], Usage(4)),
        ({"embeddings": [{"embeddingType": "TEXT", "embedding": [1.0]}]}, [[1.0]], None),
        ({"embeddings": [[1.0], [2.0]], "id": "x"}, [[1.0], [2.0]], None),
        ({"embeddings": {"float": [[1.0], [2.0]]}}, [[1.0], [2.0]], None),
    ],
)
def test_replies(body: Any, vectors: Any, usage: Usage | None) -> None:
    assert EMBED.read_reply(encode(body)) == EmbedReply(vectors, usage=usage, origin=NAME)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"embeddings": []}', b'{"embeddings": [5]}', b'{"message": "x"}']
)
def test_what_is_no_reply(body: bytes) -> None:
    for codec in (EMBED, RANK):
        assert isinstance(codec.read_reply(body), Verdict)


def test_a_recorded_embedding() -> None:
    told = cassette(NAME, "titan-embedding")
    request = EMBED.read_request(told.request)
    assert (request.dimensions, request.extra) == (256, {"normalize": True})
    assert tree(EMBED.write_request(request, shape(TITAN)).body) == told.request
    reply = EMBED.read_reply(told.body)
    assert (len(reply.vectors[0]), reply.usage) == (256, Usage(11))
    assert EMBED.read_reply(encode(EMBED.write_reply(reply, request))) == reply


@pytest.mark.parametrize(("model", "texts"), [(NOVA, ["a"]), (COHERE, ["a", "b"])])
def test_requests_survive_the_canonical_form(model: str, texts: list[Any]) -> None:
    body, _ = write(model, input=texts, dimensions=256, purpose="search_query")
    assert tree(EMBED.write_request(EMBED.read_request(body), shape(model)).body) == body


def test_ranking() -> None:
    request = RerankRequest("m", "q", ["a", {"text": "b"}], 1, True, origin="cohere")
    written = RANK.write_request(request, shape("cohere.rerank-v3-5:0"))
    assert written.body == {"query": "q", "documents": ["a", "b"], "top_n": 1, "api_version": 2}
    assert written.dropped == ["return_documents"]
    assert "api_version" not in RANK.write_request(request, shape("amazon.rerank-v1:0")).body
    reply = RANK.read_reply(b'{"results":[{"index":1,"relevance_score":0.9},{"index":"x"}]}')
    assert reply == RerankReply([Ranked(1, 0.9)], origin=NAME)
    assert RANK.read_reply(encode(RANK.write_reply(reply, request))) == reply
    assert RANK.read_request(written.body) == RerankRequest("", "q", ["a", "b"], 1, origin=NAME)


def test_clients_of_openai_reach_them() -> None:
    assert link("openai-chat", NAME, "embeddings") is not None
    assert EMBED.read_reply(b"<html>").outcome_class is OutcomeClass.GARBLED
