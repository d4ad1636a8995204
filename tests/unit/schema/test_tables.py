"""The field tables of the manuals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.schema import MODELS, SCHEMAS
from engine.schema.tables import MANUALS, fields, main, renewed

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", MANUALS)
def test_the_tables_in_the_manuals_are_current(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert renewed(text) == text, "python -m engine.schema.tables --write"


def test_every_kind_has_its_table_in_a_manual() -> None:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in MANUALS)
    assert [kind for kind in MODELS if f"<!-- generated: fields {kind} -->" not in text] == []


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_there_is_is_in_the_tables(kind: str) -> None:
    tables = fields(kind)
    conditions = {"Condition", "TargetCondition", "FlagTest", "NumberTest", "ValueTest"}
    parts: dict[str, Any] = {
        name: part for name, part in SCHEMAS[kind].get("$defs", {}).items() if name not in conditions
    }
    keys = {key for part in [SCHEMAS[kind], *parts.values()] for key in part.get("properties", {})}
    wrappers = {key for part in parts.values() if len(part.get("properties", {})) == 1 for key in part["properties"]}
    assert [key for key in keys - wrappers if f"| `{key}` |" not in tables] == []
    shown = {key for key in wrappers if any(form in tables for form in (f"`{key}`", f".{key}`", f".{key}[]`"))}
    assert wrappers - shown == set()


def test_stale_tables_are_named_and_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in MANUALS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing generated\n", encoding="utf-8")
    assert main([]) == 0
    stale = tmp_path / MANUALS[0]
    stale.write_text("a\n<!-- generated: fields key -->\nold\n<!-- /generated -->\nb\n", encoding="utf-8")
    assert main([]) == 1
    assert MANUALS[0] in capsys.readouterr().out
    assert main(["--write"]) == 0
    assert fields("key") in stale.read_text(encoding="utf-8")
    assert main([]) == 0
