"""Signatures of thoughts, so that they find their way back through clients of other protocols.

The protocol hangs a signature on the part that follows the thought (a call, a text). The canonical form hangs it on a
:class:`Thinking` before that part, with no text of its own where the thought is not shown. A signature that somebody
else made is an error to this service, and ours to others: so ours bear a mark that base64 cannot hold, and what bears
none is not sent.
"""

from __future__ import annotations

from engine.exchange.canonical import Part, Thinking

_MARK = "gemini:"

#: What Google documents for calls that no model of this kind made, or whose signature is lost ("Thought signatures",
#: questions and answers). Models of the third generation refuse a call without any.
UNSIGNED = "skip_thought_signature_validator"


def marked(signature: str) -> str:
    """A signature as it came, for the canonical form."""
    return _MARK + signature


def unmarked(signature: str | None) -> str | None:
    """A canonical signature for the wire; ``None`` where it is not one of ours."""
    return signature[len(_MARK) :] if signature and signature.startswith(_MARK) else None


def sign(parts: list[Part], signature: str) -> None:
    """Hang ``signature`` on the thought that ends ``parts``, or on one of its own."""
    last = parts[-1] if parts else None
    if isinstance(last, Thinking) and last.signature is None:
        last.signature = marked(signature)
    else:
        parts.append(Thinking(signature=marked(signature)))
