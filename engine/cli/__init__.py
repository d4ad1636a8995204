"""The command line: thin edges over the compiler, the planner and the server."""

from .app import cli, main

__all__ = ["cli", "main"]
