"""The pure planner: every routing decision, and nothing else."""

from .advance import advance, pass_over
from .limits import over_limit
from .model import SKIP_REASONS, Candidate, Exit, Facts, Go, Next, Plan, Request, Skip, Stop, View, Wait
from .plan import assign, children, find_route, plan, targets_of

__all__ = [
    "SKIP_REASONS",
    "Candidate",
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
    "children",
    "find_route",
    "over_limit",
    "pass_over",
    "plan",
    "targets_of",
]
