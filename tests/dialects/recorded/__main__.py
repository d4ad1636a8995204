"""Writes the table of conformance again: ``python -m tests.dialects.recorded``."""

from __future__ import annotations

import sys

from .examine import providers
from .table import PAGE, page

if __name__ == "__main__":
    if not providers():
        sys.exit("The corpus of recordings is not there: it belongs beside the project, in ../shared/corpus.")
    PAGE.write_text(page(), encoding="utf-8")
