"""The whole: what goes in, what comes out, and in which order the passes stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.compiler import PASSES, compile_documents, compile_folder
from engine.documents import load_text
from engine.graph import Graph


def test_the_passes_have_names_and_an_order() -> None:
    names = [name for name, _ in PASSES]
    assert len(set(names)) == len(names)
    assert names.index("declarations") == 0
    for earlier, later in (("providers", "links"), ("drafts", "links"), ("policies", "routes"), ("links", "routes")):
        assert names.index(earlier) < names.index(later)
    assert all(run.__doc__ for _, run in PASSES)


def test_no_documents_make_an_empty_graph() -> None:
    result = compile_documents([])
    assert result.graph is not None
    assert result.graph.fingerprint == Graph.empty().fingerprint
    assert result.documents == 0


def test_findings_of_the_loader_count() -> None:
    documents, wrong = load_text("version: 1\nkind: [", "policies/x.yaml")
    result = compile_documents(documents, diagnostics=wrong)
    assert result.graph is None
    assert list(result.diagnostics) == wrong


def test_declarations_are_typed_and_sorted(compiled: Any, write: Any) -> None:
    result = compiled(write.route("b", "acme/large"), write.route("a", "acme/small"))
    assert [(d.kind, d.name) for d in result.declarations] == [
        ("provider", "acme"),
        ("provider", "beta"),
        ("route", "a"),
        ("route", "b"),
    ]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = compile_folder(tmp_path / "nowhere")
    assert result.graph is None
    assert [d.severity for d in result.diagnostics] == ["error"]


def test_secrets_are_looked_for_where_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    (tmp_path / "providers.d").mkdir()
    (tmp_path / "policies").mkdir()
    provider = "version: 1\nkind: provider\nname: {0}\ndialect: openai-chat\nbase_url: https://x.example\n"
    provider += "models: {{m: {{}}}}\n"
    auth = "auth: {{scheme: bearer, secret: {{{0}}}}}\n"
    for name, where in (("env", "env: SOME_TOKEN"), ("file", f"file: {secret}"), ("unused", "env: OTHER_TOKEN")):
        text = provider.format(name) + auth.format(where)
        (tmp_path / "providers.d" / f"{name}.yaml").write_text(text, encoding="utf-8")
    route = "version: 1\nkind: route\nname: chat\nstep: {fallback: [env/m, file/m]}\n"
    (tmp_path / "policies" / "chat.yaml").write_text(route, encoding="utf-8")

    def warnings(**more: Any) -> list[str]:
        found = compile_folder(tmp_path, **more).diagnostics
        return [d.file for d in found if d.code == "W903"]

    monkeypatch.delenv("SOME_TOKEN", raising=False)
    assert warnings() == ["providers.d/env.yaml", "providers.d/file.yaml"]
    monkeypatch.setenv("SOME_TOKEN", "x")
    assert warnings() == ["providers.d/file.yaml"]
    secret.write_text("x", encoding="utf-8")
    assert warnings() == []
    assert warnings(environ={"SOME_TOKEN": ""}) == ["providers.d/env.yaml"]


def test_a_secret_is_in_no_diagnostic_and_no_graph(compiled: Any, write: Any) -> None:
    secret = "sk-live-0123456789abcdefghij"
    providers = write.providers + f"auth: {{scheme: bearer, secret: {secret}}}\n"
    result = compiled(write.route("chat", "beta/lama"), providers=providers)
    assert result.graph is None
    assert secret not in repr(result.diagnostics)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: budget\nname: b\nlimit: {usd: 5, per: day}\n", ["P412", "W905"]),
        ("kind: budget\nname: b\nlimit: {usd: 5, per: day}\nwhen: {model: other}\n", ["P401", "W905"]),
        ("kind: budget\nname: b\nlimit: {usd: 5, per: day}\nwhen: {model: {glob: 'ot*'}}\n", ["P401", "W905"]),
        ("kind: budget\nname: b\nlimit: {tokens: 5, per: day}\nwhen: {model: [other, chat]}\n", ["W905"]),
        ("kind: budget\nname: b\nlimit: {tokens: 5, per: day}\nwhen: {model: acme-7}\n", ["W905"]),
        ("kind: budget\nname: b\nlimit: {tokens: 5, per: day}\nwhen: {stream: true}\n", ["P401", "W905"]),
        ("kind: limit\nname: l\nlimits: [{concurrency: 5}]\nwhen: {model: chta}\n", ["P401"]),
        ("kind: budget\nname: b\nlimit: {tokens: 5, per: day}\n", ["W905"]),
        ("kind: limit\nname: l\nlimits: [{concurrency: 5}]\nwhen: {all: [{user: a}, {user: b}]}\n", ["P409"]),
        ("kind: limit\nname: l\nlimits: [{concurrency: 5}]\n", []),
        ("kind: limit\nname: l\neach: metadata.team\nlimits: [{concurrency: 5}]\n", ["W906"]),
        ("kind: invariant\nname: i\nnever: {target.context_window: {lt: 5, gt: 9}}\n", ["P409", "W905"]),
        ("kind: invariant\nname: i\nnever: {target.provider: acme}\n", ["W905"]),
        ("kind: test\nname: t\nrequest: {model: chat}\nexpect: {route: chta}\n", ["R303"]),
        ("kind: test\nname: t\nrequest: {model: chat}\nfaults: [{target: 'x/*', outcome: timeout}]\n"
         "expect: {status: 200}\n", ["P401"]),
        ("kind: test\nname: t\nrequest: {model: chat}\nstate: {no_credential: [acne], open: [acme/lage]}\n"
         "expect: {status: 200}\n", ["R301", "R302"]),
    ],
)  # fmt: skip
def test_documents_that_count_prove_and_test(
    compiled: Any, write: Any, codes: Any, text: str, expected: list[str]
) -> None:
    chat = write.route("chat", "acme/large", "{model: [chat, 'acme-*'], when: {stream: false}}")
    result = compiled(chat, f"version: 1\n{text}")
    assert sorted(codes(result)) == expected


def test_a_budget_trusts_what_every_key_fixes(compiled: Any, write: Any, codes: Any) -> None:
    budget = "version: 1\nkind: budget\nname: b\neach: metadata.team\nlimit: {tokens: 5, per: day}\n"
    keys = [
        f"version: 1\nkind: key\nname: k{i}\nsha256: {'ab'[i] * 64}\nmetadata: {{{field}: x}}\n"
        for i, field in enumerate(("team", "other"))
    ]
    chat = write.route("chat", "acme/large")
    assert sorted(codes(compiled(chat, budget))) == ["W905", "W906"]
    assert sorted(codes(compiled(chat, budget, keys[0]))) == ["W905"]
    assert sorted(codes(compiled(chat, budget, *keys))) == ["W905", "W906"]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("", ["W901"]),
        ("{when: {tools: false}}", []),
        ("{when: {tools: true}}", ["W901"]),
    ],
)
def test_a_weaker_fallback_matters_only_for_requests_of_the_route(
    compiled: Any, write: Any, codes: Any, when: str, expected: list[str]
) -> None:
    assert codes(compiled(write.route("chat", "{fallback: [acme/large, beta/llama]}", when))) == expected


@pytest.mark.parametrize(("bound", "expected"), [(4000, []), (9000, ["W901"])])
def test_a_smaller_window_matters_only_for_requests_that_fill_it(
    compiled: Any, write: Any, codes: Any, bound: int, expected: list[str]
) -> None:
    providers = write.providers.replace("{llama: {}", "{llama: {context_window: 5000, supports: [tools]}")
    match = f"{{when: {{input_tokens: {{lte: {bound}}}}}}}"
    result = compiled(write.route("chat", "{fallback: [acme/large, beta/llama]}", match), providers=providers)
    assert codes(result) == expected


def test_a_condition_of_thousands_of_tests_does_not_overflow(compiled: Any, write: Any) -> None:
    when = ", ".join(f"metadata.m{i}: x" for i in range(3000))
    result = compiled(write.route("chat", "acme/large", f"{{when: {{{when}}}}}"))
    assert result.graph is not None
