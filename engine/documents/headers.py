"""The three keys that every document has: ``version``, ``kind`` and ``name``."""

from __future__ import annotations

import re
from typing import Any

from engine.diagnostics import Diagnostic, did_you_mean
from engine.documents.locate import diagnose
from engine.documents.model import KINDS, Document

#: Names are used in references ("provider/model"), in globs, in headers and in metric labels.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
#: A test's name is a sentence: nothing refers to it.
TEST_NAME_PATTERN = r"^\S(.*\S)?$"
NAME_LENGTH = 128

_NAME = re.compile(NAME_PATTERN)
_TEST_NAME = re.compile(TEST_NAME_PATTERN)


def header(tree: dict[str, Any]) -> tuple[str | None, str | None]:
    """Kind and name of a document, None for one that is not said properly."""
    kind, name = tree.get("kind"), tree.get("name")
    return (
        kind if isinstance(kind, str) and kind in KINDS else None,
        name if isinstance(name, str) and name != "" else None,
    )


def check_header(document: Document, *, overlay: bool = False) -> list[Diagnostic]:
    """What is wrong with the three keys. A document of an overlay may leave the version to the one it changes."""
    tree = document.tree
    version, kind, name = tree.get("version"), document.kind, document.name
    good_name = (
        name is not None and len(name) <= NAME_LENGTH and (_TEST_NAME if kind == "test" else _NAME).fullmatch(name)
    )
    if type(version) is int and version == 1 and kind is not None and good_name:
        return []
    found: list[Diagnostic] = []
    if "version" not in tree:
        if not overlay:
            found.append(
                diagnose(document, "D121", (), "the document does not say its version", hint='add "version: 1"')
            )
    elif type(version) is not int or version != 1:
        found.append(
            diagnose(document, "D122", ("version",), f"unsupported version {_show(version)}", hint='write "version: 1"')
        )
    found.extend(_kind(document, tree))
    if "name" not in tree:
        what = f"the {kind or 'document'} has no name"
        found.append(diagnose(document, "D125", (), what, hint='add "name: SOMETHING"; references use it'))
    elif not good_name:
        rule = (
            "one line without spaces at its ends"
            if kind == "test"
            else "letters, digits, dots, underscores and hyphens, starting with a letter or digit"
        )
        hint = f"a name has {rule}, and at most {NAME_LENGTH} characters"
        if not isinstance(tree["name"], str):
            hint = f"names are texts: quote it if {_show(tree['name'])} is meant"
        found.append(diagnose(document, "D126", ("name",), f"{_show(tree['name'])} is not a name", hint=hint))
    return found


def _kind(document: Document, tree: Any) -> list[Diagnostic]:
    if "kind" not in tree:
        hint = f'add "kind: ..."; one of {", ".join(KINDS)}'
        return [diagnose(document, "D123", (), "the document does not say its kind", hint=hint)]
    if document.kind is None:
        close = did_you_mean(tree["kind"], KINDS) if isinstance(tree["kind"], str) else None
        hint = f'did you mean "{close}"?' if close else f"the kinds are {', '.join(KINDS)}"
        return [diagnose(document, "D124", ("kind",), f"unknown kind {_show(tree['kind'])}", hint=hint)]
    return []


def _show(value: Any) -> str:
    """A short form of ``value`` as YAML writes it."""
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, list):
        return "[...]"
    if isinstance(value, str):
        return f'"{value if len(value) <= 60 else value[:57] + "..."}"'
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if not _number(value) else str(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
