"""Keeps literal secrets out of everything that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAMES = (
    # The one field of the language that ends like a secret.
    r"(?!first_token)(?:[\w-]*[_-])?(?:secret|password|passwd|passphrase|token|api[_-]?key|apikey|private[_-]?key|access[_-]?key|"
    r"authorization|credentials?)"
)
_IS_NAME = re.compile(_NAMES, re.IGNORECASE)
#: A scalar after such a key, in block or flow style; references ({env: NAME}, {file: PATH}) begin with a brace.
_IN_LINE = re.compile(
    rf"""(?<![\w-])(["']?{_NAMES}["']?[ \t]*:[ \t]+|["']{_NAMES}["']:)(?!\{{|\[|[|>][-+0-9]*[ \t]*$|[&*#])"""
    r"""("(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|[^\s,}\]#](?:[^,}\]#\n]*[^\s,}\]#])?)""",
    re.IGNORECASE | re.VERBOSE,
)
#: Words that look like an issued key wherever they stand.
_ISSUED = re.compile(
    r"\b(?:[sprg]{1,2}k[-_][\w-]{12,}|[a-z]{2,6}[-_](?=\w*\d)(?=\w*[A-Z])\w{16,}|AKIA\w{12,}|AIza[\w-]{20,}|"
    r"eyJ[\w-]{20,}(?:\.[\w-]+)*)"
)
#: The login in an address.
_LOGIN = re.compile(r"""(?i)(\b[a-z][a-z0-9+.-]*://)([^\s/@"']+)(?=@)""")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)[ \t]+)([\w.~+/=-]{8,})")
#: What the name of an environment variable looks like: a literal secret put where the name belongs does not.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]{0,30}")


def _stars(text: str) -> str:
    return "*" * len(text)


def mask_line(line: str) -> str:
    """``line`` with everything that looks like a literal secret replaced by as many asterisks."""
    line = _IN_LINE.sub(lambda m: m[1] + _stars(m[2]), line)
    line = _BEARER.sub(lambda m: m[1] + _stars(m[2]), line)
    return _mask_words(line)


def _mask_words(text: str) -> str:
    """``text`` without what is a secret wherever it stands."""
    text = _LOGIN.sub(lambda m: m[1] + _stars(m[2]), text)
    return _ISSUED.sub(lambda m: _stars(m[0]), text)


def literal_secrets(tree: Mapping[str, Any]) -> list[str]:
    """The texts in ``tree`` that stand where a secret would, line by line, the longest first."""
    return sorted(set(_secrets(tree)), key=len, reverse=True)


def mask(text: str, secrets: Sequence[str], *, line: bool = False) -> str:
    """``text`` without ``secrets`` and whatever looks like one; ``line`` says that it is a line of YAML."""
    masked = mask_line(text) if line else _mask_words(text)
    for secret in secrets:
        if secret in masked:
            masked = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _stars(secret), masked)
    return masked


def _secrets(tree: Any) -> Iterator[str]:
    """The literal secrets of a tree, line by line."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        if not isinstance(node, Mapping):
            continue
        for key, value in node.items():
            if not _IS_NAME.fullmatch(key):
                todo.append(value)
            elif isinstance(value, str):
                yield from _lines(value)
            elif isinstance(value, Mapping):
                name = value.get("env")
                if isinstance(name, str) and not _VARIABLE.fullmatch(name):
                    yield from _lines(name)
                todo.extend(child for part, child in value.items() if part not in ("env", "file"))
                yield from (
                    line
                    for part, child in value.items()
                    if part not in ("env", "file") and isinstance(child, str)
                    for line in _lines(child)
                )
            elif isinstance(value, list):
                yield from (line for child in value if isinstance(child, str) for line in _lines(child))
                todo.append(value)


def _lines(value: str) -> Iterator[str]:
    for line in value.split("\n"):
        if stripped := line.strip():
            yield stripped
