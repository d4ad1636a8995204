"""Live facts, keyed by stable ids; they outlive graphs."""

from .closure import Closure, Reason
from .conversations import Conversations
from .headroom import Headroom
from .health import Health
from .latency import Latency
from .retry_budget import RetryBudget
from .state import State

__all__ = ["Closure", "Conversations", "Headroom", "Health", "Latency", "Reason", "RetryBudget", "State"]
