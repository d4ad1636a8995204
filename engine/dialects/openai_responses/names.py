"""Names that the modules of this dialect share."""

from __future__ import annotations

NAME = "openai-responses"

#: What ids of thoughts begin with that did not come from this protocol; no service of it could find them.
FOREIGN_THOUGHT = "rs_foreign"

_SEAL = "interlock."


def seal(kind: str, value: str) -> str:
    """What only another protocol's maker can check (a ``signature``) or read (``redacted``), as encrypted content."""
    return f"{_SEAL}{kind}.{value}"


def unseal(content: str) -> tuple[str, str] | None:
    """Kind and value of what :func:`seal` made; ``None`` for everything else."""
    if not content.startswith(_SEAL):
        return None
    kind, dot, value = content[len(_SEAL) :].partition(".")
    return (kind, value) if dot else None
