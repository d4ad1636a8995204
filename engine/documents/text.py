"""Bytes to text, and text to the pieces that hold one document each."""

from __future__ import annotations

import codecs
import re

from engine.documents.builder import Finding
from engine.documents.limits import LIMITS

#: Everything that is not printable text: control characters, surrogates and non-characters, the separators that only
#: some readers count as line ends, byte order marks, and the controls that make text read otherwise than it looks.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_MARKER = re.compile(r"\n(---|\.\.\.)(?=[ \t\n]|\Z)")
#: Blank lines, comments and directives: what may come before the line "---" of a document.
_PREFACE = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n|%[^\n]*\n)*+")
_UTF16 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Where NULs are among the first four bytes of an ASCII text in UTF-16 or UTF-32 of either byte order.
_WIDE = frozenset(
    {
        (False, True, False, True),
        (True, False, True, False),
        (False, True, True, True),
        (True, True, True, False),
    }
)
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def decode(content: bytes) -> tuple[str, Finding | None]:
    """The text of a file, and what is wrong with its encoding; the text is readable but not to be parsed then."""
    if content.startswith(_UTF16) or tuple(byte == 0 for byte in content[:4]) in _WIDE:
        return "", Finding("D107", 0, 0, 0, "the file is UTF-16 or UTF-32", hint="save it as UTF-8")
    if content.startswith(codecs.BOM_UTF8):
        text = content.decode("utf-8", "replace")[1:]
        return text, Finding(
            "D108", 0, 0, 1, "the file starts with a byte order mark", hint="save it as UTF-8 without a byte order mark"
        )
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError as error:
        before = newlines(content[: error.start].decode("utf-8"))
        line, column = place(before, len(before))
        return content.decode("utf-8", "replace"), Finding(
            "D107",
            line,
            column,
            column + 1,
            f"the byte 0x{content[error.start]:02x} is not UTF-8",
            hint="save the file as UTF-8",
        )


def forbidden(text: str) -> list[Finding]:
    """A finding for each character that must not be in a file, up to the limit."""
    found = []
    for match in _FORBIDDEN.finditer(text):
        line, column = place(text, match.start())
        found.append(Finding("D106", line, column, column + 1, *_name(match[0])))
        if len(found) >= LIMITS.findings // 10:
            break
    return found


def _name(character: str) -> tuple[str, str, str, str]:
    """Summary, label, detail and hint for a character that must not be there."""
    point = ord(character)
    shown = f"U+{point:04X}"
    if point == 0:
        return "a NUL in the file", "", "", "remove it; the file may be damaged or not be text at all"
    if character in "\x85\u2028\u2029":
        return f"the line separator {shown}", "", "", f'end lines with a newline; within a text write "\\u{point:04x}"'
    if character in _BIDI:
        detail = "Such characters make a line read otherwise than the program does."
        return f"the invisible text direction control {shown}", "", detail, f'remove it, or write "\\u{point:04x}"'
    if character == "\ufeff":
        return "a byte order mark inside the file", "", "", "remove it; it often comes from joining two files"
    return f"the control character {shown}", "", "", f'remove it, or write "\\u{point:04x}" in double quotes'


def place(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 0, of the character at ``index`` of a text with newlines alone."""
    return text.count("\n", 0, index), index - (text.rfind("\n", 0, index) + 1)


def newlines(text: str) -> str:
    """``text`` with every line end written as a newline, which is how YAML reads it."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def split(text: str) -> list[tuple[int, str]]:
    """The pieces of a file that hold one document each, as (first line, text); lines count from 0.

    Cutting at the markers is exact: neither may stand at the start of a line inside of a quoted or block text. A piece
    can be reused when another one of the same file changes, and a syntax error does not hide the documents after it.
    Cutting stops after one piece more than the limit.
    """
    pieces: list[tuple[int, str]] = []
    start, line, opened = 0, 0, False

    def cut(end: int, keep: bool = True) -> None:
        nonlocal start, line
        piece = text[start:end]
        if keep and piece and not piece.isspace():
            pieces.append((line, piece))
        start, line = end, line + piece.count("\n")

    # The newline in front lets the search skip from line to line; it makes an index that of the marker itself.
    for match in _MARKER.finditer("\n" + text):
        if len(pieces) > LIMITS.documents:
            break
        at = match.start()
        if match[1] == "---":
            if opened or _PREFACE.fullmatch(text, start, at) is None:
                cut(at)
            opened = True
        else:
            # A mark that ends nothing is nothing.
            bare = not opened and _PREFACE.fullmatch(text, start, at) is not None
            end = text.find("\n", at) + 1 or len(text)
            cut(end, keep=not bare)
            opened = False
    cut(len(text))
    return pieces
