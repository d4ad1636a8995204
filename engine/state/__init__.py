"""Live facts, keyed by stable ids; they outlive graphs."""

from .closure import Closure, Reason
from .conversations import Conversations
from .health import Health
from .retry_budget import RetryBudget
from .state import State

__all__ = ["Closure", "Conversations", "Health", "Reason", "RetryBudget", "State"]
