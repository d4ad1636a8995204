"""Offline drivers of the planner: what would happen, without a network, on a clock that is an argument."""

from .coverage import Coverage, coverable
from .drive import Course, Try, drive
from .examples import Example, Mismatch, Step, play
from .world import Faults, World

__all__ = [
    "Course",
    "Coverage",
    "Example",
    "Faults",
    "Mismatch",
    "Step",
    "Try",
    "World",
    "coverable",
    "drive",
    "play",
]
