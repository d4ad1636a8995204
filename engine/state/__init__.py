"""Live facts, keyed by stable ids; they outlive graphs."""

from .closure import Closure, Reason
from .conversations import Conversations
from .health import Health
from .hedge_budget import HedgeBudget
from .mirrors import MirrorTallies
from .retry_budget import RetryBudget
from .state import State
from .store import Claim, Grant, MemoryStore, Refusal, Store

__all__ = [
    "Claim",
    "Closure",
    "Conversations",
    "Grant",
    "Health",
    "HedgeBudget",
    "MemoryStore",
    "MirrorTallies",
    "Reason",
    "Refusal",
    "RetryBudget",
    "State",
    "Store",
]
