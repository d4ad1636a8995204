"""Dialects are found by discovery, and two of one name are an error."""

from __future__ import annotations

import pytest

from engine.dialects import dialect, dialects


def test_every_dialect_is_found_by_name_and_made_once() -> None:
    assert dialects()["openai-chat"] is dialects()["openai-chat"]
    assert dialects()["openai-chat"].name == "openai-chat"
    assert list(dialects()) == sorted(dialects())


def test_the_table_is_read_only() -> None:
    with pytest.raises(TypeError):
        dialects()["x"] = dialects()["openai-chat"]  # type: ignore[index]


def test_two_classes_of_one_name_are_refused_with_both_places() -> None:
    class Another:
        pass

    with pytest.raises(
        ValueError, match=r"'openai-chat' is defined by both engine\.dialects\.openai_chat and .*remove"
    ):
        dialect("openai-chat")(Another)


def test_registering_the_same_class_again_changes_nothing() -> None:
    cls = type(dialects()["openai-chat"])
    assert dialect("openai-chat")(cls) is cls
