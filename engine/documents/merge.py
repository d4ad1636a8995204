"""Overlays: RFC 7396, JSON Merge Patch, between documents of the same kind and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from engine.diagnostics import Diagnostic, did_you_mean
from engine.documents.headers import check_header
from engine.documents.locate import diagnose, place
from engine.documents.model import Document
from engine.documents.sourcemap import MergedSource

Named = dict[tuple[str, str], Document]


def merge_patch(target: object, patch: object) -> Any:
    """``target`` changed by ``patch``; neither argument is changed, and the result may share values with both."""
    if not isinstance(patch, Mapping):
        return patch
    merged: dict[str, Any] = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def by_name(documents: Iterable[Document]) -> tuple[Named, list[Document], list[Diagnostic]]:
    """The documents of one layer by kind and name, those without, and a finding for each name that is used twice."""
    named: Named = {}
    nameless: list[Document] = []
    findings: list[Diagnostic] = []
    for document in documents:
        if document.kind is None or document.name is None:
            nameless.append(document)
            continue
        first = named.setdefault((document.kind, document.name), document)
        if first is not document:
            findings.append(
                diagnose(
                    document,
                    "D127",
                    ("name",),
                    f'there are two documents "{document.name}" of kind {document.kind}',
                    label="declared again",
                    hint="rename one, or remove it: the order of files decides nothing",
                    related=(place(first, ("name",), "first declared here"),),
                )
            )
    return named, nameless, findings


def overlay(base: Named, changes: Named) -> list[Diagnostic]:
    """Merges ``changes`` into ``base``, in place; a document that changes nothing is added if it can stand alone."""
    findings: list[Diagnostic] = []
    for key, document in changes.items():
        under = base.get(key)
        if under is not None:
            base[key] = _merged(under, document)
            continue
        missing = check_header(document)
        if missing:
            names = [name for kind, name in base if kind == key[0]]
            close = did_you_mean(key[1], names)
            hint = (
                f'did you mean "{close}"?'
                if close
                else 'correct the name, or add "version: 1" to make it a document of its own'
            )
            what = f'the overlay changes {key[0]} "{key[1]}", which does not exist'
            findings.append(diagnose(document, "D128", ("name",), what, hint=hint))
        else:
            # Alone, too, a null in a patch stands for "absent".
            base[key] = _alone(document)
    return findings


def _alone(document: Document) -> Document:
    tree = merge_patch({}, document.tree)
    return Document(document.kind, document.name, document.file, document.index, tree, document.source, document.digest)


def _merged(under: Document, over: Document) -> Document:
    tree = merge_patch(under.tree, over.tree)
    source = MergedSource([(under.tree, under.source), (over.tree, over.source)])
    digest = blake2b(f"{under.digest} {over.digest}".encode(), digest_size=16).hexdigest()
    return Document(under.kind, under.name, under.file, under.index, tree, source, digest)
