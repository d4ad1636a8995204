"""Policies: what each says about what, and which of two is nearer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.documents import Path
from engine.graph.globs import is_glob, matcher
from engine.schema import PolicyDoc
from engine.units import parse_duration, parse_percent

from .. import references
from ..layers import BREAKER_FIELDS, EMPTY_LAYER, LEVELS, REQUEST_WIDE, Layer, PolicyBook, Said
from ..work import Work

_SINGULAR = {"routes": "route", "providers": "provider", "targets": "target"}


@dataclass(slots=True)
class _Rules:
    """One policy: its fields with their places, and the level it was found at with."""

    name: str
    fields: dict[str, tuple[Any, Path]]


@dataclass(slots=True)
class _About:
    """The policies about one thing at one level, by name, and whether each spells the thing's name out."""

    exact: dict[str, bool] = field(default_factory=dict)


def run(work: Work) -> None:
    """Fills ``book``; reports selections of nothing, contradictions, and fields that can have no effect."""
    rules = {name: _Rules(name, dict(_fields(d.model))) for name, d in sorted(work.declared.policy.items())}
    known: Mapping[str, Collection[str]] = {
        "routes": work.declared.route,
        "providers": work.providers,
        "targets": work.targets,
    }
    about: dict[str, dict[str, _About]] = {level: {} for level in LEVELS}
    for name, declared in sorted(work.declared.policy.items()):
        selects = declared.model.applies_to
        if selects.all:
            about["all"].setdefault("", _About()).exact[name] = True
        for level in ("routes", "providers", "targets"):
            for i, pattern in enumerate(getattr(selects, level) or ()):
                _select(work, name, level, i, pattern, known[level], about[level])
        _check_level(work, declared.model, rules[name])
    layers = _Layers(work, rules)
    resolved = {
        level: {thing: layer for thing, a in about[level].items() if (layer := layers.of(level, thing, a))}
        for level in LEVELS
    }
    work.book = PolicyBook(
        resolved["all"].get("", EMPTY_LAYER), resolved["providers"], resolved["routes"], resolved["targets"]
    )


def _select(
    work: Work, policy: str, level: str, i: int, pattern: str, known: Collection[str], about: dict[str, _About]
) -> None:
    """Notes what the pattern selects, or reports that it selects nothing."""
    path: Path = ("applies_to", level, i)
    if not is_glob(pattern):
        if pattern in known:
            about.setdefault(pattern, _About()).exact[policy] = True
        else:
            references.unknown(work, _SINGULAR[level], pattern, ("policy", policy), path)
        return
    match = matcher(pattern)
    found = [name for name in known if match(name)]
    for name in found:
        about.setdefault(name, _About()).exact.setdefault(policy, False)
    if not found:
        references.nothing(work, _SINGULAR[level], pattern, ("policy", policy), path)


def _check_level(work: Work, model: PolicyDoc, rules: _Rules) -> None:
    owner = ("policy", model.name)
    if not (model.applies_to.all or model.applies_to.routes):
        for name in sorted(REQUEST_WIDE & set(rules.fields)):
            summary = f'policy "{model.name}" sets {name}, which bounds a whole request, for targets or providers only'
            hint = f"move {name} to a policy that applies to routes or to all"
            work.find("W904", owner, rules.fields[name][1], summary, label="has no effect here", hint=hint)
    if model.cost is not None:
        summary = f'`cost` of policy "{model.name}" is checked but not acted on yet'
        hint = "it changes nothing in this version; keep it for a later one, or remove it"
        work.find("W905", owner, ("cost",), summary, label="not acted on", hint=hint, key=True)


def _fields(model: PolicyDoc) -> Iterable[tuple[str, tuple[Any, Path]]]:
    """(field, (value as the graph has it, place)) of everything that the policy says and this version acts on."""
    retry, timeouts, params = model.retry, model.timeouts, model.params
    if retry is not None:
        for name in ("max_attempts", "per_target"):
            if (number := getattr(retry, name)) is not None:
                yield f"retry.{name}", (number, ("retry", name))
        if retry.budget is not None:
            yield "retry.budget", (parse_percent(retry.budget), ("retry", "budget"))
        for name in ("initial", "max"):
            if (text := getattr(retry.backoff, name)) is not None:
                yield f"retry.backoff.{name}", (parse_duration(text), ("retry", "backoff", name))
    if timeouts is not None:
        for name in ("connect", "first_token", "idle", "attempt", "total"):
            if (text := getattr(timeouts, name)) is not None:
                yield f"timeouts.{name}", (parse_duration(text), ("timeouts", name))
    yield from _breaker_fields(model)
    if params is not None:
        if params.unsupported is not None:
            yield "params.unsupported", (params.unsupported, ("params", "unsupported"))
        for group in ("set", "default"):
            for name, value in getattr(params, group).items():
                yield f"params.{group}.{name}", (msgspec.json.encode(value), ("params", group, name))


def _breaker_fields(model: PolicyDoc) -> Iterable[tuple[str, tuple[Any, Path]]]:
    if model.breaker is None:
        return
    for field_ in BREAKER_FIELDS:
        value: Any = model.breaker
        path = tuple(field_.split("."))
        for part in path[1:]:
            value = getattr(value, part)
        if value is None:
            continue
        if isinstance(value, str) and path[-1] != "when_all_open":
            value = parse_percent(value) if value.endswith("%") else parse_duration(value)
        yield field_, (value, path)


class _Layers:
    """Merges the policies of one level about one thing; things with the same policies share one layer."""

    def __init__(self, work: Work, rules: Mapping[str, _Rules]) -> None:
        self.work = work
        self.rules = rules
        self.known: dict[tuple[str, tuple[tuple[str, bool], ...]], Layer] = {}

    def of(self, level: str, thing: str, about: _About) -> Layer:
        """The layer, sorted by field; contradictions are reported once for each pair of policies and field."""
        key = (level, tuple(sorted(about.exact.items())))
        layer = self.known.get(key)
        if layer is None:
            layer = self.known[key] = self._merge(level, thing, about.exact)
        return layer

    def _merge(self, level: str, thing: str, exact: Mapping[str, bool]) -> Layer:
        merged: dict[str, tuple[Said, bool]] = {}
        for policy in sorted(exact, key=lambda name: (not exact[name], name)):
            for name, (value, path) in self.rules[policy].fields.items():
                if name in REQUEST_WIDE and level in ("providers", "targets"):
                    continue
                known = merged.get(name)
                if known is None:
                    merged[name] = (Said(value, policy, LEVELS.index(level)), exact[policy])
                elif known[1] == exact[policy] and known[0].value != value:
                    self._contradiction(level, thing, name, known[0].policy, policy, path)
        return tuple((name, merged[name][0]) for name in sorted(merged))

    def _contradiction(self, level: str, thing: str, name: str, first: str, second: str, path: Path) -> None:
        what = "everything" if level == "all" else f'{_SINGULAR[level]} "{thing}"'
        summary = f'policies "{first}" and "{second}" set {name} for {what} to different values'
        hint = f"narrow the `applies_to` of one of them, or keep {name} in only one"
        place = (("policy", first), self.rules[first].fields[name][1], f'policy "{first}" sets it too')
        label = f'contradicts policy "{first}"'
        self.work.find("P402", ("policy", second), path, summary, label=label, hint=hint, related=(place,))
