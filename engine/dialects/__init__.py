"""Wire protocols: one module or package each, found by discovery, pure."""

from .registry import ENTRY_POINT, Dialect, dialect, dialects

__all__ = ["ENTRY_POINT", "Dialect", "dialect", "dialects"]
