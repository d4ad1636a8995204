"""The nodes of steps that send one request to more than one target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import Step, TargetStep


@dataclass(frozen=True, slots=True, eq=False)
class Hedge:
    """Steps in order; the next one is also started when the one before has given nothing for ``delay`` seconds.

    The first that answers wins, the others are cancelled. ``extra`` is the share of the requests that come here that
    may be sent to one more target so. Requests with tools fail over only, unless ``tools``.
    """

    steps: tuple[Step, ...]
    delay: float
    extra: float = 0.1
    tools: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Mirror:
    """``step`` serves; ``share`` (0..1) of the requests that it serves are copied to ``to``, whose answers nobody gets.

    Requests with tools are not copied, unless ``tools``.
    """

    to: TargetStep
    share: float
    step: Step
    tools: bool = False
    path: str = ""
