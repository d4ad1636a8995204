"""Which client limits apply: those whose condition holds, whatever way they are found."""

from __future__ import annotations

from typing import Any

import pytest

from engine.graph import All, Any_, Limit, LimitIndex, Not, Rate, Test, evaluate

RATES = (Rate("requests", 5, 60.0),)
CONDITIONS = {
    "everything": None,
    "a word": Test("key", "eq", "a"),
    "one of some words": Test("key", "in", ("a", "b")),
    "two words at once": All((Test("model", "in", ("m", "n")), Test("key", "eq", "b"))),
    "a number, however it is spelt": Test("metadata.n", "eq", 5),
    "a word or another": Any_((Test("key", "eq", "c"), Test("user", "eq", "u"))),
    "not a word": Not(Test("key", "eq", "a")),
    "a word and no other": All((Test("key", "eq", "a"), Test("user", "exists", False))),
}
LIMITS = [Limit(name, RATES, when=when) for name, when in CONDITIONS.items()]


@pytest.mark.parametrize("key", [None, "a", "b", "c"])
@pytest.mark.parametrize("model", ["m", "x"])
@pytest.mark.parametrize("user", [None, "u"])
@pytest.mark.parametrize("n", [None, "5", "5.0", "6"])
def test_what_is_found_is_what_holds(key: str | None, model: str, user: str | None, n: str | None) -> None:
    get = {"key": key, "model": model, "user": user, "metadata.n": n}.get
    found = [limit.name for limit in LimitIndex(LIMITS).of(get)]
    assert sorted(found) == sorted(name for name, when in CONDITIONS.items() if when is None or evaluate(when, get))


def test_ten_thousand_limits_of_a_key_each_are_found_without_looking_at_all() -> None:
    index = LimitIndex(Limit(f"l{n}", RATES, when=Test("key", "eq", f"k{n}")) for n in range(10_000))
    asked: list[str] = []

    def get(attribute: str) -> Any:
        asked.append(attribute)
        return {"key": "k77"}.get(attribute)

    assert [limit.name for limit in index.of(get)] == ["l77"]
    assert len(asked) == 2


def test_no_limits_are_nothing() -> None:
    assert not LimitIndex()
    assert LimitIndex().of({}.get) == []
