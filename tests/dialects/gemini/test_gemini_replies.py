"""Replies of ``generateContent``: whole ones, errors, embeddings."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects.gemini import Gemini
from engine.exchange import OutcomeClass, UncarriedError, Usage, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Opaque, Text, Thinking, ToolCall
from engine.exchange.vectors import EmbedReply, EmbedRequest

from ..play import encode, shape, tree
from ..recordings import cassette

DIALECT = Gemini()
CHAT = DIALECT.chat
assert CHAT is not None
VECTORS = DIALECT.codecs["embeddings"]


def read(body: bytes) -> ChatReply:
    reply = CHAT.read_reply(body)
    assert isinstance(reply, ChatReply), reply
    return reply


def answer(*parts: Any, **candidate: Any) -> bytes:
    return encode({"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]})


def no_header(name: str) -> str | None:
    return None


def test_a_signed_call() -> None:
    reply = read(cassette("gemini", "signed-call").body)
    thought, call = reply.choices[0].parts
    assert isinstance(thought, Thinking)
    assert thought.text == ""
    assert (thought.signature or "").startswith("gemini:Eqo+")
    assert call == ToolCall("gemini_JniLacKqGqH0xs0P0O776As_1", "weather", '{"location":"San Francisco"}')
    assert (reply.choices[0].finish, reply.choices[0].finish_raw) == ("tool_calls", "STOP")
    assert reply.usage == Usage(input=29, output=1816, reasoning=1801)
    assert reply.model == "gemini-3-pro-preview"


def test_thoughts_and_the_prompts_of_the_services_tools_count_in() -> None:
    reply = read(cassette("gemini", "code").body)
    assert [type(part) for part in reply.choices[0].parts] == [Opaque, Opaque, Text]
    assert reply.usage == Usage(input=1107 + 1171, output=21 + 41, reasoning=41, cached=1081)
    assert reply.service_tier == "default"


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({"promptTokenCount": 15, "thoughtsTokenCount": 2}, Usage(input=15, output=2, reasoning=2)),
        ({"promptTokenCount": 14}, Usage(input=14)),
        ({"trafficType": "ON_DEMAND"}, None),
        (
            {
                "promptTokenCount": 30,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 5},
                    {"modality": "AUDIO", "tokenCount": 25},
                ],
                "cachedContentTokenCount": 20,
                "cacheTokensDetails": [{"modality": 4, "tokenCount": 20}],
                "candidatesTokenCount": 7,
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
            },
            Usage(input=30, output=7, cached=20, input_audio=25, cached_audio=20, output_audio=6),
        ),
    ],
)
def test_usage(metadata: dict[str, Any], usage: Usage | None) -> None:
    body = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": metadata}
    assert read(encode(body)).usage == usage


def test_sources_hang_on_the_words_that_they_bear() -> None:
    reply = read(cassette("gemini", "grounded").body)
    part = reply.choices[0].parts[0]
    assert isinstance(part, Text)
    (citation,) = part.citations
    assert part.text[citation.start : citation.end] == part.text
    assert citation.title == "Test PDF Document"
    assert (citation.quote or "").startswith("--- PAGE 1 ---")


def test_places_are_counted_in_bytes_there_and_in_characters_here() -> None:
    support = {"segment": {"startIndex": 5, "endIndex": 9, "text": "warm"}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": [{"web": {"uri": "u", "title": "t"}}], "groundingSupports": [support]}
    reply = read(answer({"text": "?", "thought": True}, {"text": "°° warm"}, groundingMetadata=grounding))
    part = reply.choices[0].parts[1]
    assert isinstance(part, Text)
    assert [(c.url, c.title, part.text[c.start : c.end]) for c in part.citations] == [("u", "t", "warm")]


def test_a_source_that_bears_no_word_in_particular_is_kept() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "u"}}]}
    part = read(answer({"text": "a"}, groundingMetadata=grounding)).choices[0].parts[0]
    assert isinstance(part, Text)
    assert [(c.url, c.start, c.end) for c in part.citations] == [("u", None, None)]


def test_log_probabilities_in_openais_shape() -> None:
    (token,) = read(cassette("gemini", "logprobs").body).choices[0].logprobs or []
    assert token["token"] == "Hello"
    assert token["logprob"] == -6.7947026e-06
    assert [other["token"] for other in token["top_logprobs"]] == ["Hello", '"']


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("A_REASON_TO_COME", "error"),
        (2, "length"),
        ("FINISH_REASON_UNSPECIFIED", None),
    ],
)
def test_reasons_to_finish(reason: str | int, finish: str | None) -> None:
    assert read(answer({"text": "a"}, finishReason=reason)).choices[0].finish == finish


def test_a_blocked_prompt_is_refused_content() -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
    verdict = CHAT.read_reply(encode(body))
    assert isinstance(verdict, Verdict)
    assert verdict.outcome_class is OutcomeClass.CONTENT_REFUSED
    assert (verdict.code, verdict.usage) == ("PROHIBITED_CONTENT", Usage(input=9))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3", b"{}", b'{"candidates": []}'])
def test_what_is_no_reply_is_garbled(body: bytes) -> None:
    verdict = CHAT.read_reply(body)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome_class is OutcomeClass.GARBLED
    assert verdict.detail


def test_an_error_inside_a_success_is_the_error() -> None:
    verdict = CHAT.read_reply(b"[" + cassette("gemini", "retry-info").body + b"]")
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome_class, verdict.retry_after) == (OutcomeClass.RATE_LIMITED, 34.4)


@pytest.mark.parametrize(
    ("name", "expected", "code"),
    [
        ("too-long", OutcomeClass.CONTEXT_EXCEEDED, "INVALID_ARGUMENT"),
        ("bad-key-stream", OutcomeClass.UNAUTHORIZED, "API_KEY_INVALID"),
        ("unknown-model", OutcomeClass.MODEL_GONE, "NOT_FOUND"),
        ("unknown-embedding-model", OutcomeClass.MODEL_GONE, "NOT_FOUND"),
    ],
)
def test_recorded_errors(name: str, expected: OutcomeClass, code: str) -> None:
    recorded = cassette("gemini", name)
    verdict = DIALECT.classify(recorded.status, recorded.header, recorded.body, 0.0)
    assert (verdict.outcome_class, verdict.code) == (expected, code)
    assert verdict.message
    assert verdict.detail.startswith(f"HTTP {recorded.status}: ")


@pytest.mark.parametrize(
    ("status", "name", "expected"),
    [
        (429, "RESOURCE_EXHAUSTED", OutcomeClass.RATE_LIMITED),
        (400, "INVALID_ARGUMENT", OutcomeClass.INVALID_REQUEST),
        (400, "FAILED_PRECONDITION", OutcomeClass.UNAUTHORIZED),
        (401, "UNAUTHENTICATED", OutcomeClass.UNAUTHORIZED),
        (403, "PERMISSION_DENIED", OutcomeClass.UNAUTHORIZED),
        (503, "UNAVAILABLE", OutcomeClass.OVERLOADED),
        (504, "DEADLINE_EXCEEDED", OutcomeClass.TIMEOUT),
        (500, "INTERNAL", OutcomeClass.SERVER_ERROR),
        (404, "", OutcomeClass.MODEL_GONE),
        (418, "SOMETHING_ELSE", OutcomeClass.INVALID_REQUEST),
    ],
)
def test_names_of_errors(status: int, name: str, expected: OutcomeClass) -> None:
    body = encode([{"error": {"code": status, "message": "no", "status": name}}])
    assert DIALECT.classify(status, no_header, body, 0.0).outcome_class is expected


def test_the_longer_wait_counts_and_the_field_is_named() -> None:
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"},
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "contents", "description": ""}],
        },
    ]
    body = encode({"error": {"status": "UNAVAILABLE", "details": details}})
    verdict = DIALECT.classify(503, {"retry-after": "3"}.get, body, 0.0)
    assert (verdict.retry_after, verdict.param) == (7.5, "contents")
    assert DIALECT.classify(503, {"retry-after": "30"}.get, body, 0.0).retry_after == 30


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[[]]", b'"x"', b'{"error": "gone"}', b"\xff"])
def test_any_body_of_an_error_has_an_answer(body: bytes) -> None:
    verdict = DIALECT.classify(503, no_header, body, 0.0)
    assert verdict.outcome_class is OutcomeClass.OVERLOADED


def test_texts_to_embed() -> None:
    request = EmbedRequest(input=["a", "b"], dimensions=8, purpose="search_query", user="u")
    written = VECTORS.write_request(request, shape("embedding-001"))
    one = {"model": "models/embedding-001", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8}
    assert tree(written.body) == {
        "requests": [{**one, "content": {"parts": [{"text": text}]}} for text in ("a", "b")],
    }
    assert written.dropped == ["user"]
    again = VECTORS.read_request(tree(written.body))
    assert (again.input, again.dimensions, again.purpose) == (["a", "b"], 8, "search_query")


def test_texts_to_embed_in_the_bodies_of_other_methods() -> None:
    predict = shape("text-embedding-004", paths={"embeddings": "/models/{model}:predict"})
    request = EmbedRequest(input=["a"], dimensions=8, purpose="clustering")
    body = tree(VECTORS.write_request(request, predict).body)
    assert body == {
        "instances": [{"content": "a", "task_type": "CLUSTERING"}],
        "parameters": {"outputDimensionality": 8},
    }
    assert VECTORS.read_request(body).purpose == "clustering"
    single = shape("m", paths={"embeddings": "/models/{model}:embedContent"})
    assert tree(VECTORS.write_request(EmbedRequest(input=["a"]), single).body) == {
        "content": {"parts": [{"text": "a"}]}
    }
    with pytest.raises(UncarriedError):
        VECTORS.write_request(EmbedRequest(input=["a", "b"]), single)
    with pytest.raises(UncarriedError):
        VECTORS.write_request(EmbedRequest(input=[[1, 2]]), shape())


def test_vectors_of_all_kinds_of_reply() -> None:
    old = VECTORS.read_reply(cassette("gemini", "predicted-vectors").body)
    assert isinstance(old, EmbedReply)
    assert [len(vector) for vector in old.vectors] == [5, 5]
    assert old.usage == Usage(input=11)
    many = VECTORS.read_reply(b'{"embeddings": [{"values": [1, 2]}], "usageMetadata": {"promptTokenCount": 4}}')
    assert isinstance(many, EmbedReply)
    assert (many.vectors, many.usage) == ([[1, 2]], Usage(input=4))
    one = VECTORS.read_reply(b'{"embedding": {"values": [0.5]}}')
    assert isinstance(one, EmbedReply)
    assert (one.vectors, one.usage) == ([[0.5]], None)
    assert VECTORS.write_reply(many, EmbedRequest())["embeddings"] == [{"values": [1, 2]}]
    assert isinstance(VECTORS.read_reply(b'{"embeddings": []}'), Verdict)


def test_an_image_to_embed_stays_as_it_came() -> None:
    body = {"requests": [{"content": {"parts": [{"inline_data": {"data": "aGk="}}]}}]}
    assert tree(VECTORS.write_request(VECTORS.read_request(body), shape()).body) == body


def test_nobody_is_answered_in_this_protocol() -> None:
    with pytest.raises(TypeError, match="a provider's protocol"):
        CHAT.writer(ChatRequest())
