"""What a file may hold. Real configurations stay far below; hostile ones are refused in bounded time and memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes for files and characters for scalars."""

    file_bytes: int = 4 * 1024 * 1024
    scalar_chars: int = 256 * 1024
    depth: int = 64
    values: int = 50_000
    """Values and keys in one document, those that aliases stand for included."""
    alias_nodes: int = 10_000
    """Values that the aliases of one file may stand for, all together."""
    alias_chars: int = 4 * 1024 * 1024
    """Characters in those values."""
    documents: int = 20_000
    """Documents in one file."""
    findings: int = 100
    """Findings reported for one file."""
    files: int = 100_000
    """Files in one configuration folder."""


LIMITS = Limits()
