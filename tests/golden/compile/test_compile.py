"""Every file beside this one: documents, a line of dashes, and what compiling them comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.compiler import compile_folder
from engine.diagnostics import render_human
from engine.graph import render

CASES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_compile(case: Path, tmp_path: Path, golden: Callable[..., None]) -> None:
    def produce(files: dict[str, str]) -> str:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")
        overlays = [tmp_path / "overlay"] if (tmp_path / "overlay").is_dir() else []
        result = compile_folder(tmp_path, overlays, environ={"SET": "secret"})
        assert (result.graph is None) == any(d.severity == "error" for d in result.diagnostics)
        parts = [] if result.graph is None else [render(result.graph, "tree")]
        if result.diagnostics:
            parts.append(render_human(result.diagnostics, documents=result.documents))
        return "\n\n".join(part.strip("\n") for part in parts)

    golden(case, produce)
