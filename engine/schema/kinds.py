"""The kinds of document there are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .access import KeyDoc, SettingsDoc
from .money import BudgetDoc, LimitDoc
from .policy import PolicyDoc
from .proof import InvariantDoc, TestDoc
from .provider import ProviderDoc
from .route import RouteDoc

Declaration = ProviderDoc | RouteDoc | PolicyDoc | KeyDoc | SettingsDoc | BudgetDoc | LimitDoc | InvariantDoc | TestDoc

#: Every kind of document, by the word that stands after ``kind:``.
MODELS: Mapping[str, type[Declaration]] = MappingProxyType(
    {
        "provider": ProviderDoc,
        "route": RouteDoc,
        "policy": PolicyDoc,
        "key": KeyDoc,
        "settings": SettingsDoc,
        "budget": BudgetDoc,
        "limit": LimitDoc,
        "invariant": InvariantDoc,
        "test": TestDoc,
    }
)
