"""All that the corpus holds of three protocols: requests come back, replies, streams and errors are understood."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from engine.dialects.cohere.usage import read_usage as read_cohere
from engine.dialects.gemini.usage import read_usage as read_gemini
from engine.dialects.protocol import ChatCodec, Dialect
from engine.dialects.registry import dialects
from engine.exchange import OutcomeClass, UncarriedError, Verdict
from engine.exchange.canonical import ChatReply, carries_output

from .play import added, encode, events, pieces, shape, tree
from .recordings import CORPUS, Exchange, corpus

#: Provider, its dialect, and the paths that the dialect speaks; an empty path is a recorded reply without its request.
SPOKEN = [
    ("gemini", "gemini", r"enerateContent|mbedContents?\b|^$"),
    ("vertex", "gemini", r"enerateContent|:predict$|^$"),
    ("cohere", "cohere", r"/v2/chat|/embed$|/rerank$|^$"),
    ("ollama", "ollama", r"/api/(chat|embed)|^$"),
]
#: Recordings of other protocols that stand without a path among these.
OTHERS = ("gemini/chat-stream-ai__basic.chunks.txt",)  # the Interactions API


def kind_of(found: Exchange) -> str:
    if re.search(r"mbed|:predict", found.path) or (not found.path and re.search("embed", found.name)):
        return "embeddings"
    return "rerank" if "/rerank" in found.path else "chat"


def spoken(provider: str, paths: str) -> list[Exchange]:
    found = [
        entry
        for entry in corpus(provider)
        if re.search(paths, entry.path.split("?")[0].replace("\n", "")) and not entry.name.endswith(OTHERS)
    ]
    if not found:
        pytest.skip("the corpus is not here")
    return found


@pytest.mark.parametrize(("provider", "name", "paths"), SPOKEN)
def test_requests_come_back(provider: str, name: str, paths: str) -> None:
    dialect, asked = dialects()[name], 0
    for entry in spoken(provider, paths):
        if not isinstance(entry.request, dict):
            continue
        kind = kind_of(entry)
        codec: Any = dialect.chat if kind == "chat" else dialect.codecs[kind]
        target = shape(_model(entry), paths={"embeddings": "x:predict"} if ":predict" in entry.path else {})
        try:
            canonical = codec.read_request(entry.request)
        except UncarriedError:
            assert entry.status == 400, entry.name  # the service refused it too
            continue
        written = codec.write_request(canonical, target)
        assert written.dropped == [], entry.name
        again = codec.read_request(tree(written.body))
        again.model = canonical.model  # not every body says it
        if kind == "embeddings":
            again.encoding = canonical.encoding  # this version wants it said, the one before did not
        assert again == canonical, entry.name
        asked += 1
    assert asked


def _model(entry: Exchange) -> str:
    named = re.search(r"models/([^:]+):", entry.path)
    return named[1] if named else str(entry.request.get("model", "m"))


@pytest.mark.parametrize(("provider", "name", "paths"), SPOKEN)
def test_replies_are_understood(provider: str, name: str, paths: str) -> None:
    dialect = dialects()[name]
    for entry in spoken(provider, paths):
        if not entry.body:
            continue
        if entry.status >= 400:
            verdict = dialect.classify(entry.status, entry.header, entry.body, 0.0)
            assert verdict.outcome_class not in (OutcomeClass.GARBLED, OutcomeClass.SERVER_ERROR), entry.name
            assert verdict.message, entry.name
        elif kind_of(entry) == "chat":
            _understand(dialect, entry)
        else:
            reply = dialect.codecs[kind_of(entry)].read_reply(entry.body)
            assert not isinstance(reply, Verdict), entry.name
            assert getattr(reply, "vectors", None) or getattr(reply, "results", None), entry.name


def _understand(dialect: Dialect, entry: Exchange) -> None:
    codec = dialect.chat
    assert codec is not None
    reply: ChatReply | Verdict = _stream(codec, entry) if _streams(entry) else codec.read_reply(entry.body)
    if isinstance(reply, Verdict):
        # An error that was recorded as a success, or a stream that failed on its way: with the upstream's own words.
        assert reply.code, entry.name
        assert reply.message, entry.name
        return
    finishes = [choice.finish for choice in reply.choices]
    output = any(carries_output(part) for choice in reply.choices for part in choice.parts)
    assert output or finishes[0] in ("length", "content_filter", "error"), entry.name
    if not _streams(entry):
        again = codec.read_reply(encode(codec.write_reply(reply, codec.read_request({}))))
        assert isinstance(again, ChatReply), entry.name
        assert again.text == reply.text, entry.name
        assert again.usage == reply.usage, entry.name


def _streams(entry: Exchange) -> bool:
    return "stream" in entry.path or entry.body.startswith((b"data:", b"event:")) or entry.body.count(b'"done"') > 1


def _stream(codec: ChatCodec, entry: Exchange) -> ChatReply | Verdict:
    whole = events(codec, [entry.body])
    assert events(codec, pieces(entry.body, range(3, len(entry.body), 97))) == whole, entry.name
    sum_ = added(whole, "")
    if sum_.failure is not None:
        return sum_.failure
    assert sum_.ended, entry.name
    return sum_.reply()


def test_usage_agrees_with_the_price_data() -> None:
    prices = CORPUS / "prices" / "genai-prices-usages.json.gz"
    if not prices.exists():
        pytest.skip("the corpus is not here")
    checked: dict[str, int] = {"google": 0, "cohere": 0}
    for entry in json.loads(gzip.decompress(prices.read_bytes())):
        for found in entry["extracted"]:
            makers = {
                extractor["provider_id"] for extractor in found["extractors"] if extractor["api_flavor"] == "default"
            }
            told, body = found["usage"], entry["body"]
            if "google" in makers and "usageMetadata" in body:
                usage = read_gemini(body["usageMetadata"])
                assert usage is not None
                assert usage.cached == told.get("cache_read_tokens")
                assert usage.reasoning == told.get("output_reasoning_tokens")
                assert usage.input_audio == told.get("input_audio_tokens")
            elif "cohere" in makers:
                usage = read_cohere(body["usage"])
                assert usage is not None
            else:
                continue
            assert (usage.input, usage.output) == (told.get("input_tokens"), told.get("output_tokens"))
            checked["google" if "google" in makers else "cohere"] += 1
    assert all(checked.values())
