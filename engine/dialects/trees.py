"""Reading JSON trees that others wrote: what has another type than the protocol's counts as absent."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any

import msgspec

_NOTHING: dict[str, Any] = {}


def json_tree(data: bytes | str) -> Any:
    """The value in a JSON text. Raises ``ValueError`` for anything else."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise ValueError(f"not JSON: {problem}") from None


def json_object(data: bytes) -> dict[str, Any]:
    """The object in a JSON text, else an empty one; not to be changed."""
    try:
        return mapping(json_tree(data))
    except ValueError:
        return _NOTHING


def json_text(value: Any) -> str:
    """The value as JSON without blanks."""
    return msgspec.json.encode(value).decode()


def text(value: Any) -> str:
    """The string, else an empty one."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    """The object, else an empty one; not to be changed."""
    return value if isinstance(value, dict) else _NOTHING


def items(value: Any) -> list[Any]:
    """The list, else an empty one."""
    return value if isinstance(value, list) else []


def mappings(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The strings of a list; a single string is a list of one."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def count(value: Any) -> int | None:
    """A whole number from 0 on (``40.0`` is one), else ``None``."""
    if type(value) is int:  # nearly always
        return value if value >= 0 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
        return value if value >= 0 else None
    return None


def whole(value: Any) -> int | None:
    """A whole number, else ``None``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A number, as it came, else ``None``."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def flag(value: Any) -> bool | None:
    """True or false, else ``None``."""
    return value if isinstance(value, bool) else None


def others(tree: dict[str, Any], known: Container[str]) -> dict[str, Any]:
    """The fields that have a value and are not ``known``."""
    return {name: value for name, value in tree.items() if value is not None and name not in known}


def seconds(value: Any) -> int | None:
    """A time as RFC 3339 writes it in Unix seconds, else ``None``."""
    try:
        return int(datetime.fromisoformat(value).timestamp()) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def total(*counts: int | None) -> int | None:
    """The sum of what is known; ``None`` where nothing is."""
    known = [value for value in counts if value is not None]
    return sum(known) if known else None


def arguments_object(arguments: str) -> dict[str, Any]:
    """The arguments of a tool call as the object that some protocols want.

    Text that is no JSON object (models do write such) stands in one under ``arguments``: the model then still sees what
    it wrote.
    """
    try:
        value = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = arguments
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"arguments": value}
