"""The pure planner: every routing decision, and nothing else."""

from .advance import advance, pass_over
from .because import order_dict
from .model import (
    SKIP_REASONS,
    Candidate,
    Closed,
    Exit,
    Facts,
    Go,
    Member,
    Next,
    Order,
    Plan,
    Request,
    Skip,
    Stop,
    View,
    Wait,
)
from .plan import find_route, plan
from .splits import assign
from .tree import children, targets_of

__all__ = [
    "SKIP_REASONS",
    "Candidate",
    "Closed",
    "Exit",
    "Facts",
    "Go",
    "Member",
    "Next",
    "Order",
    "Plan",
    "Request",
    "Skip",
    "Stop",
    "View",
    "Wait",
    "advance",
    "assign",
    "children",
    "find_route",
    "order_dict",
    "pass_over",
    "plan",
    "targets_of",
]
