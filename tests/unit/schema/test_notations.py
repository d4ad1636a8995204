"""Sizes, the pieces of declarations that compute, and what the models say of themselves."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from engine.documents import KINDS
from engine.schema import MODELS, parse_size
from engine.schema.common import RULES
from engine.schema.provider import AuthBearer, AuthHeader, AuthNone
from engine.schema.route import FallbackStep, Match


@pytest.mark.parametrize(
    ("written", "size"), [("20MB", 20 * 1024**2), ("512KB", 512 * 1024), ("1GB", 1024**3), ("7B", 7), (4096, 4096)]
)
def test_sizes(written: str | int, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["20", "20 MB", "MB", "-1KB", "1TB", "20mb"])
def test_what_is_no_size(written: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(written)


def test_there_is_a_model_for_every_kind() -> None:
    assert tuple(MODELS) == KINDS


def test_declarations_are_frozen() -> None:
    match = Match(model="chat")
    with pytest.raises(ValidationError):
        match.model = "other"  # type: ignore[misc]


def test_both_forms_of_a_fallback_read_alike() -> None:
    short = FallbackStep.model_validate_json('{"fallback": ["a/b"]}').body
    long = FallbackStep.model_validate_json('{"fallback": {"steps": ["a/b"]}}').body
    assert (
        (short.steps, short.only_on, short.also_on) == (long.steps, long.only_on, long.also_on) == (["a/b"], None, [])
    )


def test_every_form_of_a_match_reads_as_a_list() -> None:
    assert Match(model="a").models == ["a"]
    assert Match(model=["a", "b"]).models == ["a", "b"]
    assert Match().models == []


def test_all_ways_to_log_in_answer_for_their_secret_and_header() -> None:
    bearer = AuthBearer.model_validate_json('{"scheme": "bearer", "secret": {"env": "A"}}')
    header = AuthHeader.model_validate_json('{"scheme": "header", "name": "x-api-key", "secret": {"file": "/s"}}')
    assert [secret.env for secret in bearer.secret_refs] == ["A"]
    assert bearer.header_name is None
    assert header.header_name == "x-api-key"
    assert AuthNone(scheme="none").secret_refs == ()


def test_rules_are_sentences() -> None:
    assert all(sentence.endswith(".") for sentence in RULES.values())
