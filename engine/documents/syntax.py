"""The parser's messages in words for the person who wrote the text."""

from __future__ import annotations

#: Part of the parser's message, what to say instead ("" keeps its words), and what to do.
_TABLE = (
    ("expected alphabetic or numeric", "an anchor or alias without a name",
     'quote a text that begins with "*" or "&", for example "*-mini"'),
    ("expected node content", "a value is missing here", "look for a comma or a bracket too many"),
    ("expected the node content", "a value is missing here", "look for a comma or a bracket too many"),
    ("directive name", "a line that begins with %", "quote the text; files are read as YAML 1.2 without a %YAML line"),
    ("cannot start any token", "a value starts with a character that YAML reserves",
     "indent with spaces, not tabs; quote a text that begins with @ ` % or a tab"),
    ("mapping values are not allowed", 'a ": " where no key can be',
     'quote a text that contains ": ", and check that the indentation matches the lines above'),
    ("unexpected end of stream", "a quote or bracket is never closed", "close it; it opened at the place shown"),
    ("unexpected document indicator", "a quote is still open where the next document begins", "close the quote"),
    ("unknown escape character", "an unknown escape in a double-quoted text",
     "write the backslash twice, or use single quotes"),
    ("did not find expected hexdecimal number", "an escape that lacks digits", r"write for example \x41 or \u00e9"),
    ("expected escape sequence of", "an escape that lacks digits", r"write for example \x41 or \u00e9"),
    ("invalid Unicode character escape", "an escape that is no character",
     "write the character itself, or \\U with eight digits for one outside of the basic plane"),
    ("could not find expected ':'", 'a key without a ":"',
     'write "key: value", and quote a text that goes over several lines'),
    ("expected <block end>", "this does not fit the lines above",
     "check the indentation: entries of one list or mapping start in the same column"),
    ("did not find expected key", "this does not fit the lines above",
     "check the indentation, and quote a text that contains quotes or brackets"),
    ("did not find expected '-' indicator", "this does not fit the list above",
     "check the indentation: entries of one list start in the same column"),
    ("did not find expected ',' or ']'", 'a "[" list that is not closed or lacks a comma',
     "separate the entries with commas and close the bracket"),
    ("did not find expected ',' or '}'", 'a "{" mapping that is not closed or lacks a comma',
     "separate the entries with commas and close the brace"),
    ("expected ',' or ']'", 'a "[" list that is not closed or lacks a comma',
     "separate the entries with commas and close the bracket"),
    ("expected ',' or '}'", 'a "{" mapping that is not closed or lacks a comma',
     "separate the entries with commas and close the brace"),
    ("block sequence entries are not allowed", 'a "- " where no list can be',
     "start the list on a line of its own, under its key"),
    ("document start", "something follows the end of the document", 'begin another document with a line "---"'),
    ("incompatible YAML document", "a %YAML line with another version", "remove it: files are read as YAML 1.2"),
    ("tab character", "a tab where spaces must be", "indent with spaces"),
    ("undefined tag handle", "a tag with an unknown prefix", "remove the tag: quotes alone make a text"),
)  # fmt: skip


def explain_syntax(problem: str, context: str) -> tuple[str, str]:
    """A summary and a hint for the parser's ``problem``, met in ``context``."""
    for part, summary, hint in _TABLE:
        if part in problem:
            return summary, hint
    said = " ".join(f"{context} {problem}".split())[:200] or "not YAML"
    return said, "check the quotes, brackets and indentation around this place"
