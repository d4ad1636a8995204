"""``telemetry.otlp``: what it becomes, what is wrong with it, and that only places of secrets show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.compiler import Compilation, compile_folder
from engine.errors import PrepareError
from engine.graph import Otlp, Settings, diff, render
from engine.runtime.telemetry import require


def compiled(folder: Path, otlp: dict[str, Any] | None) -> Compilation:
    provider: dict[str, Any] = {"version": 1, "kind": "provider", "dialect": "openai-chat"}
    provider |= {"base_url": "http://h/v1", "models": {"m": {}}}
    documents = [
        {**provider, "name": "one"},
        {**provider, "name": "two"},
        {"version": 1, "kind": "route", "name": "chat", "step": {"fallback": ["one/m", "two/m"]}},
        {"version": 1, "kind": "settings", "name": "s", "telemetry": {"otlp": otlp} if otlp else {}},
    ]
    (folder / "policies").mkdir(parents=True)
    text = "".join("---\n" + json.dumps(document) + "\n" for document in documents)
    (folder / "policies" / "all.yaml").write_text(text, encoding="utf-8")
    return compile_folder(folder)


FULL = {
    "endpoint": "http://collector:4318/",
    "headers": {"X-Team": {"file": "/run/team"}, "Authorization": {"env": "TOKEN"}},
    "metrics": False,
    "interval": "1m",
    "sample": "2.5%",
    "pass_to": ["t*", "one"],
}


def test_what_it_becomes(tmp_path: Path) -> None:
    result = compiled(tmp_path / "a", FULL)
    assert result.diagnostics == ()
    found = result.graph.settings.otlp
    assert (found.endpoint, found.traces, found.metrics) == ("http://collector:4318", True, False)
    assert (found.interval, found.sample, found.pass_to) == (60.0, 0.025, ("one", "two"))
    assert [(name, ref.kind, ref.name) for name, ref in found.headers] == [
        ("authorization", "env", "TOKEN"),
        ("x-team", "file", "/run/team"),
    ]
    assert compiled(tmp_path / "b", {"endpoint": "http://collector:4318"}).graph.settings.otlp == Otlp(
        "http://collector:4318"
    )


def test_it_is_in_the_fingerprint_the_difference_and_the_rendered_graph(tmp_path: Path) -> None:
    none = compiled(tmp_path / "none", None).graph
    full = compiled(tmp_path / "full", FULL).graph
    other = compiled(tmp_path / "other", {**FULL, "headers": {"authorization": {"env": "OTHER"}}}).graph
    assert len({none.fingerprint, full.fingerprint, other.fingerprint}) == 3
    details = [detail for change in diff(full, other) for detail in change.details]
    assert details == [
        "otlp.headers.authorization: env TOKEN -> env OTHER",
        "otlp.headers.x-team: file /run/team -> none",
    ]
    shown = json.loads(render(full, "json"))["settings"]["otlp"]
    assert shown["headers"] == [["authorization", {"env": "TOKEN"}], ["x-team", {"file": "/run/team"}]]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"endpoint": "collector:4318"}, "S205"),
        ({"pass_to": ["nobody"]}, "R302"),
        ({"pass_to": ["x*"]}, "P401"),
        ({"headers": {"authorization": "Bearer sk-very-secret"}}, "S"),
        ({"headers": {"authorization": {"env": "A", "file": "b"}}}, "S208"),
        ({"sample": 0.1}, "S"),
    ],
)
def test_what_is_wrong_with_it(tmp_path: Path, wrong: dict[str, Any], code: str) -> None:
    result = compiled(tmp_path / "a", {"endpoint": "http://collector:4318", **wrong})
    assert [d.code for d in result.diagnostics if d.code.startswith(code)]
    assert "sk-very-secret" not in repr(result.diagnostics)


def test_the_extra_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    require(Settings())
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    require(Settings())
    with pytest.raises(PrepareError, match=r"pip install 'interlock\[otel\]'"):
        require(Settings(otlp=Otlp("http://collector:4318")))
