"""Documents to typed declarations."""

from __future__ import annotations

from engine.documents import Document, diagnose, place
from engine.schema import validate

from ..work import Declared, Work

#: Findings about a document that was read all the same; every other one of the loader may hide names.
_READ_ALL_THE_SAME = ("D121", "D129")


def run(work: Work) -> None:
    """Fills ``declared``, ``by_name`` and ``broken``. A document with an error is reported and left out."""
    first, last = _READ_ALL_THE_SAME
    work.unread = any(d.severity == "error" and not first <= d.code <= last for d in work.diagnostics)
    for document in work.documents:
        if document.kind is None or document.name is None:
            work.unread = True
            work.diagnostics.extend(validate(document)[1])
            continue
        owner = (document.kind, document.name)
        if owner in work.by_name:
            _twice(work, document)
            continue
        work.by_name[owner] = document
        _declare(work, document, owner)


def _declare(work: Work, document: Document, owner: tuple[str, str]) -> None:
    kind, name = owner
    model = work.cache.declarations.get(document.digest)
    if model is None:
        model, found = validate(document)
        work.diagnostics.extend(found)
        if model is None or any(d.severity == "error" for d in found):
            work.broken.add(owner)
            return
        if not found:
            work.cache.declarations.put(document.digest, model)
    getattr(work.declared, kind)[name] = Declared(document, model)


def _twice(work: Work, document: Document) -> None:
    """The loader of folders reports this and hands on only one; whoever brings documents directly hears it here."""
    first = work.by_name[(document.kind or "", document.name or "")]
    summary = f'there are two documents "{document.name}" of kind {document.kind}'
    hint = "rename one, or remove it: the order of files decides nothing"
    related = (place(first, ("name",), "first declared here"),)
    work.diagnostics.append(
        diagnose(document, "D127", ("name",), summary, label="declared again", hint=hint, related=related)
    )
