"""Recorded embeddings and rankings are read as what they say, and reach the clients of other protocols."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.dialects.registry import dialects
from engine.exchange import Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest, RerankReply, RerankRequest

from ..play import encode
from .requests import codec_of
from .shapes import COHERE, EMBED, OPENAI, RERANK
from .spoken import Recorded


def check_vectors(found: Recorded) -> None:
    """The numbers, the order and the usage are those of the recording; so are they in the protocols of clients."""
    reply = codec_of(found).read_reply(found.body)
    assert not isinstance(reply, Verdict), f"{reply.outcome_class}: {reply.detail}"
    told = sum(_counts(found.tree)) or None
    used = reply.usage.input if reply.usage is not None else None
    assert used == told or (told is None and not used), f"the usage is {used}, told was {told}"
    assert found.spoken is not None
    if found.spoken.kind == EMBED:
        _check_embeddings(found, reply)
    else:
        _check_ranking(found, reply)


def _check_embeddings(found: Recorded, reply: EmbedReply) -> None:
    told = list(_vectors(found.tree))
    assert reply.vectors == told, f"{len(reply.vectors)} vectors, told were {len(told)}"
    codec = dialects()[OPENAI].codecs[EMBED]
    asked = EmbedRequest(encoding="base64" if isinstance(told[0], str) else "float")
    again = codec.read_reply(encode(codec.write_reply(reply, asked)))
    assert isinstance(again, EmbedReply)
    assert again.vectors == told


def _check_ranking(found: Recorded, reply: RerankReply) -> None:
    told = sorted(_ranks(found.tree), key=lambda rank: -rank[1])
    assert [(ranked.index, ranked.score) for ranked in reply.results] == told
    for front in (OPENAI, COHERE):
        codec = dialects()[front].codecs[RERANK]
        again = codec.read_reply(encode(codec.write_reply(reply, RerankRequest())))
        assert isinstance(again, RerankReply)
        assert [(ranked.index, ranked.score) for ranked in again.results] == told, front


def _vectors(value: Any) -> Iterator[list[float] | str]:
    """Every list of numbers, and every text in the place of one, once; whatever the fields are called."""
    if isinstance(value, list) and value and all(isinstance(number, int | float) for number in value):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _vectors(inner)
    elif isinstance(value, dict):
        if isinstance(value.get("embedding"), str):
            yield value["embedding"]
        once: list[Any] = []  # some tell a vector twice, under two names
        for one in (list(_vectors(inner)) for inner in value.values()):
            yield from () if one in once else one
            once.append(one)


def _ranks(value: Any) -> Iterator[tuple[int, float]]:
    if isinstance(value, dict) and "index" in value:
        yield value["index"], value.get("relevance_score", value.get("score"))
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _ranks(inner)


def _counts(value: Any) -> Iterator[int]:
    """The counts of tokens, under any of their names; where some are billed, those."""
    if isinstance(value, list):
        for inner in value:
            yield from _counts(inner)
    elif isinstance(value, dict):
        value = value.get("billed_units", value)
        named = [value[name] for name in _COUNTS if isinstance(value.get(name), int)]
        yield from named[:1]
        for inner in value.values():
            yield from _counts(inner)


_COUNTS = (
    "prompt_tokens",
    "input_tokens",
    "total_tokens",
    "prompt_eval_count",
    "inputTextTokenCount",
    "promptTokenCount",
    "token_count",
)
