"""From a document to a typed declaration, or to everything that is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import ValidationError

from engine.diagnostics import Diagnostic
from engine.documents import Document, diagnose
from engine.documents.headers import check_header

from .kinds import MODELS, Declaration

if TYPE_CHECKING:
    from .explain import Finding

#: What to do where a finding has no better advice of its own: every finding has a remedy.
_REMEDIES = {
    "S201": "remove the key",
    "S202": "add the key",
    "S203": "write it as a value of that kind",
    "S204": "write one of these",
    "S205": "write it in that form",
    "S206": "write a value, or remove the key",
    "S208": "keep one of them",
    "S210": "write a value within these bounds",
    "S211": "write something shorter",
    "S212": "write one of these forms",
}
_LAST_REMEDY = "correct it; schemas/ describes every key"

#: What the loader has already said of a document whose first three keys are wrong.
_HEADER = ("version", "kind", "name")


def validate(document: Document) -> tuple[Declaration | None, list[Diagnostic]]:
    """The declaration that ``document`` makes, or None and every problem it has, in the order of the text.

    pydantic alone decides; the JSON Schema is asked for words only once a document is refused. What is wrong with
    ``version``, ``kind`` and ``name`` the loader has reported, so that a document whose kind is unknown has no
    diagnostics here.
    """
    model = MODELS.get(document.kind or "")
    if model is None:
        return None, []
    try:
        return model.model_validate_json(_encode(document.tree)), []
    except ValidationError as error:
        return None, _diagnose(document, error)


def _encode(tree: Any) -> bytes:
    try:
        return msgspec.json.encode(tree)
    except (OverflowError, UnicodeEncodeError):
        # Whole numbers beyond 64 bits and lone surrogates: legal in JSON's notation, and refused where they stand.
        return json.dumps(tree).encode()


def _diagnose(document: Document, error: ValidationError) -> list[Diagnostic]:
    # jsonschema is slow to import and wanted for broken documents only.
    from .explain import explain, leftovers, rules

    kind, tree = str(document.kind), document.tree
    findings = explain(kind, tree)
    said = {(finding.code, finding.path) for finding in findings}
    findings += [finding for finding in rules(error, tree) if (finding.code, finding.path) not in said]
    if not findings:
        findings = leftovers(error, tree)
    if check_header(document):
        findings = [f for f in findings if not _is_header(f)]
    subject = f'{kind} "{document.name}"' if document.name else kind
    diagnostics = [_diagnostic(document, subject, finding) for finding in dict.fromkeys(findings)]
    return sorted(diagnostics, key=lambda d: (d.file, d.line, d.column, d.code))


def _is_header(finding: Finding) -> bool:
    if finding.path:
        return finding.path[0] in _HEADER
    return finding.code == "S202" and finding.summary.split('"')[1] in _HEADER


def _diagnostic(document: Document, subject: str, finding: Finding) -> Diagnostic:
    made = diagnose(
        document, finding.code, finding.path, f"{subject}: {finding.summary}",
        key=finding.key and not finding.secret, label=finding.label,
        hint=finding.hint or _REMEDIES.get(finding.code, _LAST_REMEDY),
    )  # fmt: skip
    return _masked(made) if finding.secret else made


def _masked(diagnostic: Diagnostic) -> Diagnostic:
    """The same with the marked part of the excerpt, which may be a secret, replaced by asterisks."""
    text, start, end = diagnostic.excerpt, diagnostic.column - 1, diagnostic.end_column - 1
    return replace(diagnostic, excerpt=text[:start] + "*" * (min(end, len(text)) - start) + text[end:])
