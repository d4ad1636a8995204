"""Budgets, limits and costs: what they would count, and whether it can be counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.diagnostics import did_you_mean
from engine.graph import Condition, Limit, Target
from engine.graph.conditions import attributes
from engine.graph.globs import is_glob, matcher
from engine.schema import BudgetDoc, LimitDoc, PolicyDoc
from engine.schema.money import Downgrade, UsdLimit

from .. import references
from ..blueprint import Draft
from ..conditions import blame, demanded, lower, may_hold, of_models
from ..work import Declared, Owner, Work
from .providers import rates_of, unpriced

#: How many targets a message names.
_NAMED = 3


def run(work: Work) -> None:
    """Fills ``limits``; reports what can apply to nothing, counts what clients choose, or meets unknown prices."""
    models: list[BudgetDoc | LimitDoc] = [declared.model for declared in work.declared.budget.values()]
    models += [declared.model for declared in work.declared.limit.values()]
    takers = _Takers(work.drafts.values()) if models and _complete(work) else None
    for model in models:
        owner: Owner = (model.kind, model.name)
        when = _condition(work, owner, model.when)
        if takers is not None and when is not None and may_hold(when) and not takers.any(when):
            _nobody(work, owner, when, takers)
        _trust(work, owner, model.each, when)
        if isinstance(model, BudgetDoc):
            _budget(work, owner, model, when)
        else:
            rates = rates_of(model.limits)
            work.limits.append(Limit(model.name, rates, model.each, when, _trusted(work, model.each)))
    for name, policy in sorted(work.declared.policy.items()):
        _cost(work, ("policy", name), policy)


def _condition(work: Work, owner: Owner, tree: Any) -> Condition | None:
    if tree is None:
        return None
    when = lower(tree)
    if may_hold(when):
        return when
    path = blame(tree, ("when",))
    summary = f'{owner[0]} "{owner[1]}" applies to nothing: its condition cannot hold'
    hint = "correct the values; if either may hold, join the tests with `any`"
    work.find("P409", owner, path, summary, label="no request can satisfy this", hint=hint, key=len(path) == 1)
    return when


def _complete(work: Work) -> bool:
    """Whether all routes are known, and there is one."""
    return bool(work.drafts) and not work.unread and not any(kind == "route" for kind, _ in work.broken)


class _Takers:
    """The routes, to ask which of them could take a request. There may be ten thousand, and as many budgets."""

    def __init__(self, drafts: Iterable[Draft]) -> None:
        self.all = tuple(drafts)
        self.exact: dict[str, list[Draft]] = {}
        self.globs: dict[str, list[Draft]] = {}
        for draft in self.all:
            for pattern in draft.models:
                (self.globs if is_glob(pattern) else self.exact).setdefault(pattern, []).append(draft)

    def any(self, when: Condition) -> bool:
        """Whether some route may take a request that meets the condition; ``False`` is certain."""
        models = demanded(when).get("model")
        routes = self.all if models is None else self._of(models)
        return any(may_hold(when, route.when, of_models(route.models)) for route in routes)

    def _of(self, models: Iterable[str]) -> Iterator[Draft]:
        for model in models:
            yield from self.exact.get(model, ())
            for pattern, routes in self.globs.items():
                if matcher(pattern)(model):
                    yield from routes


def _nobody(work: Work, owner: Owner, when: Condition, takers: _Takers) -> None:
    summary = f'{owner[0]} "{owner[1]}" applies to nothing: no route takes requests that meet its condition'
    models = sorted(demanded(when).get("model", ()))
    near = next((found for model in models if (found := did_you_mean(model, takers.exact))), None)
    hint = f'did you mean "{near}"?' if near else "correct the condition; `interlock graph` shows what the routes take"
    tree = getattr(work.declared, owner[0])[owner[1]].model.when
    path = ("when", "model") if models and "model" in tree else ("when",)
    work.find("P401", owner, path, summary, label="matches no request", hint=hint, key=len(path) == 1)


def _trust(work: Work, owner: Owner, each: str | None, when: Condition | None) -> None:
    """Metadata that some client may set itself: no key fixes it, or not every key does."""
    names = {each} if each is not None and each.startswith("metadata.") else set()
    if when is not None:
        names |= {name for name in attributes(when) if name.startswith("metadata.")}
    for name in sorted(names):
        field = name.removeprefix("metadata.")
        loose = [key.name for key in work.keys.values() if field not in key.metadata]
        if work.keys and not loose:
            continue
        who = f'key "{min(loose)}" does not fix it' if loose else "no key fixes it"
        summary = f'{owner[0]} "{owner[1]}" counts by {name}, which clients can choose: {who}'
        hint = f"give every key a fixed `metadata: {{{field}: ...}}`, or count by `key`"
        path = ("each",) if name == each else ("when",)
        work.find("W906", owner, path, summary, label="not trusted", hint=hint, key=path == ("when",))


def _trusted(work: Work, each: str | None) -> bool:
    """Whether clients cannot choose the distinct values of this attribute: keys fix them, or there is none."""
    if each is None or each in ("key", "team"):
        return True
    field = each.removeprefix("metadata.")
    return each != field and bool(work.keys) and all(field in key.metadata for key in work.keys.values())


def _budget(work: Work, owner: Owner, model: BudgetDoc, when: Condition | None) -> None:
    for i, threshold in enumerate(model.at):
        if isinstance(threshold.do, Downgrade) and threshold.do.downgrade not in work.declared.route:
            references.unknown(work, "route", threshold.do.downgrade, owner, ("at", i, "do", "downgrade"))
    if not isinstance(model.limit, UsdLimit):
        return
    found: dict[str, Target] = {}
    for route in work.routes.values():
        loose = [target for target in route.targets if target.id not in found and unpriced(target)]
        if loose and may_hold(when, route.when, of_models(route.models)):
            found.update((target.id, target) for target in loose)
    if found:
        summary = f'{owner[0]} "{owner[1]}" counts money, but the price of {_list(found)} is not known'
        hint = "add `price` to these models (`{input: 0, output: 0}` for your own), or leave their routes out"
        label = "this cannot be kept"
        path = ("limit", "usd")
        work.find("P412", owner, path, summary, label=label, hint=hint, related=_places(found.values()))


def _cost(work: Work, owner: Owner, declared: Declared[PolicyDoc]) -> None:
    cost = declared.model.cost
    if cost is None or cost.unpriced != "reject":
        return
    found = {t.id: t for t in sorted(_covered(work, declared.model), key=lambda t: t.id) if unpriced(t)}
    if found:
        summary = f'policy "{owner[1]}" refuses targets without a price, and {_list(found)} has none'
        hint = "add `price` to these models (`{input: 0, output: 0}` for your own), or narrow `applies_to`"
        path = ("cost", "unpriced")
        places = _places(found.values())
        work.find("W907", owner, path, summary, label="they would never be used", hint=hint, related=places)


def _covered(work: Work, model: PolicyDoc) -> Iterable[Target]:
    """The targets that routes use and that the policy is for."""
    selects = model.applies_to
    used = {target.id: target for route in work.routes.values() for target in route.targets}
    if selects.all:
        return used.values()
    found: dict[str, Target] = {}
    routes = [matcher(pattern) for pattern in selects.routes or ()]
    for name, route in work.routes.items() if routes else ():
        if any(match(name) for match in routes):
            found.update((target.id, target) for target in route.targets)
    providers = [matcher(pattern) for pattern in selects.providers or ()]
    targets = [matcher(pattern) for pattern in selects.targets or ()]
    for target in used.values():
        if any(match(target.provider.name) for match in providers) or any(match(target.id) for match in targets):
            found[target.id] = target
    return found.values()


def _list(names: Iterable[str]) -> str:
    ordered = sorted(names)
    rest = len(ordered) - _NAMED
    return ", ".join(f'"{name}"' for name in ordered[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _places(targets: Iterable[Target]) -> tuple[tuple[Owner, tuple[str, ...], str], ...]:
    ordered = sorted(targets, key=lambda target: target.id)[:_NAMED]
    return tuple(
        (("provider", target.provider.name), ("models", target.name), f'"{target.id}" has no price')
        for target in ordered
    )
