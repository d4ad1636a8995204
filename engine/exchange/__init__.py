"""Values that travel between a client, the engine and an upstream."""

from .call import Call
from .mirrored import Answered, Mirrored
from .outcome import ATTEMPT_CLASSES, FAIL_OVER, RULES, Attempt, Effect, Outcome, OutcomeClass, Rule
from .shape import Shape
from .trace import Trace, Tracing
from .usage import Usage
from .wire import Header, StreamDecoder, UncarriedError, Verdict, WireRequest

__all__ = [
    "ATTEMPT_CLASSES",
    "FAIL_OVER",
    "RULES",
    "Answered",
    "Attempt",
    "Call",
    "Effect",
    "Header",
    "Mirrored",
    "Outcome",
    "OutcomeClass",
    "Rule",
    "Shape",
    "StreamDecoder",
    "Trace",
    "Tracing",
    "UncarriedError",
    "Usage",
    "Verdict",
    "WireRequest",
]
