"""Live facts, keyed by stable ids; they outlive graphs."""

from .closure import Closure, Reason
from .conversations import Conversations
from .headroom import Headroom
from .health import Health
from .hedge_budget import HedgeBudget
from .latency import Latency
from .mirrors import MirrorTallies
from .retry_budget import RetryBudget
from .state import State
from .store import Claim, Grant, MemoryStore, Refusal, Store

__all__ = [
    "Claim",
    "Closure",
    "Conversations",
    "Grant",
    "Headroom",
    "Health",
    "HedgeBudget",
    "Latency",
    "MemoryStore",
    "MirrorTallies",
    "Reason",
    "Refusal",
    "RetryBudget",
    "State",
    "Store",
]
