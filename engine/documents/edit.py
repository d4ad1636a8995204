"""Editing documents in place: comments, order and spacing stay as people wrote them (by ruamel.yaml)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from yaml import ScalarNode
from yaml.resolver import Resolver

Path = tuple[str, ...]
_STRING = "tag:yaml.org,2002:str"


class EditError(ValueError):
    """The text cannot be edited; the message says why."""


def edited(text: str, kind: str, name: str, changes: Mapping[Path, Any]) -> str:
    """The text with these changes in the document of this kind and name; everything else stays as it is.

    A change sets the value at a path of keys, or removes it (``None``). Raises :class:`EditError` where the document is
    not there, cannot be read, or a path leads through something that is not a mapping.
    """
    yaml = _yaml()
    try:
        documents: list[Any] = list(yaml.load_all(text))
    except YAMLError as problem:
        raise EditError(f"the file cannot be read: {problem}") from None
    document = next((d for d in documents if _is(d, kind, name)), None)
    if document is None:
        raise EditError(f"there is no {kind} {name!r} in the file")
    for path, value in changes.items():
        _change(document, path, value)
    out = io.StringIO()
    if len(documents) == 1:
        yaml.dump(documents[0], out)
    else:
        yaml.dump_all(documents, out)
    return out.getvalue()


def written(document: Mapping[str, Any]) -> str:
    """A new document's text."""
    out = io.StringIO()
    _yaml().dump(dict(document), out)
    return out.getvalue()


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_duplicate_keys = False
    return yaml


def _is(document: Any, kind: str, name: str) -> bool:
    return isinstance(document, Mapping) and document.get("kind") == kind and document.get("name") == name


def _change(document: CommentedMap, path: Sequence[str], value: Any) -> None:
    node = document
    for step in path[:-1]:
        inner = node.get(step)
        if inner is None:
            if value is None:
                return
            inner = node[step] = CommentedMap()
        if not isinstance(inner, CommentedMap):
            raise EditError(f"{'.'.join(path)}: {step!r} is not a mapping")
        node = inner
    if value is None:
        node.pop(path[-1], None)
    else:
        node[path[-1]] = _styled(value)


def _styled(value: Any) -> Any:
    """A new value as people write it: a mapping of plain values on one line, anything larger on lines of its own."""
    if isinstance(value, Mapping):
        made = CommentedMap((key, _styled(inner)) for key, inner in value.items())
        if not any(isinstance(inner, Mapping | list) for inner in value.values()):
            made.fa.set_flow_style()
        return made
    if isinstance(value, list):
        return [_styled(inner) for inner in value]
    # What other tools' YAML 1.1 would take for a date, a number or a truth value stands in quotes.
    if isinstance(value, str):
        resolver: Any = Resolver()
        if resolver.resolve(ScalarNode, value, (True, False)) != _STRING:
            return DoubleQuotedScalarString(value)
    return value
