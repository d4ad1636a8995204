"""Arguments of a call that are streamed: values with the place (a JSONPath) that they belong to.

Google's reference for ``FunctionCall.partialArgs``: a string may come in several pieces; ``willContinue`` on the call
says that more of it follows.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import mappings, text

from .names import fields

_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
#: Places in lists that can be named; more would only waste memory.
_MAX_INDEX = 10_000


def apply(arguments: dict[str, Any], pieces: Any) -> None:
    """Set the pieces in ``arguments``. Raises ``ValueError`` for a place that there cannot be."""
    for piece in map(fields, mappings(pieces)):
        path = _steps(text(piece.get("jsonPath")))
        if not path:
            continue
        name = next((name for name in _VALUES if name in piece), None)
        value = None if name in (None, "nullValue") else piece[name]
        _set(arguments, path, value)


def _steps(path: str) -> list[str | int]:
    """``$.a[0]['b c']`` as its steps."""
    steps: list[str | int] = []
    rest = path.removeprefix("$")
    while rest:
        if rest.startswith("["):
            inner, closed, rest = rest[1:].partition("]")
            inner = inner.strip()
            if not closed:
                raise ValueError(f"a place without its end: {path!r}")
            steps.append(int(inner) if inner.isdecimal() else inner.strip("'\""))
        else:
            rest = rest.removeprefix(".")
            cut = min((at for at in (rest.find("."), rest.find("[")) if at >= 0), default=len(rest))
            steps.append(rest[:cut])
            rest = rest[cut:]
            if cut == 0 and not rest.startswith("["):
                raise ValueError(f"a place without a name: {path!r}")
    return steps


def _set(tree: Any, path: list[str | int], value: Any) -> None:
    for step, following in zip(path, [*path[1:], None], strict=True):
        if isinstance(step, int):
            if not isinstance(tree, list) or step > _MAX_INDEX:
                raise ValueError("a place in a list that there is not")
            tree.extend([None] * (step + 1 - len(tree)))
            present = tree[step]
        elif isinstance(tree, dict):
            present = tree.get(step)
        else:
            raise ValueError("a place in an object that there is not")
        if following is None:
            tree[step] = present + value if isinstance(present, str) and isinstance(value, str) else value
        elif present is None:
            tree[step] = present = [] if isinstance(following, int) else {}
        tree = present
