"""Text that is safe to show: one line is one line, and nothing in it steers a terminal, an editor or a log viewer."""

from __future__ import annotations

import unicodedata

_TAB = "    "


def clean(text: str) -> str:
    """``text`` with every control character replaced by its picture or U+FFFD, character by character."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _picture(character) for character in text)


def _picture(character: str) -> str:
    point = ord(character)
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "\u2421"
    # Spaces other than U+0020 and joiners are part of ordinary writing; what else cannot be printed is not.
    return character if unicodedata.category(character) == "Zs" or character in "\u200c\u200d" else "\ufffd"


def one_line(text: str) -> str:
    """``text`` as a single line that is safe to show."""
    return clean(" ".join(text.split()) if not text.isprintable() else text)


def expand(text: str) -> str:
    """A line of a file as it is shown: tabs become four spaces, other control characters visible."""
    return clean(text.replace("\t", _TAB))


def width(text: str) -> int:
    """How many columns of a terminal ``text`` takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character) or character in "\u200b\u200c\u200d\ufe0e\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
