"""Ids where a wire gives none."""

from __future__ import annotations

import hashlib


def made_id(prefix: str, seed: str, place: int) -> str:
    """An id made of a reply's own id (``seed``) and a place in it: the same whenever the same reply is read again.

    Other replies give other ids, so that the calls of a whole conversation can be told apart.
    """
    if not seed:
        return f"{prefix}_{place}"
    return f"{prefix}_{hashlib.blake2b(seed.encode(), digest_size=8).hexdigest()}_{place}"
