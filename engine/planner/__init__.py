"""The pure planner: every routing decision, and nothing else."""

from .advance import advance, beside, instead, may_go_back, pass_over
from .limits import claims_at, least_claims, over_limit
from .model import SKIP_REASONS, Beside, Candidate, Closed, Exit, Facts, Go, Next, Plan, Request, Skip, Stop, View, Wait
from .plan import assign, find_route, plan
from .tree import children, targets_of

__all__ = [
    "SKIP_REASONS",
    "Beside",
    "Candidate",
    "Closed",
    "Exit",
    "Facts",
    "Go",
    "Next",
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
    "may_go_back",
    "over_limit",
    "pass_over",
    "plan",
    "targets_of",
]
