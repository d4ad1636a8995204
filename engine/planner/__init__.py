"""The pure planner: every routing decision, and nothing else."""

from engine.graph.tree import children

from .advance import advance, beside, instead, pass_over
from .because import order_dict
from .limits import claims_at, least_claims, over_limit, without_room
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
from .record import Record
from .splits import assign
from .tape import DIRECT, Planner, Tape
from .tree import targets_of

__all__ = [
    "DIRECT",
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
    "Planner",
    "Record",
    "Request",
    "Skip",
    "Stop",
    "Tape",
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
    "without_room",
]
