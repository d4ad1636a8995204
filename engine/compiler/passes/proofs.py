"""Invariants and tests: what they refer to has to exist, and this version only checks them."""

from __future__ import annotations

from engine.graph.globs import is_glob, matcher
from engine.schema import InvariantDoc, TestDoc
from engine.schema.proof import ScenarioStep

from .. import features, references
from ..conditions import blame, lower, may_hold
from ..work import Owner, Work


def run(work: Work) -> None:
    """Reports names and conditions that lead nowhere, and kinds of document that are not acted on."""
    for name, invariant in sorted(work.declared.invariant.items()):
        _invariant(work, ("invariant", name), invariant.model)
    for name, test in sorted(work.declared.test.items()):
        _test(work, ("test", name), test.model)
    for kind, consequence in features.ONLY_CHECKED.items():
        for name in sorted(getattr(work.declared, kind)):
            summary = f'{kind} "{name}" is checked but not acted on yet'
            hint = f"this version only validates documents of `kind: {kind}`; do not rely on it"
            work.find("W905", (kind, name), ("kind",), summary, label=consequence, hint=hint)


def _invariant(work: Work, owner: Owner, model: InvariantDoc) -> None:
    for i, pattern in enumerate(model.routes or ()):
        if not is_glob(pattern):
            if pattern not in work.declared.route:
                references.unknown(work, "route", pattern, owner, ("routes", i))
        elif not any(map(matcher(pattern), work.declared.route)):
            references.nothing(work, "route", pattern, owner, ("routes", i))
    for part in ("when", "never", "always"):
        tree = getattr(model, part)
        if tree is not None and not may_hold(lower(tree)):
            path = blame(tree, (part,))
            summary = f'`{part}` of invariant "{model.name}" cannot hold'
            hint = "correct the values; if either may hold, join the tests with `any`"
            work.find("P409", owner, path, summary, label="nothing can satisfy this", hint=hint, key=len(path) == 1)


def _test(work: Work, owner: Owner, model: TestDoc) -> None:
    for at, step in enumerate(model.steps):
        _step(work, owner, step, () if model.scenario is None else ("scenario", at))


def _step(work: Work, owner: Owner, model: ScenarioStep, at: tuple[str | int, ...]) -> None:
    for i, fault in enumerate(model.faults):
        _target(work, owner, fault.target, (*at, "faults", i, "target"))
    for i, pattern in enumerate(model.state.open):
        _target(work, owner, pattern, (*at, "state", "open", i))
    for name in model.state.in_flight:
        _target(work, owner, name, (*at, "state", "in_flight", name))
    for i, name in enumerate(model.state.no_credential):
        if is_glob(name):
            if not any(map(matcher(name), work.providers)):
                references.nothing(work, "provider", name, owner, (*at, "state", "no_credential", i))
        elif name not in work.providers:
            references.unknown(work, "provider", name, owner, (*at, "state", "no_credential", i))
    key = model.request.key
    if key is not None and key not in work.declared.key and work.missing("key", key):
        references.unknown(work, "key", key, owner, (*at, "request", "key"))
    expect = model.expect
    if expect is None:
        return
    for i, name in enumerate(expect.attempts or ()):
        _target(work, owner, name, (*at, "expect", "attempts", i))
    for i, name in enumerate(expect.mirrors or ()):
        _target(work, owner, name, (*at, "expect", "mirrors", i))
    if expect.target is not None:
        _target(work, owner, expect.target, (*at, "expect", "target"))
    if expect.route is not None and expect.route not in work.declared.route:
        references.unknown(work, "route", expect.route, owner, (*at, "expect", "route"))


def _target(work: Work, owner: Owner, pattern: str, path: tuple[str | int, ...]) -> None:
    if not is_glob(pattern):
        if pattern not in work.targets:
            references.unknown(work, "target", pattern, owner, path)
    elif not any(map(matcher(pattern), work.targets)):
        references.nothing(work, "target", pattern, owner, path)
