"""Embeddings and reranking."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from engine.dialects.openai_chat import OpenAIChat
from engine.exchange import UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest, Ranked, RerankReply, RerankRequest

from ..play import encode, odd_json, shape, tree
from ..recordings import cassette

EMBED, RERANK = (OpenAIChat().codecs[name] for name in ("embeddings", "rerank"))
NAME = "openai-chat"
RECORDED = "openai-chat-recorded"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        (["a", [1]], ["a", [1]]),
    ],
)
def test_inputs(given: Any, found: Any) -> None:
    asked = EMBED.read_request(
        {"model": "m", "input": given, "dimensions": 3, "user": "u", "encoding_format": "base64"}
    )
    assert asked == EmbedRequest("m", found, 3, "base64", None, "u", origin=NAME)


@pytest.mark.parametrize("given", [None, [], {}, 7, [1.5], [True], [["a"]], [None]])
def test_what_is_no_input(given: Any) -> None:
    with pytest.raises(UncarriedError) as caught:
        EMBED.read_request({"model": "m", "input": given})
    assert caught.value.param == "input"


def test_a_request_for_vectors_there_and_back() -> None:
    asked = EMBED.read_request({"model": "m", "input": ["a"], "input_type": "query", "truncate": True})
    written = EMBED.write_request(asked, shape())
    assert tree(written.body) == {"model": "m", "input": ["a"], "input_type": "query", "truncate": True}
    asked.origin = "elsewhere"
    assert EMBED.write_request(asked, shape()).dropped == ["truncate"]


def test_recorded_vectors() -> None:
    reply = EMBED.read_reply(cassette(RECORDED, "vectors").body)
    assert [len(vector) for vector in reply.vectors] == [5, 5]
    assert reply.usage == Usage(input=12)
    packed = EMBED.read_reply(cassette(RECORDED, "packed-vectors").body)
    assert isinstance(packed.vectors[0], str)
    asked = EMBED.read_request(cassette(RECORDED, "packed-vectors").request)
    assert EMBED.write_reply(packed, asked)["data"][0]["embedding"] == packed.vectors[0]
    plain = EMBED.write_reply(packed, EmbedRequest())
    assert len(plain["data"][0]["embedding"]) == 128
    assert packed.usage == Usage(input=4)


def test_vectors_come_in_the_order_of_the_inputs() -> None:
    body = {"data": [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]}
    reply = EMBED.read_reply(encode(body))
    assert reply.vectors == [[0.0], [1.0]]
    assert reply.usage is None
    assert "usage" not in EMBED.write_reply(reply, EmbedRequest())


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), min_size=1, max_size=3)
)
def test_vectors_packed_and_plain(vectors: list[list[float]]) -> None:
    reply = EmbedReply([*vectors], "m", Usage(input=5), origin="elsewhere")
    packed = EMBED.write_reply(reply, EmbedRequest(encoding="base64"))
    CreateEmbeddingResponse.model_validate(EMBED.write_reply(reply, EmbedRequest()))
    again = EMBED.read_reply(encode(packed))
    assert tree(EMBED.write_reply(again, EmbedRequest(encoding="float")))["data"] == tree(
        EMBED.write_reply(reply, EmbedRequest())
    )["data"]  # fmt: skip


def test_bytes_that_are_no_floats_stay_as_they_came() -> None:
    for vector in ("AAA=", "AADAfw==", "not base64"):
        assert EMBED.write_reply(EmbedReply([vector]), EmbedRequest())["data"][0]["embedding"] == vector


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "garbled"),
        (b"[]", "garbled"),
        (b"{}", "garbled"),
        (b'{"data": [{"embedding": {"int8": [1]}}]}', "garbled"),
        (b'{"data": [{"embedding": ["a"]}]}', "garbled"),
        (b'{"error": {"code": "model_not_found"}}', "model_gone"),
    ],
)
def test_what_holds_no_vectors(body: bytes, outcome: str) -> None:
    found = EMBED.read_reply(body)
    assert isinstance(found, Verdict)
    assert found.outcome_class == outcome


def test_a_ranking_there_and_back() -> None:
    body = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 2, "return_documents": True, "x": 1}
    asked = RERANK.read_request(body)
    assert asked == RerankRequest("m", "q", ["a", {"text": "b"}], 2, True, {"x": 1}, NAME)
    assert tree(RERANK.write_request(asked, shape()).body) == body
    assert RERANK.read_request({"query": "q", "documents": [], "top_k": 3}).top_n == 3
    asked.origin = "cohere"
    written = RERANK.write_request(asked, shape())
    assert (written.body["documents"], written.dropped) == (["a", "b"], ["x"])


@pytest.mark.parametrize("body", [{"documents": ["a"]}, {"query": "q"}, {"query": "q", "documents": [1]}, {"query": 1}])
def test_what_is_no_request_for_a_ranking(body: dict[str, Any]) -> None:
    with pytest.raises(UncarriedError):
        RERANK.read_request(body)


def test_recorded_rankings() -> None:
    reply = RERANK.read_reply(cassette(RECORDED, "ranking").body)
    assert reply.results == [Ranked(0, 0.69140625), Ranked(2, 0.494140625)]
    assert reply.usage == Usage(input=43)
    negative = RERANK.read_reply(cassette(RECORDED, "ranking-negative").body)
    assert [ranked.index for ranked in negative.results] == [2, 1, 0]
    assert negative.usage == Usage(input=55)


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.9}]},
        {"data": [{"index": 0, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.5}]},
        [{"index": 1, "score": 0.5}, {"index": 0, "score": 0.9}],
    ],
)
def test_rankings_in_all_shapes(body: Any) -> None:
    assert RERANK.read_reply(encode(body)).results == [Ranked(0, 0.9), Ranked(1, 0.5)]


def test_documents_come_back_where_they_were_asked_for() -> None:
    reply = RerankReply([Ranked(1, 0.9), Ranked(0, 0.5, {"text": "own"}), Ranked(7, 0.1)], "id", "m", Usage(searches=1))
    asked = RerankRequest("m", "q", ["a", "b"], return_documents=True)
    body = RERANK.write_reply(reply, asked)
    assert [result.get("document") for result in body["results"]] == [{"text": "b"}, {"text": "own"}, None]
    assert body["meta"] == {"billed_units": {"search_units": 1}}
    asked.return_documents = False
    assert all("document" not in result for result in RERANK.write_reply(reply, asked)["results"])


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "garbled"),
        (b"7", "garbled"),
        (b"{}", "garbled"),
        (b'{"results": [{"index": 0}]}', "garbled"),
        (b'{"error": "slow down", "code": "too_many_requests"}', "server_error"),
        (b'{"error": {"code": "too_many_requests"}}', "rate_limited"),
    ],
)
def test_what_holds_no_ranking(body: bytes, outcome: str) -> None:
    found = RERANK.read_reply(body)
    assert isinstance(found, Verdict)
    assert found.outcome_class == outcome


def test_a_number_too_large_for_base64_is_told_as_it_came() -> None:
    reply = EmbedReply([[0.5], [3.5e38]], "m")
    body = EMBED.write_reply(reply, EmbedRequest(encoding="base64"))
    assert [row["embedding"] for row in body["data"]] == ["AAAAPw==", [3.5e38]]


@settings(max_examples=100)
@given(odd_json(["data", "results", "index", "embedding", "relevance_score", "usage", "error", "meta", "document"]))
def test_any_body_has_an_answer(body: Any) -> None:
    for data in (encode(body), encode({"data": [body]}), encode({"results": body})):
        vectors, ranking = EMBED.read_reply(data), RERANK.read_reply(data)
        if isinstance(vectors, EmbedReply):
            EMBED.write_reply(vectors, EmbedRequest(encoding="base64"))
        if isinstance(ranking, RerankReply):
            RERANK.write_reply(ranking, RerankRequest(return_documents=True))
