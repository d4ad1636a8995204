"""What is wrong with a document: which code, at which place, with which remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.diagnostics import Diagnostic
from engine.documents import load_text
from engine.schema import ProviderDoc, RouteDoc, validate


def check(text: str) -> tuple[Any, list[Diagnostic]]:
    documents, wrong = load_text(text, "policies/x.yaml")
    assert not wrong, wrong
    assert len(documents) == 1
    return validate(documents[0])


def only(text: str) -> Diagnostic:
    model, diagnostics = check(text)
    assert model is None
    assert len(diagnostics) == 1, diagnostics
    return diagnostics[0]


def route(rest: str) -> str:
    return f"version: 1\nkind: route\nname: chat\n{rest}\n"


def provider(rest: str) -> str:
    return f"version: 1\nkind: provider\nname: p\ndialect: openai-chat\nbase_url: http://h/v1\n{rest}\n"


def document(kind: str, rest: str) -> str:
    return f"version: 1\nkind: {kind}\nname: x\n{rest}\n"


def test_a_valid_document_becomes_its_declaration() -> None:
    model, diagnostics = check(route("step: a/b"))
    assert diagnostics == []
    assert isinstance(model, RouteDoc)
    assert model.step == "a/b"
    assert model.priority == 0
    assert model.match.models == []


@pytest.mark.parametrize(
    ("text", "code", "marked", "hint"),
    [
        (route("stp: a/b\nstep: a/b"), "S201", "stp", 'did you mean "step"?'),
        (route("step: {falback: [a/b]}"), "S201", "falback", 'did you mean "fallback"?'),
        (route("step: {fallback: {steps: [a/b], onlyon: [timeout]}}"), "S201", "onlyon", 'did you mean "only_on"?'),
        (route("step: {target: a/b, weight: 3}"), "S201", "weight", "beside the step"),
        (route("model: x\nstep: a/b"), "S201", "model", "match: {model: ...}"),
        (document("policy", "applies_to: {all: true}\nretires: {}\nretry: {}"), "S201", "retires", "retry"),
        (route("priority: 1"), "S202", "chat", 'add "step:"'),
        (route("step: {switch: {default: a/b}}"), "S202", "{default: a/b}", 'add "cases:"'),
        (route("step: {balance: {by: hash, steps: [a/b]}}"), "S202", "{by: hash, steps: [a/b]}", 'add "key:"'),
        (route("step: 5"), "S203", "5", "provider/model"),
        (route("step: [a/b, c/d]"), "S203", "[a/b, c/d]", "{fallback: [...]}"),
        (route("step: a/b\npriority: 2.0"), "S203", "2.0", "write 2"),
        (route("step: a/b\npriority: true"), "S203", "true", ""),
        (route('step: a/b\npriority: "2"'), "S203", '"2"', "without quotes"),
        (route("step: a/b\nmatch: {when: {stream: yes}}"), "S203", "yes", "write true"),
        (route("step: a/b\nmatch: {model: 4}"), "S203", "4", 'in quotes: "4"'),
        (provider("limits: [{requests: 3, per: 60}]"), "S203", "60", "1m30s"),
        (provider('models: {m: {price: {input: "0.5"}}}'), "S203", '"0.5"', "without quotes"),
        (route("step: {balance: {by: wieghted, steps: [a/b]}}"), "S204", "wieghted", 'did you mean "weighted"?'),
        (route("step: {fallback: {steps: [a/b], only_on: [rate_limit]}}"), "S204", "rate_limit", "rate_limited"),
        (provider("auth: {scheme: berer}"), "S204", "berer", 'did you mean "bearer"?'),
        (provider("models: {m: {supports: [tool]}}"), "S204", "tool", 'did you mean "tools"?'),
        (route("step: gpt-4o"), "S205", "gpt-4o", "{route: gpt-4o}"),
        (route(f"step: {'x' * 280}"), "S205", "x" * 280, "{route: NAME}"),
        (document("policy", "applies_to: {all: true}\ntimeouts: {connect: 5}"), "S203", "5", "5s"),
        (document("policy", "applies_to: {all: true}\ntimeouts: {connect: 0s}"), "S205", "0s", "5s"),
        (document("policy", "applies_to: {all: true}\nretry: {budget: 120%}"), "S205", "120%", "20%"),
        (document("settings", "limits: {body: 20 MB}"), "S205", "20 MB", "20MB"),
        (document("settings", "upstream: {proxy: proxy:3128}"), "S205", "proxy:3128", "http://"),
        (route("step: {split: {name: s, key: usr, variants: {a: {weight: 1, step: a/b}}}}"),
         "S205", "usr", "metadata.NAME"),
        (provider("models: {bad name: {}}"), "S205", "bad name", "letters"),
        (route("step: a/b\nmatch:"), "S206", "match", "remove the key"),
        (route("step: {fallback: []}"), "S206", "[]", "at least one"),
        (route("step: {}"), "S206", "{}", "fallback"),
        (document("policy", "applies_to: {}\nretry: {}"), "S206", "{}", "routes"),
        (route("step: {fallback: [a/b], route: x}"), "S208", "route", "keep one"),
        (route("step: {fallback: {steps: [a/b], only_on: [timeout], also_on: [timeout]}}"),
         "S208", "also_on", "only_on"),
        (route("step: {target: a/b, params: {set: {model: x}}}"), "S208", "model", ""),
        (document("policy", "applies_to: {all: true, routes: [a]}\nretry: {}"), "S208", "routes", "remove all"),
        (
            route("step: {split: {name: s, key: user, variants: {a: {weight: 1, step: a/b}}, pins: {u: b}}}"),
            "S209", "b", "its variants are a",
        ),
        (route("step: {reject: {status: 200}}"), "S210", "200", ""),
        (document("settings", "listen: {port: 70000}"), "S210", "70000", ""),
        (route(f"step: a/{'b' * 400}"), "S211", "a/" + "b" * 400, ""),
        (route("step: {zorg: 1}"), "S212", "{zorg: 1}", "says what it is"),
        (route("step: a/b\nmatch: {when: {foo: 1}}"), "S213", "foo", "metadata.NAME"),
        (route("step: a/b\nmatch: {when: {header.X-Team: a}}"), "S213", "header.X-Team", "header.x-team"),
        (document("invariant", "never: {target.label.region: eu}"),
         "S213", "target.label.region", "target.labels.region"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_diagnostic_at_its_place(text: str, code: str, marked: str, hint: str) -> None:
    found = only(text)
    line = text.split("\n")[found.line - 1]
    assert (found.code, line[found.column - 1 : found.end_column - 1]) == (code, marked), found
    assert hint in found.hint
    assert found.severity == "error"
    assert found.excerpt == line


SECRET = "sk-verysecret-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        provider(f"auth: {{scheme: bearer, secret: {SECRET}}}"),
        provider(f"auth: {{scheme: header, name: x-api-key, secret: {SECRET}}}"),
        provider(f"api_key: {SECRET}"),
        provider(f"headers: {{Authorization: Bearer {SECRET}}}"),
        provider(f"headers: {{X-Api-Key: {SECRET}}}"),
        f"version: 1\nkind: provider\nname: p\ndialect: openai-chat\nbase_url: https://user:{SECRET}@host/v1\n",
        document("settings", f'state: {{store: redis, url: "redis://:{SECRET}@host/0"}}'),
        document("key", f"sha256: {'a' * 64}\nsecret: {SECRET}"),
    ],
)
def test_a_literal_secret_is_refused_and_never_shown(text: str) -> None:
    found = only(text)
    assert found.code == "S207"
    assert SECRET not in str(found)
    assert "*" * 10 in found.excerpt
    assert found.hint


@pytest.mark.parametrize(
    "text",
    [
        provider(f"auth: {{scheme: bearer, secret: {{env: {SECRET}}}}}"),
        document("key", f"sha256: {SECRET}"),
        provider(f"auth: {{scheme: bearer, secret: [{SECRET}]}}"),
    ],
)
def test_a_secret_in_the_place_of_a_reference_is_not_shown_either(text: str) -> None:
    assert SECRET not in str(only(text))


def test_a_secret_of_digits_is_not_shown() -> None:
    found = only(provider("auth: {scheme: bearer, secret: 98765432101234}"))
    assert found.code == "S207"
    assert "98765432101234" not in str(found)


def test_all_problems_of_a_document_are_found_at_once_in_the_order_of_the_text() -> None:
    _, diagnostics = check(
        document(
            "provider",
            "category: clowd\ndialect: openai-chat\nauth: {scheme: berer}\nheaders: {Cookie: a=b}\n"
            "limits: [{tokns: 1}]\nmodels: {m: {supports: [tool], price: {input: -1}}}",
        )
    )
    assert [(d.code, d.line) for d in diagnostics] == [
        ("S202", 3), ("S204", 4), ("S204", 6), ("S207", 7), ("S201", 8), ("S204", 9), ("S210", 9),
    ]  # fmt: skip


def test_what_the_loader_said_of_the_header_is_not_said_again() -> None:
    documents, wrong = load_text("version: 2\nkind: route\nstep: 5\n", "x.yaml")
    assert [d.code for d in wrong] == ["D122", "D125"]
    assert [d.code for d in validate(documents[0])[1]] == ["S203"]


def test_a_document_of_no_known_kind_is_the_loaders_affair() -> None:
    documents, wrong = load_text("version: 1\nkind: rute\nname: x\n", "x.yaml")
    assert [d.code for d in wrong] == ["D124"]
    assert validate(documents[0]) == (None, [])


def nested(depth: int, leaf: str) -> Any:
    step: Any = leaf
    for _ in range(depth):
        step = {"fallback": [step]}
    return step


@pytest.mark.parametrize("depth", [1, 20, 30])
def test_deep_steps_are_validated_and_explained(depth: int) -> None:
    tree = {"version": 1, "kind": "route", "name": "deep"}
    assert check(json.dumps(tree | {"step": nested(depth, "a/b")}))[1] == []
    found = only(json.dumps(tree | {"step": nested(depth, "nowhere")}))
    assert found.code == "S205"
    assert found.summary.count("fallback[0]") == depth


def test_deep_conditions_are_validated_and_explained() -> None:
    condition: Any = {"usr": "a"}
    for _ in range(28):
        condition = {"all": [condition]}
    text = json.dumps({"version": 1, "kind": "route", "name": "deep", "match": {"when": condition}, "step": "a/b"})
    assert only(text).code == "S213"
    assert check(text.replace("usr", "user"))[1] == []


def test_numbers_stay_exact() -> None:
    model, _ = check(provider("models: {m: {price: {input: 0.59, output: 10}}}"))
    assert isinstance(model, ProviderDoc)
    price = model.models["m"].price
    assert price is not None
    assert (str(price.input), str(price.output)) == ("0.59", "10")


def test_a_key_of_a_document_may_be_named_like_a_tag() -> None:
    step = "{split: {name: s, key: user, variants: {fallback: {weight: 1, step: a/b}}, pins: {x: split}}}"
    assert only(route(f"step: {step}")).summary.endswith("in step.split.pins.x")
