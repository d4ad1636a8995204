"""Which policy is the nearest, and what may not be said."""

from __future__ import annotations

from typing import Any

import pytest

from engine.graph import Retry, Timeouts


def leaf(graph: Any, name: str = "chat") -> Any:
    return graph.routes[name].step


def test_without_policies_the_defaults_hold(compiled: Any, write: Any) -> None:
    step = leaf(compiled(write.route("chat", "acme/large")).graph)
    assert (step.retry, step.timeouts, step.unsupported) == (Retry(), Timeouts(), "drop")


def test_every_level_field_by_field(compiled: Any, write: Any) -> None:
    graph = compiled(
        write.route("chat", "{target: acme/large, timeouts: {connect: 1s}}"),
        write.route("other", "beta/llama"),
        write.policy(
            "all", "{all: true}", "timeouts: {connect: 5s, idle: 5s, first_token: 5s, attempt: 5s, total: 50s}"
        ),
        write.policy("p", "{providers: [acme]}", "timeouts: {connect: 4s, idle: 4s, first_token: 4s}"),
        write.policy("r", "{routes: [chat]}", "timeouts: {connect: 3s, idle: 3s, total: 30s}"),
        write.policy("t", "{targets: ['acme/*']}", "timeouts: {connect: 2s}\nparams: {unsupported: error}"),
    ).graph
    assert leaf(graph).timeouts == Timeouts(connect=1, first_token=4, idle=3, attempt=5, total=30)
    assert leaf(graph).unsupported == "error"
    assert leaf(graph, "other").timeouts == Timeouts(connect=5, first_token=5, idle=5, attempt=5, total=50)
    assert graph.routes["chat"].timeouts.total == 30


def test_a_name_is_nearer_than_a_glob(compiled: Any, write: Any, codes: Any) -> None:
    result = compiled(
        write.route("chat", "acme/large"),
        write.policy("glob", "{targets: ['acme/*']}", "timeouts: {idle: 9s}"),
        write.policy("name", "{targets: [acme/large]}", "timeouts: {idle: 8s}"),
    )
    assert codes(result) == []
    assert leaf(result.graph).timeouts.idle == 8


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("timeouts: {idle: 9s}", "timeouts: {idle: 9s}", []),
        ("timeouts: {idle: 9s}", "timeouts: {connect: 1s}", []),
        ("timeouts: {idle: 9s}", "timeouts: {idle: 8s}", ["P402"]),
        ("params: {set: {n: 1}}", "params: {set: {n: 2}}", ["P402"]),
        ("params: {set: {n: 1}}", "params: {default: {n: 2}}", []),
    ],
)
def test_two_policies_that_are_equally_near(
    compiled: Any, write: Any, codes: Any, first: str, second: str, expected: list[str]
) -> None:
    result = compiled(
        write.route("chat", "acme/large"),
        write.policy("a", "{targets: ['acme/*']}", first),
        write.policy("b", "{targets: ['*/large']}", second),
    )
    assert codes(result) == expected


def test_params_merge_name_by_name(compiled: Any, write: Any) -> None:
    graph = compiled(
        write.route("chat", "{target: acme/large, params: {default: {a: 1}}}"),
        write.policy("all", "{all: true}", "params: {set: {z: {k: [1]}}, default: {a: 2, b: 2, c: 2}}"),
        write.policy("t", "{targets: [acme/large]}", "params: {default: {b: 3}}"),
    ).graph
    assert leaf(graph).params.set == (("z", b'{"k":[1]}'),)
    assert leaf(graph).params.default == (("a", b"1"), ("b", b"3"), ("c", b"2"))


def test_a_policy_for_a_route_reaches_into_the_routes_it_uses(compiled: Any, write: Any) -> None:
    graph = compiled(
        write.route("base", "acme/large"),
        write.route("chat", "{route: base}"),
        write.policy("r", "{routes: [chat]}", "timeouts: {idle: 3s}"),
    ).graph
    assert leaf(graph).step.timeouts.idle == 3
    assert leaf(graph, "base").timeouts.idle == Timeouts().idle


def test_attempts_suffice_for_every_target_unless_a_policy_says_otherwise(compiled: Any, write: Any) -> None:
    six = (
        "{fallback: [acme/large, acme/small, acme/embed, {balance: {by: least_busy, steps: [beta/llama, beta/other]}}, "
    )
    providers = write.providers.replace("other: {}", "other: {}, third: {}")
    split = "{split: {name: t, variants: {a: {weight: 1, step: beta/third}, b: {weight: 1, step: {reject: {}}}}}}]}"
    graph = compiled(write.route("chat", six + split), write.route("one", "acme/large"), providers=providers).graph
    assert graph.routes["chat"].retry.max_attempts == 6
    assert graph.routes["one"].retry.max_attempts == 5
    assert graph.routes["chat"].step.steps[0].retry.max_attempts == 6


def test_a_cap_below_the_longest_path_names_the_target(compiled: Any, write: Any) -> None:
    result = compiled(
        write.route("chat", "{fallback: [acme/large, {route: rest}]}"),
        write.route("rest", "{fallback: [acme/small, beta/llama]}"),
        write.policy("cap", "{all: true}", "retry: {max_attempts: 2}"),
    )
    (error,) = [d for d in result.diagnostics if d.severity == "error"]
    assert error.code == "P411"
    assert '"beta/llama"' in error.summary
    assert '"cap"' in error.hint


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([("{all: true}", "timeouts: {attempt: 9s, total: 5s}")], ["P410"]),
        ([("{all: true}", "timeouts: {connect: 9s, attempt: 5s}")], ["P410"]),
        ([("{all: true}", "timeouts: {first_token: 9s, total: 5s}")], ["P410"]),
        ([("{all: true}", "retry: {per_target: 3, max_attempts: 2}")], ["P410"]),
        ([("{all: true}", "retry: {backoff: {initial: 2s, max: 1s}}")], ["P410"]),
        # what is not declared gives way
        ([("{all: true}", "timeouts: {total: 5s}")], []),
        ([("{all: true}", "retry: {max_attempts: 1}")], []),
        # a nearer, tighter outer limit is an override; a nearer, wider inner one can never take effect
        ([("{all: true}", "timeouts: {attempt: 9s}"), ("{routes: [chat]}", "timeouts: {total: 5s}")], []),
        ([("{all: true}", "timeouts: {total: 5s}"), ("{routes: [chat]}", "timeouts: {attempt: 9s}")], ["P410"]),
        ([("{all: true}", "timeouts: {total: 5s}"), ("{targets: [acme/large]}", "timeouts: {attempt: 9s}")], ["P410"]),
    ],
)
def test_limits_nest(
    compiled: Any, write: Any, codes: Any, policies: list[tuple[str, str]], expected: list[str]
) -> None:
    texts = [write.policy(f"p{i}", *said) for i, said in enumerate(policies)]
    assert codes(compiled(write.route("chat", "acme/large"), write.route("two", "acme/large"), *texts)) == expected


def test_request_wide_fields_for_a_target_have_no_effect_and_a_warning(compiled: Any, write: Any, codes: Any) -> None:
    result = compiled(
        write.route("chat", "acme/large"),
        write.policy("t", "{targets: [acme/large]}", "retry: {max_attempts: 2, budget: 5%}\ntimeouts: {total: 200s}"),
    )
    assert codes(result) == ["W904", "W904", "W904"]
    assert leaf(result.graph).retry == Retry()
    assert leaf(result.graph).timeouts == Timeouts()
