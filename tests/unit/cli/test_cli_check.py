"""What ``interlock check`` exits with."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli.app import cli

PROVIDER = """\
version: 1
kind: provider
name: near
dialect: openai-chat
base_url: http://127.0.0.1:9/v1
models: {small: {}}
"""
ROUTE = "version: 1\nkind: route\nname: chat\nstep: near/small\n"
UNUSED = PROVIDER.replace("{small: {}}", "{small: {}, large: {}}")
TWICE = ROUTE.replace("step: near/small", "step: {fallback: [near/small, near/small]}")
MISSPELT = ROUTE.replace("near/small", "near/smal")


@pytest.mark.parametrize(
    ("provider", "route", "severity", "plain", "strict"),
    [
        (PROVIDER, ROUTE, None, 0, 0),
        (UNUSED, ROUTE, "note", 0, 1),
        (PROVIDER, TWICE, "warning", 0, 1),
        (PROVIDER, MISSPELT, "error", 1, 1),
    ],
)
def test_errors_exit_1_and_with_strict_every_finding_does(
    tmp_path: Path, provider: str, route: str, severity: str | None, plain: int, strict: int
) -> None:
    for name, text in (("providers.d/near.yaml", provider), ("policies/chat.yaml", route)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    found = CliRunner().invoke(cli, ["check", str(tmp_path)])
    assert found.exit_code == plain
    assert severity is None or f"{severity}[" in found.output
    assert CliRunner().invoke(cli, ["check", str(tmp_path), "--strict"]).exit_code == strict
