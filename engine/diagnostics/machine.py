"""Findings for programs: JSON, workflow commands of GitHub Actions, and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

from engine.diagnostics.codes import CODES
from engine.diagnostics.model import Code, Diagnostic
from engine.diagnostics.order import count, summary
from engine.diagnostics.plain import clean, one_line

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_COMMAND = {"error": "error", "warning": "warning", "note": "notice"}


def to_dict(found: Diagnostic) -> dict[str, Any]:
    """The finding as JSON values, under the names of the fields of ``Diagnostic``."""
    return {
        "code": found.code,
        "severity": found.severity,
        "summary": found.summary,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "end_column": found.end_column,
        "excerpt": found.excerpt,
        "label": found.label,
        "detail": found.detail,
        "hint": found.hint,
        "related": [{"file": f, "line": n, "column": c, "text": text} for f, n, c, text in found.related],
    }


def render_json(diagnostics: Sequence[Diagnostic], *, documents: int) -> str:
    """An object with ``diagnostics`` and ``summary``; ends with a newline."""
    counts = {**count(diagnostics), "documents": documents, "text": summary(diagnostics, documents)}
    body = {"diagnostics": [to_dict(found) for found in diagnostics], "summary": counts}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def message(found: Diagnostic) -> str:
    """Everything that is said about a finding, a line for each part; the first is the summary."""
    related = [f"{file}:{line}:{column} {what}" for file, line, column, what in found.related]
    parts = [found.summary, found.label, *related, found.detail, found.hint]
    return "\n".join(one_line(part) for part in parts if part)


def render_github(diagnostics: Sequence[Diagnostic], *, documents: int) -> str:
    """A workflow command for each finding, which GitHub shows beside the line, then the summary as a line of the log.

    Paths are those of the findings: annotations need them relative to the repository (``relocate``).
    """
    lines = []
    for found in diagnostics:
        fields = {
            "file": clean(found.file),
            "line": str(found.line),
            "endLine": str(found.line),
            "col": str(found.column),
            "endColumn": str(found.end_column),
            "title": f"{found.code}: {CODES[found.code].title}" if found.code in CODES else found.code,
        }
        shown = ",".join(f"{name}={_property(value)}" for name, value in fields.items())
        lines.append(f"::{_COMMAND[found.severity]} {shown}::{_data(message(found))}")
    return "\n".join([*lines, summary(diagnostics, documents)]) + "\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render_sarif(diagnostics: Sequence[Diagnostic], *, documents: int) -> str:
    """A SARIF 2.1.0 log with one run; every code is a rule. Ends with a newline."""
    rules = sorted(CODES.values(), key=lambda code: code.code)
    index = {code.code: position for position, code in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "interlock", "rules": [_rule(code) for code in rules]}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(found, index) for found in diagnostics],
        "properties": {**count(diagnostics), "documents": documents, "summary": summary(diagnostics, documents)},
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.code,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.text.split("\n\n", 1)[0]},
        "help": {"text": code.text},
        "defaultConfiguration": {"level": code.severity},
    }


def _result(found: Diagnostic, index: dict[str, int]) -> dict[str, Any]:
    region: dict[str, Any] = {
        "startLine": found.line,
        "startColumn": found.column,
        "endLine": found.line,
        "endColumn": found.end_column,
    }
    if found.excerpt:
        region["snippet"] = {"text": found.excerpt}
    identity = blake2b(f"{found.code}\0{found.file}\0{found.summary}".encode(), digest_size=16).hexdigest()
    result: dict[str, Any] = {
        "ruleId": found.code,
        "level": found.severity,
        "message": {"text": message(found)},
        "locations": [{"physicalLocation": {"artifactLocation": _artifact(found.file), "region": region}}],
        "partialFingerprints": {"interlockFinding/v1": identity},
    }
    if found.code in index:
        result["ruleIndex"] = index[found.code]
    if found.related:
        result["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": what},
                "physicalLocation": {
                    "artifactLocation": _artifact(file),
                    "region": {"startLine": line, "startColumn": column},
                },
            }
            for number, (file, line, column, what) in enumerate(found.related, 1)
        ]
    return result


def _artifact(file: str) -> dict[str, str]:
    return {"uri": quote(file, safe="/"), "uriBaseId": "%SRCROOT%"}
