"""A draft becomes a route: names become nodes, policies become values, and used routes stand in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from engine.graph import (
    Balance,
    Digester,
    Fallback,
    Hedge,
    Mirror,
    Reject,
    Route,
    RouteStep,
    Split,
    Step,
    Switch,
    Target,
    TargetStep,
    Variant,
    attributes,
)

from .blueprint import AmongEquals, Beside, Blueprint, ByCase, CopyTo, Draft, InTurn, OneOf, UseRoute, UseTarget
from .layers import PolicyBook, Resolved, params_of


class Lowering:
    """Lowers one route. ``misfits`` are the uses of targets whose limits do not fit into each other."""

    def __init__(
        self, draft: Draft, drafts: Mapping[str, Draft], targets: Mapping[str, Target], book: PolicyBook, longest: int
    ) -> None:
        self.draft = draft
        self.drafts = drafts
        self.targets = targets
        self.book = book
        self.longest = longest
        self.found: dict[str, Target] = {}
        self.leaves: list[TargetStep] = []
        self.metered: set[str] = set()
        self.reads: set[str] = set(draft.reads) | (attributes(draft.when) if draft.when is not None else set())
        self.misfits: list[tuple[UseTarget, Resolved]] = []

    def route(self, used: Iterable[Draft], digester: Digester) -> Route:
        """The route; ``used`` are the drafts of every route in its tree, in an order that names decide."""
        draft = self.draft
        root = self.step(draft.root, "")
        retry, timeouts = self.book.of_route(draft.name, self.longest)
        return Route(
            name=draft.name,
            models=draft.models,
            when=draft.when,
            priority=draft.priority,
            step=root,
            retry=retry,
            timeouts=timeouts,
            reads=frozenset(self.reads),
            targets=tuple(self.found.values()),
            metered=frozenset(self.metered),
            circuits=tuple(dict.fromkeys(leaf.circuit for leaf in self.leaves)),
            digest=digester.digest(
                (draft.head, draft.tree, tuple(other.tree for other in used), tuple(self.leaves), retry, timeouts)
            ),
        )

    def step(self, step: Blueprint, where: str) -> Step:
        """The node of a step; ``where`` is its place in the route's tree, empty at the root."""
        if isinstance(step, UseTarget):
            return self._target(step, where or "step")
        if isinstance(step, InTurn):
            path = _at(where, "fallback")
            return Fallback(tuple(self.step(s, f"{path}[{i}]") for i, s in enumerate(step.steps)), step.on, path)
        if isinstance(step, OneOf):
            return self._split(step, _at(where, f"split({step.name})"))
        if isinstance(step, AmongEquals):
            path, first = _at(where, "balance"), len(self.leaves)
            members = tuple((weight, self.step(s, f"{path}[{i}]")) for i, (weight, s) in enumerate(step.members))
            if step.by == "usage":
                self.metered |= {leaf.target.id for leaf in self.leaves[first:]}
            return Balance(step.by, members, step.key, path)
        if isinstance(step, ByCase):
            return self._switch(step, _at(where, "switch"))
        if isinstance(step, Beside):
            path = _at(where, "hedge")
            steps = tuple(self.step(s, f"{path}[{i}]") for i, s in enumerate(step.steps))
            return Hedge(steps, step.delay, step.extra, step.tools, path)
        if isinstance(step, CopyTo):
            path = _at(where, "mirror")
            to = self._target(step.to, f"{path}.to")
            return Mirror(to, step.share, self.step(step.step, f"{path}.step"), step.tools, path)
        if isinstance(step, UseRoute):
            return self._route(step, _at(where, f"route({step.route})"))
        return Reject(step.status, step.message, where or "step")

    def _target(self, use: UseTarget, where: str) -> TargetStep:
        target = self.targets[use.target]
        self.found.setdefault(use.target, target)
        resolved = self.book.of_use(self.draft.name, self.longest, target, use)
        if resolved.misfits:
            self.misfits.append((use, resolved))
        leaf = TargetStep(
            target,
            params_of(resolved, use),
            resolved.retry,
            resolved.timeouts,
            resolved.unsupported,
            where,
            resolved.breaker,
            self.book.circuit(target, resolved.breaker),
        )
        self.leaves.append(leaf)
        return leaf

    def _split(self, step: OneOf, path: str) -> Split:
        variants = tuple(Variant(name, weight, self.step(s, f"{path}.{name}")) for name, weight, s in step.variants)
        return Split(step.name, step.key, variants, MappingProxyType(dict(step.pins)), path)

    def _switch(self, step: ByCase, path: str) -> Switch:
        cases = tuple((condition, self.step(s, f"{path}.cases[{i}]")) for i, (condition, s) in enumerate(step.cases))
        default = None if step.default is None else self.step(step.default, f"{path}.default")
        return Switch(cases, default, path)

    def _route(self, step: UseRoute, path: str) -> RouteStep:
        used = self.drafts[step.route]
        self.reads |= used.reads
        return RouteStep(step.route, self.step(used.root, path), path)


def _at(where: str, what: str) -> str:
    return f"{where}.{what}" if where else what
