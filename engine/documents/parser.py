"""The YAML parser: libyaml's where PyYAML was built with it, else the pure Python one of the same package.

Only the event interface is used. It resolves nothing and constructs nothing, so that every limit is ours and is applied
while reading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

try:
    from yaml._yaml import CParser
except ImportError:  # pragma: no cover - PyYAML built without libyaml
    CParser = None  # type: ignore[assignment, misc]


class PureParser(Reader, Scanner, Parser):
    """PyYAML's own parser, many times slower than libyaml's and equally strict."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


#: Whether libyaml does the parsing.
FAST = CParser is not None


def events(text: str) -> Callable[[], Any]:
    """A function that returns the next event of ``text`` each time; it raises ``yaml.YAMLError`` at a syntax error."""
    parser = CParser(text) if FAST else PureParser(text)
    return parser.get_event
