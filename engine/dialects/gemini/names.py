"""The names of fields: the protocol takes ``camelCase`` and ``snake_case`` (proto3's JSON), we write the former."""

from __future__ import annotations

import functools
from typing import Any

ORIGIN = "gemini"


@functools.lru_cache(maxsize=4096)
def camel(name: str) -> str:
    """``inline_data`` as ``inlineData``."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def fields(tree: Any) -> dict[str, Any]:
    """The fields of an object that have a value, by their names in ``camelCase``; empty for anything but an object."""
    if not isinstance(tree, dict):
        return {}
    return {camel(name) if "_" in name else name: value for name, value in tree.items() if value is not None}


def bare(model: str) -> str:
    """The model's own name without what it stands in: ``models/``, a project's or a publisher's path."""
    return model.rsplit("/", 1)[-1]


def older(model: str) -> bool:
    """Whether the model came before the third generation, which words, signatures and files in results came with."""
    return bare(model).startswith(("gemini-1", "gemini-2", "gemma", "learnlm"))
