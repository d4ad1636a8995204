"""Every diagnostic code there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from engine.diagnostics import (
    codes_documents,
    codes_live,
    codes_policies,
    codes_proof,
    codes_references,
    codes_schema,
    codes_warnings,
)
from engine.diagnostics.model import Code

_GROUPS = (codes_documents, codes_schema, codes_references, codes_policies, codes_live, codes_proof, codes_warnings)


def join(groups: Iterable[Iterable[Code]]) -> Mapping[str, Code]:
    """A read-only mapping from code to its meaning, in order. Raises ``ValueError`` if a code is there twice."""
    joined: dict[str, Code] = {}
    for group in groups:
        for code in group:
            if code.code in joined:
                raise ValueError(f"diagnostic code {code.code} is declared twice")
            joined[code.code] = code
    return MappingProxyType(joined)


#: From code to meaning: documents, schema, references, policies, going live, proofs, then warnings and notes.
CODES: Mapping[str, Code] = join(group.CODES_HERE for group in _GROUPS)
