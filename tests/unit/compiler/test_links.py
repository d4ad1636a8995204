"""References between documents."""

from __future__ import annotations

from typing import Any

import pytest

from engine.compiler.passes import links


def errors(result: Any) -> list[tuple[str, str]]:
    return [(d.code, d.summary) for d in result.diagnostics if d.severity == "error"]


def test_an_unknown_target_is_named_with_the_file_that_should_declare_it(compiled: Any, write: Any) -> None:
    result = compiled(write.route("chat", "acme/lrge"))
    (error,) = result.diagnostics
    assert error.code == "R301"
    assert error.summary == 'route "chat" refers to unknown target "acme/lrge"'
    assert error.label == "not declared in policies/0.yaml"
    assert error.hint == 'did you mean "acme/large"?'


def test_an_unknown_provider_is_said_to_be_one(compiled: Any, write: Any) -> None:
    (error,) = compiled(write.route("chat", "nobody/x")).diagnostics
    assert (error.code, error.label) == ("R301", 'no provider "nobody" is declared')
    assert "acme, beta" in error.hint


def test_a_provider_without_models_says_where_to_add_one(compiled: Any, write: Any) -> None:
    providers = write.providers.replace("models: {llama: {}, other: {}}", "models: {}")
    (error,) = compiled(write.route("chat", "beta/llama"), providers=providers).diagnostics
    assert error.hint == "add the model under `models` in policies/0.yaml"


@pytest.mark.parametrize(
    ("steps", "circles"),
    [
        ({"a": ["a"]}, ["a"]),
        ({"a": ["b"], "b": ["a"]}, ["a -> b -> a"]),
        ({"z": ["b"], "b": ["c"], "c": ["b"]}, ["b -> c -> b"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
        ({"a": ["b"], "b": ["c"], "c": ["a", "b"]}, ["a -> b -> c -> a", "b -> c -> b"]),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}, ["a -> b -> a", "c -> d -> c"]),
    ],
)
def test_circles(compiled: Any, write: Any, steps: dict[str, list[str]], circles: list[str]) -> None:
    texts = [
        write.route(name, "{fallback: [acme/large" + "".join(f", {{route: {used}}}" for used in uses) + "]}")
        for name, uses in steps.items()
    ]
    result = compiled(*texts)
    found = [d for d in result.diagnostics if d.severity == "error"]
    assert {d.code for d in found} <= {"R304"}
    assert sorted(d.summary.partition(": ")[2] or d.summary.split('"')[1] for d in found) == circles
    assert (result.graph is None) == bool(circles)


def test_a_circle_lists_every_place(compiled: Any, write: Any) -> None:
    result = compiled(write.route("a", "{route: b}"), write.route("b", "{route: a}"))
    (error,) = [d for d in result.diagnostics if d.severity == "error"]
    assert (error.file, error.line, error.column) == ("policies/1.yaml", 6, 15)
    assert error.related == (("policies/2.yaml", 6, 15, '"b" uses "a"'),)


def test_a_chain_of_thousands_is_refused_and_not_followed(compiled: Any, write: Any) -> None:
    count = 1500
    chain = "".join(write.route(f"r{i:04}", f"{{route: r{i + 1:04}}}") for i in range(count))
    result = compiled(chain + write.route(f"r{count:04}", "acme/large"))
    assert {code for code, _ in errors(result)} == {"P413"}
    assert len(errors(result)) == 1


def test_a_long_circle_is_found(compiled: Any, write: Any) -> None:
    count = 1500
    result = compiled("".join(write.route(f"r{i:04}", f"{{route: r{(i + 1) % count:04}}}") for i in range(count)))
    assert [code for code, _ in errors(result)] == ["R304"]


def test_a_tree_that_doubles_at_each_level_is_refused(compiled: Any, write: Any) -> None:
    double = "".join(
        write.route(f"r{i}", f"{{fallback: [{{route: r{i + 1}}}, {{route: r{i + 1}}}]}}") for i in range(30)
    )
    result = compiled(double + write.route("r30", "acme/large"))
    assert [code for code, _ in errors(result)] == ["P413"]
    assert links.MOST_STEPS < 2**30


def test_what_is_broken_does_not_make_its_users_wrong(compiled: Any, write: Any) -> None:
    result = compiled(
        write.route("chat", "acme/large", "{modle: x}"),
        write.route("user", "{route: chat}"),
        write.policy("p", "{routes: [chat, 'c*']}", "timeouts: {idle: 1s}"),
        providers=write.providers.replace("labels: {region: us, tier: 1}", "lables: {}"),
    )
    assert [code for code, _ in errors(result)] == ["S201", "S201"]


def test_suggestions_are_bounded(compiled: Any, write: Any) -> None:
    result = compiled("".join(write.route(f"r{i}", f"acme/larg{i}x") for i in range(260)))
    assert len(errors(result)) == 260
    assert all(d.hint for d in result.diagnostics)


def test_a_document_twice_is_reported_without_a_folder_too(compiled: Any, write: Any) -> None:
    result = compiled(write.route("chat", "acme/large"), write.route("chat", "acme/small"))
    (error,) = [d for d in result.diagnostics if d.severity == "error"]
    assert (error.code, error.file) == ("D127", "policies/2.yaml")
