"""Findings for build servers and for comments on pull requests: JUnit's XML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from engine.diagnostics.human import render_one
from engine.diagnostics.model import Diagnostic
from engine.diagnostics.order import count, sort, summary
from engine.diagnostics.plain import clean, one_line


def render_junit(diagnostics: Sequence[Diagnostic], *, documents: int) -> str:
    """A test case for each file with findings: failed if one is an error, else passed with the findings as its output.

    Without findings there is one case for the configuration, which passed.
    """
    counts = count(diagnostics)
    cases: list[str] = []
    failed = 0
    for file, group in groupby(sort(diagnostics), key=lambda found: found.file):
        found = list(group)
        errors = [one for one in found if one.severity == "error"]
        failed += bool(errors)
        cases.append(_case(file, found, errors))
    if not cases:
        cases.append('    <testcase classname="interlock.check" name="configuration"/>')
    totals = f'tests="{len(cases)}" failures="{failed}" errors="0" skipped="0"'
    properties = [f'      <property name="{name}" value="{value}"/>' for name, value in counts.items()]
    properties.append(f'      <property name="documents" value="{documents}"/>')
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="interlock" {totals}>',
            f'  <testsuite name="interlock check" {totals}>',
            "    <properties>",
            *properties,
            "    </properties>",
            *cases,
            f"    <system-out>{_xml(summary(diagnostics, documents))}</system-out>",
            "  </testsuite>",
            "</testsuites>",
            "",
        ]
    )


def _case(file: str, found: list[Diagnostic], errors: list[Diagnostic]) -> str:
    text = _xml("\n".join(render_one(one) for one in found))
    head = f'    <testcase classname="interlock.check" name="{_xml(file)}" file="{_xml(file)}"'
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
