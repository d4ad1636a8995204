"""What the documents of a configuration may say: typed declarations, their JSON Schemas, and validation."""

from __future__ import annotations

from .access import KeyDoc, SettingsDoc, StateDoc, TokenIssuer
from .common import Secret, parse_size
from .export import SCHEMAS, check_schemas, write_schemas
from .kinds import MODELS, Declaration
from .money import BudgetDoc, LimitDoc
from .policy import PolicyDoc
from .proof import InvariantDoc, TestDoc
from .provider import ProviderDoc
from .route import RouteDoc
from .validate import validate

__all__ = [
    "MODELS",
    "SCHEMAS",
    "BudgetDoc",
    "Declaration",
    "InvariantDoc",
    "KeyDoc",
    "LimitDoc",
    "PolicyDoc",
    "ProviderDoc",
    "RouteDoc",
    "Secret",
    "SettingsDoc",
    "StateDoc",
    "TestDoc",
    "TokenIssuer",
    "check_schemas",
    "parse_size",
    "validate",
    "write_schemas",
]
