"""What one compilation leaves for the next, so that an edit costs what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from engine.graph import Provider, Route, Target
from engine.schema import Declaration, ProviderDoc

from .blueprint import Draft
from .paths import Use
from .work import Finding

K = TypeVar("K")
V = TypeVar("V")


class Generations(Generic[K, V]):
    """A cache that keeps what the last compilation used, and what the last successful one used.

    The second is for edits that break a configuration and are taken back: the graph that comes of it has the nodes it
    had before.
    """

    __slots__ = ("_before", "_good", "_now")

    def __init__(self) -> None:
        self._now: dict[K, V] = {}
        self._before: dict[K, V] = {}
        self._good: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value of an earlier compilation, which the next one then finds too."""
        value = self._before.get(key)
        if value is None:
            value = self._good.get(key)
        if value is not None:
            self._now[key] = value
        return value

    def candidates(self, key: K) -> Iterator[V]:
        """The values of earlier compilations, the latest first; :meth:`put` the one that fits."""
        value = self._before.get(key)
        if value is not None:
            yield value
        good = self._good.get(key)
        if good is not None and good is not value:
            yield good

    def put(self, key: K, value: V) -> None:
        """Keeps a value of this compilation."""
        self._now[key] = value

    def turn(self, good: bool) -> None:
        """Ends this compilation; ``good`` says whether a graph came of it."""
        self._before, self._now = self._now, {}
        if good:
            self._good = self._before


@dataclass(frozen=True, slots=True)
class Node:
    """A graph node and the digest of its meaning."""

    node: Any
    digest: str


@dataclass(frozen=True, slots=True)
class ProviderNodes:
    """What a provider document came to."""

    model: ProviderDoc
    provider: Node
    targets: tuple[Node, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What drafts and targets alone say of a route: its longest path of failovers, and findings about its steps."""

    longest: tuple[Use, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Lowered:
    """What a route came to, and everything that decided it: the draft, the targets, the policies, the drafts used.

    ``node`` is the same route as the cache of nodes has it.
    """

    route: Route
    node: Node
    draft: Draft
    form: Form
    policies: Any
    routes: tuple[Draft, ...]
    findings: tuple[Finding, ...]

    def stands(self, draft: Draft, targets: dict[str, Target]) -> bool:
        """Whether draft and targets are what they were; policies and routes are compared by the caller."""
        if self.draft is not draft:
            return False
        for target in self.route.targets:  # noqa: SIM110  - a generator costs more than the loop
            if targets.get(target.id) is not target:
                return False
        return True


@dataclass(slots=True)
class CompilerCache:
    """What :func:`compile_documents` remembers. Not for two compilations at the same time."""

    declarations: Generations[str, Declaration] = field(default_factory=Generations)
    """By digest of the document's text; only documents without any finding."""
    providers: Generations[str, ProviderNodes] = field(default_factory=Generations)
    drafts: Generations[str, Draft] = field(default_factory=Generations)
    lowered: Generations[str, Lowered] = field(default_factory=Generations)
    """By route name."""
    nodes: Generations[str, Node] = field(default_factory=Generations)
    """By node id: the nodes of providers, targets and routes, so that what means the same stays the same object."""

    def turn(self, good: bool) -> None:
        """Ends a compilation."""
        for part in (self.declarations, self.providers, self.drafts, self.lowered, self.nodes):
            part.turn(good)

    def same(self, node_id: str, node: Provider | Target | Route, digest: str) -> Node:
        """The node of an earlier compilation where it means the same, else this one."""
        for known in self.nodes.candidates(node_id):
            if known.digest == digest and type(known.node) is type(node):
                self.nodes.put(node_id, known)
                return known
        fresh = Node(node, digest)
        self.nodes.put(node_id, fresh)
        return fresh
