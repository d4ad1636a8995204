"""Reading trees that others wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import statuses, trees
from engine.exchange import OutcomeClass


@pytest.mark.parametrize(
    ("read", "right", "wrong"),
    [
        (trees.text, "a", (1, None, [])),
        (trees.mapping, {"a": 1}, ("a", None, [])),
        (trees.items, [1], ("a", None, {})),
        (trees.mappings, [{"a": 1}], ("a", None, [1])),
    ],
)
def test_another_type_counts_as_absent(read: Any, right: Any, wrong: tuple[Any, ...]) -> None:
    assert read(right) == right
    assert [read(value) for value in wrong] == [type(right)()] * len(wrong)


def test_numbers() -> None:
    assert [trees.count(value) for value in (3, 40.0, 0, -1, 1.5, True, "3", None)] == [3, 40, 0, *[None] * 5]
    assert [trees.whole(value) for value in (-3, 4.0, False, 0.5, "3")] == [-3, 4, None, None, None]
    assert [trees.number(value) for value in (1, 0.5, True, "1")] == [1, 0.5, None, None]
    assert [trees.flag(value) for value in (True, False, 1, "true")] == [True, False, None, None]


def test_a_sum_of_nothing_known_is_not_known() -> None:
    assert trees.total(None, None) is None
    assert trees.total(None, 0, 2) == 2


@pytest.mark.parametrize("value", ["yesterday", 5, None, "9999-99-99T00:00:00Z", ""])
def test_what_is_no_time_has_no_seconds(value: object) -> None:
    assert trees.seconds(value) is None


def test_times_in_unix_seconds() -> None:
    assert trees.seconds("1970-01-02T00:00:00.25Z") == 86400
    assert trees.seconds("1970-01-01T02:00:00+01:00") == 3600


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ('{"a":1}', {"a": 1}),
        ("", {}),
        ("null", {}),
        ("[1]", {"arguments": [1]}),
        ('{"a":', {"arguments": '{"a":'}),
        ("[" * 100_000, {"arguments": "[" * 100_000}),
    ],
)
def test_arguments_are_an_object_that_loses_nothing_the_model_wrote(arguments: str, value: object) -> None:
    assert trees.arguments_object(arguments) == value


@given(st.binary(max_size=30))
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    try:
        trees.json_tree(data)
    except ValueError as problem:
        assert "not JSON" in str(problem)  # noqa: PT017 whether it is raised is the data's affair


@given(st.integers(-1, 1000))
def test_every_status_has_a_class(status: int) -> None:
    found = statuses.class_of(status)
    if 500 <= status <= 599 and status not in (503, 529):
        assert found is OutcomeClass.SERVER_ERROR
    if status < 400:
        assert found is OutcomeClass.GARBLED
    assert found is not OutcomeClass.SERVED
