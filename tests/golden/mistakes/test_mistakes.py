"""Every file beside this one is a mistake that somebody makes; its name begins with the code that has to be reported.

Each is one edit of a sound configuration (``sound/``): files of the same name replace it, others are added.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.compiler import compile_folder
from engine.diagnostics import CODES, codes_proof, render_human

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.txt"))


def test_there_are_enough() -> None:
    assert len(CASES) >= 60


def test_every_code_of_the_compiler_has_a_mistake() -> None:
    shown = {case.stem.split("-")[0] for case in CASES}
    proofs = {code.code for code in codes_proof.CODES_HERE}  # what only `interlock verify` finds
    assert {code for code in CODES if code[0] in "RPWN"} - shown - proofs == set()


def test_the_sound_configuration_is_sound() -> None:
    result = compile_folder(HERE / "sound", environ={"SET": "secret"})
    assert result.diagnostics == ()
    assert result.graph is not None


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_mistake(case: Path, tmp_path: Path, golden: Callable[..., None]) -> None:
    def produce(files: dict[str, str]) -> str:
        root = tmp_path / "config"
        shutil.copytree(HERE / "sound", root)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        result = compile_folder(root, environ={"SET": "secret"})
        code = case.stem.split("-")[0]
        assert code in {d.code for d in result.diagnostics}
        assert (result.graph is None) == any(d.severity == "error" for d in result.diagnostics)
        for found in result.diagnostics:
            lines = (root / found.file).read_text(encoding="utf-8").split("\n")
            assert found.hint, "a finding without a remedy"
            assert found.code in CODES
            assert 1 <= found.line <= len(lines)
            assert 1 <= found.column < found.end_column <= len(lines[found.line - 1]) + 2
        if code[0] in "DS":  # the wording is the loader's and the schema's, with tests of its own
            return "\n".join(f"{d.severity}[{d.code}] {d.file}:{d.line}:{d.column}" for d in result.diagnostics)
        return render_human(result.diagnostics, documents=result.documents)

    golden(case, produce)
