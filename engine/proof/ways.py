"""Every way in which a request can come to a target, each with the condition on requests that it takes.

What may happen to any attempt (its outcome, breakers, holds, limits, credentials, the order of a balance, the lot of a
split) is left open: each may be as bad as it likes, so that a later step of a fallback is within reach of every request
that comes to the fallback. What is certain is used: conditions, pins, weights of zero, what a target cannot take, steps
that refuse. So no attempt is ever made that is none of these ways; the reverse is for a driver to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from engine.dialects import COUNT_TOKENS, lacks
from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import (
    All,
    Any_,
    Balance,
    Condition,
    Fallback,
    Graph,
    Hedge,
    Mirror,
    Not,
    Reject,
    Route,
    RouteStep,
    Split,
    Step,
    Switch,
    Target,
    TargetStep,
    Test,
    matches,
)
from engine.graph.conditions import holds, number
from engine.graph.globs import is_glob, overlap
from engine.graph.index import deciding_order
from engine.planner import children

ALWAYS, NEVER = All(()), Any_(())
#: Attributes that begin so are no requests': which variant a split's lot gives.
LOT = "lot "


class Surface(Protocol):
    """What requests at an endpoint are: its name, the kind of answer, who speaks so, the capability it needs."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def front(self) -> str: ...
    @property
    def needs(self) -> str: ...


class Way(Struct, frozen=True):
    """One use of a target in a route's tree.

    ``path`` is what brings a request of the route here, ``fits`` what the target needs of it. A ``copy`` is a mirror's.
    """

    route: Route
    step: TargetStep
    path: Condition
    fits: Condition
    condition: Condition
    """Both."""
    copy: bool = False


class Ways:
    """The ways of a graph, by route, and what a request must be to be a route's."""

    def __init__(self, graph: Graph, surfaces: Iterable[Surface]) -> None:
        self.graph = graph
        self.surfaces = tuple(surfaces)
        self.lots: dict[str, tuple[str, ...]] = {}
        """By the attribute that stands for it, the variants that a split's lot may give."""
        self._order = deciding_order(graph.routes.values())
        self._globs = [(at, route, pattern) for at, (route, pattern) in enumerate(self._order) if is_glob(pattern)]
        self._fits: dict[tuple[str, bool], Condition] = {}
        self._of: dict[str, tuple[Way, ...]] = {}
        self._selected: dict[str, Condition] = {}

    def of(self, route: Route) -> tuple[Way, ...]:
        """The uses of targets in the route's tree, in its order."""
        if route.name not in self._of:
            self._of[route.name] = tuple(self._walk(route, route.step, ALWAYS))
        return self._of[route.name]

    def selected(self, route: Route) -> Condition:
        """What a request must be to be taken by the route. Exact."""
        if route.name not in self._selected:
            ways = (self._by(route, pattern) for pattern in sorted(set(route.models)))
            selected = both(either(ways), route.when or ALWAYS)
            self._selected[route.name] = both(selected, self._keys(route))
        return self._selected[route.name]

    def _by(self, route: Route, pattern: str) -> Condition:
        """The model is one of the pattern's, and nothing that comes before it takes the request."""
        if not is_glob(pattern):
            parts: list[Condition] = [Test("model", "eq", pattern)]
            for other in self.graph.index.find(pattern):
                if other is route:
                    break
                parts.append(negated(other.when or ALWAYS))
            return every(parts)
        parts = [Test("model", "glob", pattern)]
        names: list[str] = []
        for other, before in self._order:
            if other is route:
                if before == pattern:
                    break
                continue
            if not (overlap(pattern, before) if is_glob(before) else matches(pattern, before)):
                continue
            if other.when is None and not is_glob(before):
                names.append(before)
                continue
            match = Test("model", "glob" if is_glob(before) else "eq", before)
            parts.append(negated(both(match, other.when or ALWAYS)))
        if names:
            parts.append(Test("model", "not_in", tuple(names)))
        return every(parts)

    def _keys(self, route: Route) -> Condition:
        keys = self.graph.keys.values()
        if self.graph.settings.issuers or not any(key.routes for key in keys):
            return ALWAYS
        able = (key for key in keys if not key.routes or any(matches(one, route.name) for one in key.routes))
        return one_of("key", sorted(key.name for key in able))

    def _walk(self, route: Route, step: Step, path: Condition) -> Iterator[Way]:
        if path == NEVER:
            return
        if isinstance(step, TargetStep):
            fits = self.fits(step.target)
            yield Way(route, step, path, fits, both(path, fits))
        elif isinstance(step, Fallback | Hedge):
            on = step.on if isinstance(step, Fallback) else FAIL_OVER
            for below in step.steps:
                yield from self._walk(route, below, path)
                path = both(path, negated(_refuses(below, on)))
        elif isinstance(step, Mirror):
            yield from self._mirror(route, step, path)
        elif isinstance(step, Split | Switch):
            for below, taken in zip(children(step), self._branches(step), strict=True):
                yield from self._walk(route, below, both(path, taken))
        else:
            for below in children(step):
                yield from self._walk(route, below, path)

    def _mirror(self, route: Route, mirror: Mirror, path: Condition) -> Iterator[Way]:
        served = list(self._walk(route, mirror.step, path))
        yield from served
        to = mirror.to.target
        private = to.provider.auth.scheme == "caller"
        able = [
            way.condition for way in served if not way.copy and (not private or way.step.target.provider is to.provider)
        ]
        if mirror.share <= 0 or not able:
            return
        kinds = [surface.name for surface in self.surfaces if surface.kind != COUNT_TOKENS]
        asked = both(one_of("surface", kinds), ALWAYS if mirror.tools else Test("tools", "eq", False))
        path, fits = both(either(able), asked), self.fits(to, copied=True)
        yield Way(route, mirror.to, path, fits, both(path, fits), copy=True)

    def _branches(self, step: Split | Switch) -> Iterator[Condition]:
        if isinstance(step, Switch):
            return _cases(step)
        return (self._variant(step, variant.name) for variant in step.variants)

    def _variant(self, split: Split, name: str) -> Condition:
        """A key value is pinned to the variant, or it is pinned to no other and the lot falls on this one."""
        weighty = tuple(sorted(v.name for v in split.variants if v.weight > 0)) or tuple(v.name for v in split.variants)
        weights = ",".join(f"{v.name}={v.weight}" for v in sorted(split.variants, key=lambda v: v.name))
        lot = f"{LOT}{split.name} {split.key} {weights}"
        self.lots[lot] = weighty
        drawn: Condition = Test(lot, "eq", name) if name in weighty else NEVER
        if split.key is None or not split.pins:
            return drawn
        here = [value for value, variant in split.pins.items() if variant == name]
        there = [value for value, variant in split.pins.items() if variant != name and _plain(value)]
        if there:
            drawn = both(drawn, Test(split.key, "not_in", tuple(sorted(there))))
        if all(map(_plain, here)):
            return either([one_of(split.key, sorted(here)), drawn])
        return ALWAYS

    def fits(self, target: Target, *, copied: bool = False) -> Condition:
        """What a request must be that the target can take; a copy is never streamed. Nothing else is sent to it."""
        known = self._fits.get((target.id, copied))
        if known is None:
            known = self._fits[target.id, copied] = self._fit(target, copied)
        return known

    def _fit(self, target: Target, copied: bool) -> Condition:
        provider = target.provider
        able = [
            surface.name
            for surface in self.surfaces
            if (surface.needs or surface.kind) in target.supports
            and (
                surface.front == provider.dialect
                or surface.kind not in lacks(surface.front, provider.dialect, provider.also_speaks, surface.kind)
            )
        ]
        flags = [name for name in ("stream", "tools", "vision", "json_schema") if name not in target.supports]
        parts: list[Condition] = [one_of("surface", able)]
        parts += [Test(name, "eq", False) for name in flags if not (copied and name == "stream")]
        if target.context_window is not None:
            parts.append(Test("input_tokens", "lte", target.context_window))
        return every(parts)


def _plain(value: str) -> bool:
    """Whether only this very text is pinned by the pin: no number, no flag, nothing that has several spellings."""
    if not value[:1].isalpha() or value.lower() in ("true", "false", "nan", "inf", "infinity", "none"):
        return False
    return number(value) is None


def _cases(switch: Switch) -> Iterator[Condition]:
    before: Condition = ALWAYS
    for when, _ in switch.cases:
        yield both(before, when)
        before = both(before, negated(when))
    if switch.default is not None:
        yield before


def _refuses(step: Step, on: frozenset[OutcomeClass]) -> Condition:
    """Of which requests it is certain that nothing behind ``step`` is tried after the outcomes ``on``."""
    if isinstance(step, Reject):
        return ALWAYS
    if isinstance(step, Fallback | Hedge):
        own = step.on if isinstance(step, Fallback) else FAIL_OVER
        steps = step.steps if on <= own else step.steps[:1]
        return either(_refuses(below, on | own) for below in steps)
    if isinstance(step, Switch):
        taken = zip(children(step), _cases(step), strict=True)
        return either(both(when, _refuses(below, on)) for below, when in taken)
    if isinstance(step, Split):
        return every(_refuses(variant.step, on) for variant in step.variants)
    if isinstance(step, Balance):
        return every(_refuses(below, on | FAIL_OVER) for below in children(step))
    if isinstance(step, Mirror | RouteStep):
        return _refuses(step.step, on)
    return NEVER


def about(target: Target, condition: Condition) -> Condition:
    """What the condition says of requests, once its tests of ``target.*`` are answered for this target."""
    if isinstance(condition, Test):
        if not condition.attribute.startswith("target."):
            return condition
        return ALWAYS if holds(condition, of_target(target)(condition.attribute)) else NEVER
    if isinstance(condition, Not):
        return negated(about(target, condition.part))
    parts = (about(target, part) for part in condition.parts)
    return every(parts) if isinstance(condition, All) else either(parts)


def of_target(target: Target) -> Callable[[str], Any]:
    """The target's attributes by name; ``None`` is absent."""
    values: Mapping[str, Any] = {
        "target.id": target.id,
        "target.provider": target.provider.name,
        "target.model": target.model,
        "target.category": target.provider.category,
        "target.dialect": target.provider.dialect,
        "target.context_window": target.context_window,
        "target.max_output": target.max_output,
    }

    def value(attribute: str) -> Any:
        if attribute.startswith("target.labels."):
            return target.labels.get(attribute[14:])
        return values.get(attribute)

    return value


def one_of(attribute: str, values: list[str]) -> Condition:
    """The attribute has one of these values; never, where there are none."""
    return Test(attribute, "in", tuple(values)) if values else NEVER


def both(a: Condition, b: Condition) -> Condition:
    """Both hold."""
    return every((a, b))


def every(parts: Iterable[Condition]) -> Condition:
    """All hold; plain constants are folded."""
    kept: list[Condition] = []
    for part in parts:
        if part == NEVER:
            return NEVER
        if part == ALWAYS:
            continue
        kept.extend(part.parts if isinstance(part, All) else (part,))
    return kept[0] if len(kept) == 1 else All(tuple(kept))


def either(parts: Iterable[Condition]) -> Condition:
    """At least one holds; plain constants are folded."""
    kept: list[Condition] = []
    for part in parts:
        if part == ALWAYS:
            return ALWAYS
        if part != NEVER:
            kept.append(part)
    return kept[0] if len(kept) == 1 else Any_(tuple(kept))


def negated(part: Condition) -> Condition:
    """It does not hold."""
    if part in (ALWAYS, NEVER):
        return NEVER if part == ALWAYS else ALWAYS
    return part.part if isinstance(part, Not) else Not(part)
