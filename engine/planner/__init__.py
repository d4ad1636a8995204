"""The pure planner: every routing decision, and nothing else."""

from .advance import advance, beside, instead, pass_over
from .because import order_dict
from .limits import claims_at, least_claims, over_limit
from .model import (
    SKIP_REASONS,
    Beside,
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
    "Beside",
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
    "beside",
    "children",
    "claims_at",
    "find_route",
    "instead",
    "least_claims",
    "order_dict",
    "over_limit",
    "pass_over",
    "plan",
    "targets_of",
]
