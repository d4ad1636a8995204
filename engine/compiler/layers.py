"""Policies resolved: for every use of a target in a route, which value of each field is the nearest.

A *layer* is what all policies of one level say about one thing (a route, a provider, a target, or everything). Layers
are sorted tuples that compare by value, so that whether a policy edit changes a route is one comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.graph import Breaker, Params, Retry, Target, Timeouts, digest

from .blueprint import JsonPairs, UseTarget

#: The levels, from the farthest to the nearest.
LEVELS = ("all", "providers", "routes", "targets")

#: Fields that bound a whole request; only policies for routes or for all can set them.
REQUEST_WIDE = frozenset({"retry.max_attempts", "retry.budget", "timeouts.total"})

RETRY_FIELDS = {
    "retry.per_target": "per_target",
    "retry.backoff.initial": "initial",
    "retry.backoff.max": "max",
}
BREAKER_FIELDS = {
    "breaker.window": "window",
    "breaker.min_requests": "min_requests",
    "breaker.error_rate": "error_rate",
    "breaker.consecutive": "consecutive",
    "breaker.slow.longer_than": "slow_longer_than",
    "breaker.slow.rate": "slow_rate",
    "breaker.open_for": "open_for",
    "breaker.max_open_for": "max_open_for",
    "breaker.probes": "probes",
    "breaker.slow_start": "slow_start",
    "breaker.max_ejected": "max_ejected",
    "breaker.when_all_open": "when_all_open",
}
TIMEOUT_FIELDS = {f"timeouts.{name}": name for name in ("connect", "first_token", "idle", "attempt")}


@dataclass(frozen=True, slots=True)
class Said:
    """One field's value, the policy that says it, and how near that is (the index in ``LEVELS``; a step is nearer)."""

    value: Any
    policy: str
    level: int


Layer = tuple[tuple[str, Said], ...]
Fields = dict[str, Said]
EMPTY_LAYER: Layer = ()
STEP_LEVEL = len(LEVELS)

#: (inner, outer): the inner one has to fit into the outer one.
NESTING = (
    ("timeouts.connect", "timeouts.attempt"),
    ("timeouts.first_token", "timeouts.total"),
    ("timeouts.attempt", "timeouts.total"),
    ("retry.per_target", "retry.max_attempts"),
    ("retry.backoff.initial", "retry.backoff.max"),
    ("breaker.open_for", "breaker.max_open_for"),
)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Two declared values of which the inner one does not fit into the outer one."""

    inner: str
    inner_said: Said
    outer: str
    outer_said: Said


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everything that policies decide for one use of a target."""

    retry: Retry
    timeouts: Timeouts
    breaker: Breaker
    unsupported: Any
    set: JsonPairs
    default: JsonPairs
    misfits: tuple[Misfit, ...]


@dataclass(slots=True)
class PolicyBook:
    """What the policies of a configuration say, by what they say it about."""

    everything: Layer = EMPTY_LAYER
    providers: dict[str, Layer] = field(default_factory=dict)
    routes: dict[str, Layer] = field(default_factory=dict)
    targets: dict[str, Layer] = field(default_factory=dict)
    _wide: dict[Layer, Fields] = field(default_factory=dict)
    _resolved: dict[Any, Resolved] = field(default_factory=dict)
    _circuits: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def signature(self, route: str, targets: Iterable[Target]) -> Any:
        """A value that is equal as long as the policies say the same about this route and these targets."""
        if not self.providers and not self.targets:
            return (self.everything, self.routes.get(route, EMPTY_LAYER))
        about = tuple(
            (self.providers.get(t.provider.name, EMPTY_LAYER), self.targets.get(t.id, EMPTY_LAYER)) for t in targets
        )
        return (self.everything, self.routes.get(route, EMPTY_LAYER), about)

    def wide(self, route: str) -> Fields:
        """The fields for the route as a whole: what is said for all, and nearer, for the route."""
        layer = self.routes.get(route, EMPTY_LAYER)
        known = self._wide.get(layer)
        if known is None:
            known = self._wide[layer] = dict(self.everything) | dict(layer)
        return known

    def of_route(self, route: str, longest: int) -> tuple[Retry, Timeouts]:
        """The route's own retry and timeouts; ``longest`` is how many targets its longest path has."""
        key = (self.routes.get(route, EMPTY_LAYER), longest)
        known = self._resolved.get(key)
        if known is None:
            known = self._resolved[key] = self._merge(self.wide(route), longest)
        return known.retry, known.timeouts

    def of_use(self, route: str, longest: int, target: Target, use: UseTarget) -> Resolved:
        """What holds for this use of the target in this route."""
        provider = self.providers.get(target.provider.name, EMPTY_LAYER)
        own = self.targets.get(target.id, EMPTY_LAYER)
        layer = self.routes.get(route, EMPTY_LAYER)
        key = (provider, layer, own, longest, use.timeouts)
        known = self._resolved.get(key)
        if known is None:
            fields = dict(self.everything) | dict(provider) | dict(layer) | dict(own)
            fields |= {f"timeouts.{name}": Said(value, "", STEP_LEVEL) for name, value in use.timeouts}
            known = self._resolved[key] = self._merge(fields, longest)
        return known

    def circuit(self, target: Target, breaker: Breaker) -> str:
        """The id of the circuit of a target under these rules: what was learnt of it is kept as long as both stay."""
        provider = target.provider
        key = (target.id, breaker, provider.base_url, provider.transport, provider.command, target.model)
        known = self._circuits.get(key)
        if known is None:
            known = self._circuits[key] = f"{target.id}#{digest(key)[:8]}"
        return known

    def _merge(self, fields: Fields, longest: int) -> Resolved:
        def value(name: str, default: Any) -> Any:
            said = fields.get(name)
            return default if said is None else said.value

        base, limits = Retry(), Timeouts()
        retry = Retry(
            max_attempts=value("retry.max_attempts", max(base.max_attempts, longest)),
            budget=value("retry.budget", base.budget),
            go_back="retry.per_target" not in fields,
            **{name: value(path, getattr(base, name)) for path, name in RETRY_FIELDS.items()},
        )
        timeouts = Timeouts(
            total=value("timeouts.total", limits.total),
            **{name: value(path, getattr(limits, name)) for path, name in TIMEOUT_FIELDS.items()},
        )
        usual = Breaker()
        breaker = Breaker(**{name: value(path, getattr(usual, name)) for path, name in BREAKER_FIELDS.items()})
        return Resolved(
            retry,
            timeouts,
            breaker,
            value("params.unsupported", "drop"),
            _params(fields, "params.set."),
            _params(fields, "params.default."),
            tuple(_misfits(fields)),
        )


def _params(fields: Fields, prefix: str) -> JsonPairs:
    return tuple((name[len(prefix) :], fields[name].value) for name in sorted(fields) if name.startswith(prefix))


def _misfits(fields: Fields) -> Iterable[Misfit]:
    """Declared values that do not nest. A nearer, tighter outer limit is an override and not a mistake."""
    for inner, outer in NESTING:
        a, b = fields.get(inner), fields.get(outer)
        if a is not None and b is not None and a.level >= b.level and a.value > b.value:
            yield Misfit(inner, a, outer, b)


def params_of(resolved: Resolved, use: UseTarget) -> Params:
    """The overrides of one use: the step's own win over what policies say, name by name."""
    if not (resolved.set or resolved.default or use.set or use.default):
        return NO_PARAMS
    return Params(_over(resolved.set, use.set), _over(resolved.default, use.default))


def _over(far: JsonPairs, near: JsonPairs) -> JsonPairs:
    return near if not far else far if not near else tuple(sorted((dict(far) | dict(near)).items()))


NO_PARAMS = Params()
