"""Cohere's embeddings and reranking, the latter as our clients speak it to us too."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.dialects.cohere import Cohere
from engine.dialects.protocol import Front
from engine.exchange import Call, OutcomeClass, UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest, Ranked, RerankReply, RerankRequest

from ..play import encode, shape, tree
from ..recordings import cassette

DIALECT = Cohere()
VECTORS, RERANK = DIALECT.codecs["embeddings"], DIALECT.codecs["rerank"]


def call_of(body: dict[str, Any]) -> Call:
    raw = {name: msgspec.Raw(encode(value)) for name, value in body.items()}
    return Call("r", "rerank", "/rerank", "m", kind="rerank", front="cohere", body=raw)


def test_paths() -> None:
    assert [DIALECT.path(kind, "m", False) for kind in ("chat", "embeddings", "rerank")] == [
        "/chat",
        "/embed",
        "/rerank",
    ]
    assert isinstance(DIALECT, Front)


# --- embeddings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "written", "dropped"),
    [
        (None, "search_document", []),
        ("search_query", "search_query", []),
        ("query", "search_query", []),
        ("semantic_similarity", "search_document", ["input_type"]),
    ],
)
def test_why_something_is_embedded_must_be_said(purpose: str | None, written: str, dropped: list[str]) -> None:
    found = VECTORS.write_request(EmbedRequest(input=["a"], purpose=purpose, dimensions=4), shape("embed-v4"))
    assert found.body == {
        "model": "embed-v4",
        "input_type": written,
        "texts": ["a"],
        "embedding_types": ["float"],
        "output_dimension": 4,
    }
    assert found.dropped == dropped


def test_vectors_in_base64_where_they_are_wanted_so() -> None:
    assert VECTORS.write_request(EmbedRequest(input=["a"], encoding="base64"), shape()).body["embedding_types"] == [
        "base64"
    ]
    reply = VECTORS.read_reply(encode({"embeddings": {"base64": ["AACAPw=="]}}))
    assert isinstance(reply, EmbedReply)
    assert reply.vectors == ["AACAPw=="]


def test_tokens_cannot_be_embedded() -> None:
    with pytest.raises(UncarriedError):
        VECTORS.write_request(EmbedRequest(input=[[1, 2]]), shape())


@pytest.mark.parametrize(
    ("embeddings", "vectors"),
    [
        ({"int8": [[1]], "float": [[0.5]]}, [[0.5]]),
        ({"int8": [[1], [2]]}, [[1], [2]]),
        ([[0.25]], [[0.25]]),
    ],
)
def test_vectors_of_whichever_type_came(embeddings: Any, vectors: list[Any]) -> None:
    body = {"embeddings": embeddings, "meta": {"billed_units": {"input_tokens": 3, "image_tokens": 2}}}
    reply = VECTORS.read_reply(encode(body))
    assert isinstance(reply, EmbedReply)
    assert (reply.vectors, reply.usage) == (vectors, Usage(input=5))


def test_requests_and_replies_of_embeddings_come_back() -> None:
    body = {
        "model": "m",
        "texts": ["a"],
        "input_type": "image",
        "embedding_types": ["int8", "float"],
        "truncate": "END",
    }
    assert tree(VECTORS.write_request(VECTORS.read_request(body), shape("m")).body) == body
    images = {"model": "m", "images": ["data:"], "input_type": "image", "embedding_types": ["float"]}
    assert tree(VECTORS.write_request(VECTORS.read_request(images), shape("m")).body) == images
    reply = EmbedReply([[0.5]], usage=Usage(input=3))
    again = VECTORS.read_reply(encode(VECTORS.write_reply(reply, EmbedRequest(input=["a"]))))
    assert isinstance(again, EmbedReply)
    assert (again.vectors, again.usage) == (reply.vectors, reply.usage)


# --- reranking -----------------------------------------------------------------------------------------------------


def test_what_is_asked_is_read() -> None:
    body = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "max_tokens_per_doc": 9}
    request = RERANK.read_request(body)
    assert request == RerankRequest("m", "q", ["a", {"text": "b"}], 1, None, {"max_tokens_per_doc": 9}, "cohere")
    assert RERANK.write_request(request, shape("up")).body == {**body, "model": "up", "documents": ["a", "b"]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "q"}, "documents"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": ["a", 3]}, "documents"),
    ],
)
def test_what_cannot_be_ranked_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(UncarriedError) as caught:
        RERANK.read_request(body)
    assert caught.value.param == param


def test_a_document_without_text_is_sent_as_json() -> None:
    request = RerankRequest(query="q", documents=[{"a": 1}], extra={"x": 1})
    written = RERANK.write_request(request, shape())
    assert (written.body["documents"], written.dropped) == (['{"a":1}'], ["x"])


def test_a_recorded_ranking() -> None:
    reply = RERANK.read_reply(cassette("cohere", "rerank").body)
    assert isinstance(reply, RerankReply)
    assert [(ranked.index, round(ranked.score, 2)) for ranked in reply.results] == [(3, 1.0), (2, 0.9), (0, 0.68)]
    assert reply.usage == Usage(searches=1)


def test_the_reply_is_one_for_clients_of_both() -> None:
    reply = RerankReply([Ranked(1, 0.9), Ranked(0, 0.1, "x")], "id-1", "up", Usage(input=7, searches=1))
    asked = RerankRequest(documents=["a", {"text": "b"}], return_documents=True)
    assert tree(RERANK.write_reply(reply, asked)) == {
        "id": "id-1",
        "model": "up",
        "object": "list",
        "results": [
            {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
            {"index": 0, "relevance_score": 0.1, "document": {"text": "x"}},
        ],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1, "input_tokens": 7}},
        "usage": {"total_tokens": 7, "prompt_tokens": 7},
    }
    plain = RERANK.write_reply(reply, RerankRequest(documents=["a", "b"], return_documents=False))
    assert all("document" not in result for result in plain["results"])


def test_jinas_usage_is_read() -> None:
    body = {"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 12}}
    reply = RERANK.read_reply(encode(body))
    assert isinstance(reply, RerankReply)
    assert reply.usage == Usage(input=12)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"results": [{"index": 0}]}', b'{"results": [{"relevance_score": 1}]}']
)
def test_what_is_no_ranking_is_garbled(body: bytes) -> None:
    for found in (RERANK.read_reply(body), DIALECT.decode(call_of({}), {}.get, body)[0]):
        assert isinstance(found, Verdict)
        assert found.outcome_class is OutcomeClass.GARBLED


# --- the front -----------------------------------------------------------------------------------------------------


def test_the_clients_own_body_is_spliced() -> None:
    call = call_of({"model": "route", "query": "q", "documents": ["a"], "new_field": [1, 2]})
    target = shape("rerank-v4", default=(("top_n", msgspec.Raw(b"5")),), always=(("x", msgspec.Raw(b"1")),))
    request = DIALECT.encode(call, target)
    assert (request.method, request.path) == ("POST", "/rerank")
    assert msgspec.json.decode(request.body) == {
        "model": "rerank-v4",
        "query": "q",
        "documents": ["a"],
        "new_field": [1, 2],
        "top_n": 5,
        "x": 1,
    }


def test_a_ranking_is_passed_on_as_it_came() -> None:
    body = cassette("cohere", "rerank").body
    verdict, passed = DIALECT.decode(call_of({}), {}.get, body)
    assert (verdict.outcome_class, verdict.usage) == (OutcomeClass.SERVED, Usage(searches=1))
    assert passed == body


def test_rankings_do_not_stream() -> None:
    with pytest.raises(TypeError, match="does not stream"):
        DIALECT.stream(call_of({}), {}.get)


def test_errors_are_told_to_clients_of_both() -> None:
    error = {"message": "No such model.", "type": "invalid_request_error", "code": "model_not_found", "param": None}
    told = msgspec.json.decode(DIALECT.error_body(404, error, "req-1"))
    assert told == {"id": "req-1", "message": "No such model.", "detail": "No such model.", "error": error}
    assert DIALECT.error_event(404, error, "req-1").startswith(b"data: {")
