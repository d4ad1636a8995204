"""Plain scalars by the core schema of YAML 1.2: no ``yes`` and ``no``, no base 60, no dates, no octal by a zero."""

from __future__ import annotations

import math
import re

#: Characters with which a plain scalar that is not a string can start; everything else needs no further look.
_STARTS = frozenset("0123456789+-.nNtTfF~")

_WORDS = {
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

#: Integers outside of this range have no equal in most JSON readers.
_LOW, _HIGH = -(2**63), 2**64 - 1
#: The longest number that is looked at: conversions of longer ones take quadratic time.
_DIGITS = 400


class NumberError(ValueError):
    """A plain scalar is a number that JSON cannot carry."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of the plain scalar ``text``. Raises ``NumberError`` for NaN, infinity and numbers out of range."""
    if text and text[0] not in _STARTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _integer(text, 10)
    if _FLOAT.fullmatch(text):
        number = float(text) if len(text) <= _DIGITS else math.inf
        if math.isinf(number):
            raise NumberError("the number is too large")
        return number
    if _OCTAL.fullmatch(text):
        return _integer(text[2:], 8)
    if _HEX.fullmatch(text):
        return _integer(text[2:], 16)
    if _NOT_FINITE.fullmatch(text):
        raise NumberError(f'"{text}" is not a finite number')
    return text


def _integer(digits: str, base: int) -> int:
    number = int(digits, base) if len(digits) <= _DIGITS else _HIGH + 1
    if not _LOW <= number <= _HIGH:
        raise NumberError("the number does not fit into 64 bits")
    return number
