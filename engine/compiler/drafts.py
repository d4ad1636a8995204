"""A route document becomes a draft: its steps without positions lost, and everything that is wrong with it alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from engine.documents import Path
from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import All, Condition, Digester, Not
from engine.graph.conditions import attributes
from engine.schema import RouteDoc
from engine.schema.route import (
    BalanceStep,
    FallbackStep,
    HedgeStep,
    MirrorStep,
    Params,
    RejectStep,
    RouteStep,
    SplitStep,
    SwitchStep,
    TargetStep,
    WeightedStep,
)
from engine.units import parse_duration, parse_percent

from . import features
from .blueprint import (
    AmongEquals,
    Beside,
    Blueprint,
    ByCase,
    CopyTo,
    Draft,
    InTurn,
    JsonPairs,
    OneOf,
    Refuse,
    UseRoute,
    UseTarget,
    shape,
)
from .conditions import blame, lower, may_hold, of_models
from .work import Finding


def draft(document: RouteDoc, digester: Digester) -> Draft:
    """The draft of a valid route document."""
    return _Drafter(document).draft(digester)


def encode_params(values: dict[str, Any]) -> JsonPairs:
    """(name, JSON text) pairs, sorted by name."""
    return tuple((name, msgspec.json.encode(values[name])) for name in sorted(values))


class _Drafter:
    """Walks one route's steps once."""

    def __init__(self, document: RouteDoc) -> None:
        self.document = document
        self.owner = ("route", document.name)
        self.targets: list[tuple[str, Path]] = []
        self.routes: list[tuple[str, Path]] = []
        self.reads: set[str] = set()
        self.findings: list[Finding] = []
        self.steps = 0
        self.depth = 0
        self.models = tuple(dict.fromkeys(document.match.models)) or (document.name,)
        tree = document.match.when
        self.when = None if tree is None else lower(tree)

    def draft(self, digester: Digester) -> Draft:
        self._check_match()
        root = self.step(self.document.step, ("step",), 1)
        document = self.document
        return Draft(
            name=document.name,
            models=self.models,
            when=self.when,
            priority=document.priority,
            root=root,
            targets=tuple(self.targets),
            routes=tuple(self.routes),
            reads=frozenset(self.reads),
            steps=self.steps,
            depth=self.depth,
            tree=digester.digest(shape(root)),
            head=digester.digest((document.name, frozenset(self.models), self.when, document.priority)),
            findings=tuple(self.findings),
        )

    def find(self, code: str, path: Path, summary: str, label: str, hint: str, *, key: bool = False) -> None:
        self.findings.append(Finding(code, self.owner, path, summary, label=label, hint=hint, key=key))

    def unavailable(self, path: Path, what: str, hint: str, *, key: bool = False) -> None:
        self.find("P414", path, f"{what} is not available in this version", "not available yet", hint, key=key)

    def _check_match(self) -> None:
        tree = self.document.match.when
        if tree is None or self.when is None:
            return
        path: Path = ("match", "when")
        summary = f'the condition of route "{self.document.name}" cannot hold'
        if not may_hold(self.when):
            at = blame(tree, path)
            self.find("P409", at, summary, "no request can satisfy this", _MEND, key=len(at) == 2)
            self.when = None
        elif "model" in attributes(self.when) and not may_hold(self.when, of_models(self.models)):
            at = blame(tree, path, of_models(self.models))
            label = f"the route only matches {', '.join(self.models)}"
            self.find("P409", at, summary, label, "make `match.model` and `match.when` agree", key=len(at) == 2)
            self.when = None

    def step(self, step: Any, at: Path, depth: int) -> Blueprint:
        """The blueprint of a step that is written at ``at``."""
        self.steps += 1
        self.depth = max(self.depth, depth)
        if isinstance(step, str):
            self.targets.append((step, at))
            return UseTarget(step, at)
        if isinstance(step, TargetStep):
            return self._target(step, at)
        if isinstance(step, RouteStep):
            self.routes.append((step.route, (*at, "route")))
            return UseRoute(step.route, (*at, "route"))
        if isinstance(step, RejectStep):
            return Refuse(step.reject.status, step.reject.message)
        if isinstance(step, FallbackStep):
            return self._fallback(step, (*at, "fallback"), depth)
        if isinstance(step, SplitStep):
            return self._split(step, (*at, "split"), depth)
        if isinstance(step, BalanceStep):
            return self._balance(step, (*at, "balance"), depth)
        if isinstance(step, SwitchStep):
            return self._switch(step, (*at, "switch"), depth)
        if isinstance(step, MirrorStep):
            return self._mirror(step, (*at, "mirror"), depth)
        assert isinstance(step, HedgeStep)  # noqa: S101  - the schema knows no other step
        return self._hedge(step, (*at, "hedge"), depth)

    def _target(self, step: TargetStep, at: Path) -> UseTarget:
        place = (*at, "target")
        self.targets.append((step.target, place))
        declared = step.timeouts
        timeouts = tuple(
            (name, parse_duration(text))
            for name in ("connect", "first_token", "idle", "attempt")
            if (text := getattr(declared, name)) is not None
        )
        params: Params = step.params
        return UseTarget(
            step.target, place, encode_params(params.set), encode_params(params.default), timeouts, (*at, "timeouts")
        )

    def _fallback(self, step: FallbackStep, at: Path, depth: int) -> InTurn:
        below = at if isinstance(step.fallback, list) else (*at, "steps")
        body = step.body
        chosen = FAIL_OVER if body.only_on is None else frozenset(map(OutcomeClass, body.only_on))
        steps = tuple(self.step(s, (*below, i), depth + 1) for i, s in enumerate(body.steps))
        return InTurn(steps, chosen | frozenset(map(OutcomeClass, body.also_on)))

    def _split(self, step: SplitStep, at: Path, depth: int) -> OneOf:
        body = step.split
        if body.key is not None:
            self.reads.add(body.key)
        if not sum(variant.weight for variant in body.variants.values()):
            summary = f'the variants of split "{body.name}" weigh nothing'
            label = "every weight is 0"
            self.find("P407", (*at, "variants"), summary, label, "give at least one variant a weight above 0", key=True)
        if body.holdout is not None:
            self.unavailable((*at, "holdout"), "`holdout`", features.INSTEAD["holdout"], key=True)
        variants = tuple(
            (name, variant.weight, self.step(variant.step, (*at, "variants", name, "step"), depth + 1))
            for name, variant in sorted(body.variants.items())
        )
        return OneOf(body.name, body.key, variants, tuple(sorted(body.pins.items())))

    def _balance(self, step: BalanceStep, at: Path, depth: int) -> AmongEquals:
        body = step.balance
        if body.key is not None:
            self.reads.add(body.key)
        members: list[tuple[Decimal, Blueprint]] = []
        for i, member in enumerate(body.steps):
            if isinstance(member, WeightedStep):
                members.append((Decimal(member.weight), self.step(member.step, (*at, "steps", i, "step"), depth + 1)))
            else:
                members.append((Decimal(1), self.step(member, (*at, "steps", i), depth + 1)))
        if not sum(weight for weight, _ in members):
            summary = "the members of this balance weigh nothing"
            hint = "give at least one member a weight above 0"
            self.find("P408", (*at, "steps"), summary, "every weight is 0", hint, key=True)
        return AmongEquals(body.by, body.key, tuple(members))

    def _switch(self, step: SwitchStep, at: Path, depth: int) -> ByCase:
        body = step.switch
        cases: list[tuple[Condition, Blueprint]] = []
        for i, case in enumerate(body.cases):
            place = (*at, "cases", i)
            condition = lower(case.when)
            self.reads |= attributes(condition)
            self._check_case(case.when, condition, [earlier for earlier, _ in cases], (*place, "when"))
            cases.append((condition, self.step(case.step, (*place, "step"), depth + 1)))
        default = None if body.default is None else self.step(body.default, (*at, "default"), depth + 1)
        return ByCase(tuple(cases), default)

    def _check_case(self, tree: dict[str, Any], condition: Condition, earlier: list[Condition], at: Path) -> None:
        if not may_hold(condition):
            place = blame(tree, at)
            summary = f'a case of route "{self.document.name}" has a condition that cannot hold'
            self.find("P409", place, summary, "no request can satisfy this", _MEND, key=len(place) == len(at))
            return
        if earlier and not may_hold(All((condition, *(Not(one) for one in earlier)))):
            summary = f'a case of route "{self.document.name}" is never reached'
            label = "whenever this holds, an earlier case holds too"
            self.find("P415", at, summary, label, "move this case up, or remove it", key=True)

    def _mirror(self, step: MirrorStep, at: Path, depth: int) -> CopyTo:
        body = step.mirror
        self.targets.append((body.to, (*at, "to")))
        to = UseTarget(body.to, (*at, "to"))
        return CopyTo(to, parse_percent(body.percent), body.tools, self.step(body.step, (*at, "step"), depth + 1))

    def _hedge(self, step: HedgeStep, at: Path, depth: int) -> Beside:
        body = step.hedge
        steps = tuple(self.step(s, (*at, "steps", i), depth + 1) for i, s in enumerate(body.steps))
        return Beside(steps, parse_duration(body.delay), parse_percent(body.extra), body.tools)


_MEND = "correct the values; if either may hold, join the tests with `any`"
