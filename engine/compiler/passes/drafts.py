"""Route documents to drafts: what can be known of a route without knowing the rest."""

from __future__ import annotations

from ..drafts import draft
from ..work import Work


def run(work: Work) -> None:
    """Fills ``drafts``, with the findings that concern one document only."""
    cache = work.cache.drafts
    for name, declared in work.declared.route.items():
        digest = declared.document.digest
        known = cache.get(digest)
        if known is None:
            known = draft(declared.model, work.digester)
            cache.put(digest, known)
        work.drafts[name] = known
        if known.findings:
            work.findings.extend(known.findings)
