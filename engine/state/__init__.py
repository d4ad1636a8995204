"""Live facts, keyed by stable ids; they outlive graphs."""

from .retry_budget import RetryBudget
from .state import State

__all__ = ["RetryBudget", "State"]
