"""Small modules, small functions."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MODULE_LINES = 400
FUNCTION_LINES = 60

#: "file" or "file:function" -> why it has to be longer. It should stay empty.
ALLOWED: dict[str, str] = {}


def sources() -> list[Path]:
    """Every Python file of the project; hidden folders hold what was set up, not what was written."""
    found = (path for part in ("engine", "tests", "benchmarks") for path in (ROOT / part).rglob("*.py"))
    return sorted(path for path in found if not any(name.startswith(".") for name in path.relative_to(ROOT).parts))


def long_functions(text: str) -> list[tuple[str, int]]:
    """(name, lines) of the functions over the limit, ``def`` line and docstring included, decorators not."""
    out = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                out.append((node.name, lines))
    return out


def test_no_module_is_too_long() -> None:
    wrong = {}
    for path in sources():
        name, lines = str(path.relative_to(ROOT)), len(path.read_text(encoding="utf-8").splitlines())
        if lines > MODULE_LINES and name not in ALLOWED:
            wrong[name] = lines
    assert wrong == {}


def test_no_function_is_too_long() -> None:
    wrong = {}
    for path in sources():
        for function, lines in long_functions(path.read_text(encoding="utf-8")):
            name = f"{path.relative_to(ROOT)}:{function}"
            if name not in ALLOWED:
                wrong[name] = lines
    assert wrong == {}


def test_every_exception_has_a_reason_and_a_use() -> None:
    existing = {str(path.relative_to(ROOT)) for path in sources()}
    assert {name.split(":")[0] for name in ALLOWED} <= existing
    assert all(reason.strip() for reason in ALLOWED.values())


def test_the_measure_measures() -> None:
    body = "\n".join(f"    x{i} = {i}" for i in range(FUNCTION_LINES))
    assert long_functions(f"def long():\n{body}\n") == [("long", FUNCTION_LINES + 1)]
    assert long_functions("async def short():\n    pass\n") == []
