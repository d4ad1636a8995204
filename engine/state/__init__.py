"""Live facts, keyed by stable ids; they outlive graphs."""

from .closure import Closure, Reason
from .conversations import Conversations
from .health import Health
from .retry_budget import RetryBudget
from .state import State
from .store import Claim, Grant, MemoryStore, Refusal, Store

__all__ = [
    "Claim",
    "Closure",
    "Conversations",
    "Grant",
    "Health",
    "MemoryStore",
    "Reason",
    "Refusal",
    "RetryBudget",
    "State",
    "Store",
]
