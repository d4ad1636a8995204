"""What happened, written down: checks of providers, changes by API, configurations that went live.

Importing this costs nothing; SQLAlchemy is loaded when a ledger is opened.
"""

from __future__ import annotations

from .address import default_url, shown
from .ledger import Ledger, LedgerError
from .rows import Check, ConfigChange, Revision, Row

__all__ = ["Check", "ConfigChange", "Ledger", "LedgerError", "Revision", "Row", "default_url", "shown"]
