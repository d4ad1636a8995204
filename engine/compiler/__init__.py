"""From documents to a graph: ordered passes that report everything they find and never throw for bad input."""

from __future__ import annotations

from .cache import CompilerCache
from .compile import PASSES, Caches, Compilation, compile_documents, compile_folder, compile_loaded

__all__ = ["PASSES", "Caches", "Compilation", "CompilerCache", "compile_documents", "compile_folder", "compile_loaded"]
