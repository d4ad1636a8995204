"""Which variant of a split a request is assigned."""

from __future__ import annotations

from engine.graph import Split

from .hashing import score
from .model import Request


def assign(split: Split, request: Request) -> str:
    """The variant for this request: its pin, else weighted rendezvous over (split name, key value).

    Sticky across reloads and machines, and independent of the order of variants. Without a key value the request's id
    decides.
    """
    value = request.get(split.key) if split.key else None
    if value is not None:
        value = text(value)
        pinned = split.pins.get(value)
        if pinned is not None:
            return pinned
    seed = f"key {value}" if value is not None else f"id {request.request_id}"
    best = max(split.variants, key=lambda v: (score(float(v.weight), "split", split.name, seed, v.name), v.name))
    return best.name


def text(value: object) -> str:
    """An attribute's value as a key: a boolean as YAML and headers spell it, so that both mean the same key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
