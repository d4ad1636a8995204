"""Findings for build servers and for comments on pull requests: JUnit's XML and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from engine.diagnostics.human import render_one
from engine.diagnostics.model import Diagnostic
from engine.diagnostics.order import count, sort, summary
from engine.diagnostics.plain import clean, one_line

Case = tuple[str, str, Sequence[Diagnostic]]
"""Name of a test case, its file, and what was found in it; it failed if one of these is an error."""


def render_junit(diagnostics: Sequence[Diagnostic], *, documents: int) -> str:
    """A test case for each file with findings: failed if one is an error, else passed with the findings as its output.

    Without findings there is one case for the configuration, which passed.
    """
    cases: list[Case] = [(file, file, list(group)) for file, group in groupby(sort(diagnostics), key=lambda d: d.file)]
    properties = {**count(diagnostics), "documents": documents}
    return suite("interlock check", cases or [("configuration", "", ())], summary(diagnostics, documents), properties)


def suite(name: str, cases: Sequence[Case], said: str, properties: Mapping[str, int] = MappingProxyType({})) -> str:
    """JUnit's XML of a suite with these cases; ``said`` is its output."""
    failed = sum(any(one.severity == "error" for one in found) for _, _, found in cases)
    totals = f'tests="{len(cases)}" failures="{failed}" errors="0" skipped="0"'
    rows = [f'      <property name="{key}" value="{value}"/>' for key, value in properties.items()]
    classname = name.replace(" ", ".")
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="interlock" {totals}>',
            f'  <testsuite name="{name}" {totals}>',
            *(["    <properties>", *rows, "    </properties>"] if rows else []),
            *(_case(classname, *case) for case in cases),
            f"    <system-out>{_xml(said)}</system-out>",
            "  </testsuite>",
            "</testsuites>",
            "",
        ]
    )


def _case(classname: str, name: str, file: str, found: Sequence[Diagnostic]) -> str:
    head = f'    <testcase classname="{classname}" name="{_xml(name)}"' + (f' file="{_xml(file)}"' if file else "")
    if not found:
        return f"{head}/>"
    text = _xml("\n".join(render_one(one) for one in found))
    errors = [one for one in found if one.severity == "error"]
    if not errors:
        return f"{head}>\n      <system-out>{text}</system-out>\n    </testcase>"
    first = f"{errors[0].code}: {one_line(errors[0].summary)}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    failure = f'<failure message="{_xml(first + more)}" type="{_xml(errors[0].code)}">{text}</failure>'
    return f'{head} line="{errors[0].line}">\n      {failure}\n    </testcase>'


def _xml(text: str) -> str:
    """``text`` for an element or a quoted attribute; what XML cannot carry is shown by a picture."""
    lines = "\n".join(clean(line) for line in text.split("\n"))
    lines = lines.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    return lines.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def render_markdown(diagnostics: Sequence[Diagnostic], *, documents: int) -> str:
    """A table of findings, then the summary; ends with a newline."""
    lines = []
    if diagnostics:
        lines += ["| Severity | Code | Place | Finding | What to do |", "| --- | --- | --- | --- | --- |"]
        for found in diagnostics:
            finding = _markdown(found.summary) + (f"<br>{_markdown(found.label)}" if found.label else "")
            hint = "<br>".join(_markdown(part) for part in (found.detail, found.hint) if part)
            place = _markdown(f"{found.file}:{found.line}:{found.column}")
            lines.append(f"| {found.severity} | {_markdown(found.code)} | {place} | {finding} | {hint} |")
        lines.append("")
    return "\n".join([*lines, summary(diagnostics, documents)]) + "\n"


def _markdown(text: str) -> str:
    """``text`` as literal text of a table cell."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@&#8203;")
