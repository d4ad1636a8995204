"""Drafts to routes of the graph."""

from __future__ import annotations

from collections.abc import Iterator

from engine.documents import Path
from engine.graph import Target, Test
from engine.units import format_duration

from ..blueprint import Draft, UseTarget
from ..cache import Form, Lowered
from ..conditions import may_hold
from ..layers import STEP_LEVEL, Misfit, Resolved, Said
from ..lowering import Lowering
from ..paths import Paths, Use
from ..work import Finding, Owner, Work

#: Abilities whose loss in a fallback is worth a warning, as people say them.
_ABILITIES = {"tools": "tools", "vision": "vision", "json_schema": "JSON schema"}


def run(work: Work) -> None:
    """Fills ``routes`` with those of ``order``. A route of which nothing changed is the very object it was."""
    for name in work.order:
        draft = work.drafts[name]
        known = _standing(work, draft)
        if known is None:
            known = _lower(work, draft)
        work.cache.lowered.put(name, known)
        route = known.route
        work.routes[name] = route
        work.digests[f"route:{name}"] = route.digest
        if known.findings:
            work.findings.extend(known.findings)


def _standing(work: Work, draft: Draft) -> Lowered | None:
    """What an earlier compilation made of this draft, if everything that decided it is as it was."""
    for known in work.cache.lowered.candidates(draft.name):
        if (
            known.stands(draft, work.targets)
            and known.policies == work.book.signature(draft.name, known.route.targets)
            and (not draft.routes or known.routes == _used(work, draft))
        ):
            work.cache.nodes.put(f"route:{draft.name}", known.node)
            return known
    return None


def _used(work: Work, draft: Draft) -> tuple[Draft, ...]:
    """Every draft that stands in this one's tree, however deep."""
    found: dict[str, Draft] = {}
    todo = [route for route, _ in draft.routes]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = work.drafts[name]
            todo.extend(route for route, _ in found[name].routes)
    return tuple(found[name] for name in sorted(found))


def _lower(work: Work, draft: Draft) -> Lowered:
    used = _used(work, draft)
    form = _form(work, draft, used)
    lowering = Lowering(draft, work.drafts, work.targets, work.book, len(form.longest))
    route = lowering.route(used, work.digester)
    node = work.cache.same(f"route:{draft.name}", route, route.digest)
    if all(work.targets.get(target.id) is target for target in node.node.targets):
        route = node.node
    findings = [
        *_misfits(draft, lowering.misfits),
        *_capped(work, draft, form.longest),
        *form.findings,
    ]
    signature = work.book.signature(draft.name, route.targets)
    return Lowered(route, node, draft, form, signature, used, tuple(findings))


def _form(work: Work, draft: Draft, used: tuple[Draft, ...]) -> Form:
    """What does not depend on policies, taken over where only they have changed."""
    for known in work.cache.lowered.candidates(draft.name):
        if known.stands(draft, work.targets) and known.routes == used:
            return known.form
    paths = Paths(work.drafts)
    findings = (*_weaker(work, draft, paths), *_repeated(draft, paths))
    return Form(tuple(paths.longest(draft.root)), findings)


def _misfits(draft: Draft, used: list[tuple[UseTarget, Resolved]]) -> Iterator[Finding]:
    """Limits that do not fit into each other; what two policies say is the same finding in every route."""
    for use, resolved in used:
        for misfit in resolved.misfits:
            yield _misfit(draft, use, misfit)


def _misfit(draft: Draft, use: UseTarget, misfit: Misfit) -> Finding:
    inner, outer = misfit.inner, misfit.outer
    owner, path = _written(draft, use, inner, misfit.inner_said)
    small, large = _shown(inner, misfit.inner_said), _shown(outer, misfit.outer_said)
    place = (*_written(draft, use, outer, misfit.outer_said), f"{outer} is {large} here")
    summary = f"{inner} ({small}) does not fit into {outer} ({large})"
    hint = f"lower {inner} to at most {large}, or raise {outer}"
    return Finding("P410", owner, path, summary, label=f"more than {outer} allows", hint=hint, related=(place,))


def _written(draft: Draft, use: UseTarget, name: str, said: Said) -> tuple[Owner, Path]:
    """The document and the place in it where a value comes from."""
    if said.level == STEP_LEVEL:
        return ("route", draft.name), (*use.timeouts_at, name.partition(".")[2])
    return ("policy", said.policy), tuple(name.split("."))


def _shown(name: str, said: Said) -> str:
    return str(said.value) if name in ("retry.per_target", "retry.max_attempts") else format_duration(said.value)


def _capped(work: Work, draft: Draft, longest: tuple[Use, ...]) -> Iterator[Finding]:
    """A declared cap on attempts that leaves targets of the longest path untried."""
    said = work.book.wide(draft.name).get("retry.max_attempts")
    if said is None or said.value >= len(longest):
        return
    target, at = longest[said.value]
    cap = f"{said.value} attempt{'s' if said.value != 1 else ''}"
    summary = f'route "{draft.name}" can never try "{target}": max_attempts allows {cap}'
    label = f"number {said.value + 1} of {len(longest)} targets in a row"
    hint = f'raise retry.max_attempts to {len(longest)} in policy "{said.policy}", or shorten the path'
    place = (("policy", said.policy), ("retry", "max_attempts"), f"max_attempts is {said.value} here")
    yield Finding("P411", ("route", draft.name), at, summary, label=label, hint=hint, related=(place,))


def _weaker(work: Work, draft: Draft, paths: Paths) -> Iterator[Finding]:
    """Targets of a fallback that cannot serve what every target of its first step can."""
    for first, later in paths.fallbacks(draft.root):
        if not first:
            continue
        own = [work.targets[target] for target, _ in first]
        abilities = [a for a in _ABILITIES if all(a in target.supports for target in own)]
        windows = [target.context_window for target in own]
        window = min(w for w in windows if w is not None) if None not in windows else None
        for name, at in dict.fromkeys(later):
            lost = list(_lost(work.targets[name], abilities, window, draft))
            if not lost:
                continue
            summary = f'in route "{draft.name}", the fallback to "{name}" cannot take all that comes before it can'
            hint = "such requests skip it: use a target of the same abilities, or declare them under its `supports`"
            if lost == [_CONTEXT]:
                hint = "longer requests skip it: use a target with a larger window, or bound `input_tokens` in `when`"
            label = ", ".join(lost)
            yield Finding("W901", ("route", draft.name), at, summary, label=label, hint=hint)


_CONTEXT = "a smaller context window"


def _lost(target: Target, abilities: list[str], window: int | None, draft: Draft) -> Iterator[str]:
    for ability in abilities:
        if ability not in target.supports and may_hold(draft.when, Test(ability, "eq", True)):
            yield f"no {_ABILITIES[ability]}"
    own = target.context_window
    smaller = own is not None and window is not None and own < window
    if smaller and may_hold(draft.when, Test("input_tokens", "gt", own)):
        yield _CONTEXT


def _repeated(draft: Draft, paths: Paths) -> Iterator[Finding]:
    """Targets that are tried again; each once, where that happens first."""
    for name, at in dict(reversed(list(paths.repeated(draft.root)))).items():
        summary = f'route "{draft.name}" tries "{name}" twice on one path'
        hint = "remove one of the two; retries of the same target are set by retry.per_target in a policy"
        yield Finding("W902", ("route", draft.name), at, summary, label="tried before already", hint=hint)
