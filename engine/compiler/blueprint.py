"""A route's steps as declared: positions kept, notations turned into numbers, references still names.

A blueprint depends on its own document only, so it is made once per text of a document, however often the rest of the
configuration changes. Turning it into graph nodes (see ``lowering``) resolves names and policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.documents import Path
from engine.exchange import OutcomeClass
from engine.graph import Condition

from .work import Finding

JsonPairs = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, eq=False)
class UseTarget:
    """A leaf; ``at`` is where its name is written."""

    target: str
    at: Path
    set: JsonPairs = ()
    default: JsonPairs = ()
    timeouts: tuple[tuple[str, float], ...] = ()
    timeouts_at: Path = ()


@dataclass(frozen=True, slots=True, eq=False)
class UseRoute:
    """Another route's tree in this place; ``at`` is where that route's name is written."""

    route: str
    at: Path


@dataclass(frozen=True, slots=True, eq=False)
class InTurn:
    """A fallback."""

    steps: tuple["Blueprint", ...]
    on: frozenset[OutcomeClass]


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A split: (variant, weight, step)."""

    name: str
    key: str | None
    variants: tuple[tuple[str, Decimal, "Blueprint"], ...]
    pins: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class AmongEquals:
    """A balance."""

    by: str
    key: str | None
    members: tuple[tuple[Decimal, "Blueprint"], ...]


@dataclass(frozen=True, slots=True, eq=False)
class ByCase:
    """A switch."""

    cases: tuple[tuple[Condition, "Blueprint"], ...]
    default: "Blueprint | None"


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A hedge."""

    steps: tuple["Blueprint", ...]
    delay: float
    extra: float
    tools: bool


@dataclass(frozen=True, slots=True, eq=False)
class CopyTo:
    """A mirror."""

    to: UseTarget
    share: float
    tools: bool
    step: "Blueprint"


@dataclass(frozen=True, slots=True, eq=False)
class Refuse:
    """A reject."""

    status: int
    message: str


Blueprint = UseTarget | UseRoute | InTurn | OneOf | AmongEquals | ByCase | Beside | CopyTo | Refuse


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A route document, understood on its own.

    ``targets`` and ``routes`` are the names it refers to, each use with its place; ``steps`` and ``depth`` measure the
    tree without what other routes bring into it; ``reads`` are the attributes that its steps read.
    """

    name: str
    models: tuple[str, ...]
    when: Condition | None
    priority: int
    root: Blueprint
    targets: tuple[tuple[str, Path], ...]
    routes: tuple[tuple[str, Path], ...]
    reads: frozenset[str]
    steps: int
    depth: int
    tree: str
    """Digest of the tree's shape: everything but the targets and what policies say about them."""
    head: str
    """Digest of when the route is chosen."""
    findings: tuple[Finding, ...]


def children(step: Blueprint) -> tuple[Blueprint, ...]:
    """The steps directly below that serve, in order; a ``UseRoute`` has none of its own."""
    if isinstance(step, CopyTo):
        return (step.step,)
    if isinstance(step, InTurn | Beside):
        return step.steps
    if isinstance(step, OneOf):
        return tuple(below for _, _, below in step.variants)
    if isinstance(step, AmongEquals):
        return tuple(below for _, below in step.members)
    if isinstance(step, ByCase):
        below = tuple(below for _, below in step.cases)
        return below if step.default is None else (*below, step.default)
    return ()


def shape(step: Blueprint) -> Any:
    """What a tree means apart from its leaves, as plain values: equal for every way of writing the same."""
    if isinstance(step, UseTarget):
        return "target"
    if isinstance(step, UseRoute):
        return ("route", step.route)
    if isinstance(step, InTurn):
        return ("fallback", tuple(map(shape, step.steps)), step.on)
    if isinstance(step, Beside):
        return ("hedge", tuple(map(shape, step.steps)), step.delay, step.extra, step.tools)
    if isinstance(step, CopyTo):
        return ("mirror", shape(step.to), step.share, step.tools, shape(step.step))
    if isinstance(step, OneOf):
        variants = tuple((name, weight, shape(below)) for name, weight, below in step.variants)
        return ("split", step.name, step.key, variants, step.pins)
    if isinstance(step, AmongEquals):
        return ("balance", step.by, step.key, tuple((weight, shape(below)) for weight, below in step.members))
    if isinstance(step, ByCase):
        cases = tuple((condition, shape(below)) for condition, below in step.cases)
        return ("switch", cases, None if step.default is None else shape(step.default))
    return ("reject", step.status, step.message)
