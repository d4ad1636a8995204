"""Deterministic choices: the same inputs give the same answer on every machine and in every process."""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")
_SCALE = 1.0 / (1 << 64)


def uniform(*parts: str) -> float:
    """A number in the open interval (0, 1), uniform over the BLAKE2b hash of ``parts``."""
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) * _SCALE


def score(weight: float, *parts: str) -> float:
    """The weighted rendezvous score ``-weight / ln(u)``; the largest of several wins with probability ~ its weight.

    Adding a member or raising a weight moves keys only into that member (Schindelhauer and Schomaker,
    "Weighted distributed hash tables", SPAA 2005).
    """
    if weight <= 0:
        return -1.0
    u = uniform(*parts)
    # The hash can round to exactly 1.0 in double precision; its logarithm must stay negative.
    return -weight / math.log(u if u < 1.0 else 1.0 - 2**-53)


def ranked(members: Iterable[tuple[float, str, T]], *seed: str) -> list[T]:
    """The members, given as (weight, name, value), by falling score; the order they are given in does not matter."""
    scored = [(-score(weight, *seed, name), name, value) for weight, name, value in members]
    scored.sort(key=lambda row: row[:2])
    return [value for _, _, value in scored]
