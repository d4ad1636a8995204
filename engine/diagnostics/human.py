"""Findings for people: the line of the file, a caret under the place, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.diagnostics.model import Diagnostic
from engine.diagnostics.order import summary
from engine.diagnostics.plain import clean, expand, one_line, width

_COLORS = {"error": "1;31", "warning": "1;33", "note": "1;36", "frame": "1;34", "bold": "1"}
#: The widest excerpt that is shown whole, and how much of a wider one stands before and after the place.
_WIDEST, _BEFORE, _AFTER = 160, 60, 80
#: Paragraphs are wrapped at this width.
_PARAGRAPH = 100


def render_human(diagnostics: Sequence[Diagnostic], *, documents: int, color: bool = False) -> str:
    """One block for each finding, in order, then the summary; ``color`` adds ANSI escapes. Ends with a newline."""
    blocks = [render_one(found, color=color) for found in diagnostics]
    return "\n".join([*blocks, summary(diagnostics, documents) + "\n"])


def render_one(found: Diagnostic, *, color: bool = False) -> str:
    """The block of one finding; ends with a newline."""
    gutter = max(2, len(str(found.line)))
    bar = _paint(f"{' ' * gutter} |", "frame", color)
    head = _paint(f"{found.severity}[{found.code}]", found.severity, color)
    lines = [
        f"{head}{_paint(': ' + one_line(found.summary), 'bold', color)}",
        f"{_paint(' ' * gutter + '-->', 'frame', color)} {clean(found.file)}:{found.line}:{found.column}",
    ]
    if found.excerpt:
        shown, indent, carets = _window(found)
        mark = _paint(" ".join(filter(None, ["^" * carets, one_line(found.label)])), found.severity, color)
        number = _paint(f"{found.line:>{gutter}} |", "frame", color)
        lines += [bar, f"{number} {shown}", f"{bar} {' ' * indent}{mark}"]
    elif found.label:
        lines.append(_note(found.label, gutter, color))
    for file, line, column, what in found.related:
        arrow = _paint(f"{' ' * gutter}:::", "frame", color)
        lines.append(f"{arrow} {clean(file)}:{line}:{column} {one_line(what)}")
    lines += [_note(paragraph, gutter, color) for paragraph in found.detail.split("\n") if paragraph.strip()]
    if found.hint:
        lines.append(_note(found.hint, gutter, color))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _window(found: Diagnostic) -> tuple[str, int, int]:
    """The excerpt as it is shown, the columns before the carets, and how many carets there are."""
    text = found.excerpt
    start = min(found.column - 1, len(text))
    end = min(max(found.end_column - 1, start), len(text))
    left, cut = "", 0
    if width(expand(text)) > _WIDEST:
        cut, stop = max(0, start - _BEFORE), start + _AFTER
        left = "..." if cut else ""
        text = text[:stop] + ("..." if stop < len(text) else "")
        end = min(end, stop)
    before = expand(text[cut:start])
    return left + expand(text[cut:]), width(left + before), max(1, width(expand(text[start:end])))


def _note(text: str, gutter: int, color: bool) -> str:
    head = _paint(f"{' ' * gutter} =", "frame", color)
    rest = " " * (gutter + 3)
    wrapped = textwrap.wrap(one_line(text), _PARAGRAPH, break_long_words=False, break_on_hyphens=False)
    return f"{head} " + f"\n{rest}".join(wrapped)


def _paint(text: str, style: str, color: bool) -> str:
    return f"\x1b[{_COLORS[style]}m{text}\x1b[0m" if color and text else text
