"""Live facts, keyed by stable ids; they outlive graphs."""

from .conversations import Conversations
from .health import Health
from .retry_budget import RetryBudget
from .state import State

__all__ = ["Conversations", "Health", "RetryBudget", "State"]
