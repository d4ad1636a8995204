"""Codes and their long texts."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

import pytest

from engine.diagnostics import CODES, Code, did_you_mean, explain, suggest
from engine.diagnostics.codes import join

#: The letter of a code says what its diagnostics are; the hundreds say which part of the language they are about.
SEVERITY = {"W": "warning", "N": "note"}


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_explained(code: str) -> None:
    meaning = CODES[code]
    assert meaning.code == code
    assert re.fullmatch(r"[A-Z]\d{3}", code)
    assert meaning.severity == SEVERITY.get(code[0], "error")
    assert meaning.title
    assert "\n" not in meaning.title
    assert not meaning.title.endswith(".")
    assert len(meaning.text.split(".")) > 2, "what, why and remedy take several sentences"
    shown = explain(code)
    assert shown.startswith(f"{code} ({meaning.severity}): {meaning.title}\n\n")
    assert " ".join(meaning.text.split()) in " ".join(shown.split())


def test_titles_tell_codes_apart() -> None:
    titles = [meaning.title for meaning in CODES.values()]
    assert len(set(titles)) == len(titles)


def test_codes_are_read_only() -> None:
    with pytest.raises(TypeError):
        CODES["X000"] = CODES["D101"]  # type: ignore[index]


def test_a_code_is_declared_once() -> None:
    one = Code("D999", "error", "t", "x")
    with pytest.raises(ValueError, match="D999"):
        join([[one], [one]])


def test_explain_in_any_case() -> None:
    assert explain(" d101 ") == explain("D101")


@pytest.mark.parametrize(
    ("typed", "said"), [("D1O1", 'did you mean "D101"?'), ("nonsense", "D101, D102"), ("", "D101, D102")]
)
def test_unknown_codes(typed: str, said: str) -> None:
    with pytest.raises(KeyError) as raised:
        explain(typed)
    assert said in raised.value.args[0]


@pytest.mark.parametrize(
    ("word", "choices", "answer"),
    [
        ("falback", ["fallback", "split", "balance"], "fallback"),
        ("acme/larg", ["acme/small", "acme/large"], "acme/large"),
        ("ROUTE", ["route", "routes"], "route"),
        ("zzz", ["route"], None),
        ("", ["route"], None),
        ("route", [], None),
        ("ab", ["ac", "aa", "ad"], None),
        ("same1", ["same3", "same2"], "same2"),
        ("x" * 100_000, ["x" * 99_999], None),
    ],
)
def test_did_you_mean(word: str, choices: list[str], answer: str | None) -> None:
    assert did_you_mean(word, choices) == answer
    assert did_you_mean(word, reversed(choices)) == answer


def test_many_choices_are_compared_in_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    class Counted(SequenceMatcher[str]):
        def ratio(self) -> float:
            compared.append(self.a)
            return super().ratio()

    monkeypatch.setattr(suggest, "SequenceMatcher", Counted)
    choices = [f"provider-{n:03}/model-{m:02}" for n in range(1000) for m in range(10)]
    assert did_you_mean("provider-421/modell-07", choices) == "provider-421/model-07"
    assert did_you_mean("provder-421/model-07", choices) == "provider-421/model-07"
    assert did_you_mean("provider-421/model-7", choices) == "provider-421/model-07"
    assert did_you_mean("Provider-421/Model-07", choices) == "provider-421/model-07"
    assert did_you_mean("something-quite-different", choices) is None
    assert len(compared) <= 5 * 200
