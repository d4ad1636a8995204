"""The kinds of request that two configurations tell apart, each by one request: a witness.

A kind is a model's name, and a value for every attribute that a condition on its way tests, one for each way that the
tests come out together (:func:`engine.graph.domains.representatives`); besides, the kinds of answer, the capabilities
and the sizes that targets differ in. Models whose routes are the same in both configurations are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice, product
from typing import Any

from msgspec import Struct

from engine.graph import Balance, Condition, Graph, Not, Route, Step, Switch, Test
from engine.graph.domains import representatives
from engine.graph.globs import is_glob, literal_prefix
from engine.graph.texts import TooMany, kinds_of_text
from engine.planner import Request, children

#: Kinds of request looked at for one model; the first of them are the plainest.
MOST_KINDS = 4_096
#: Input tokens where nothing asks for more or less.
PLAIN_INPUT = 1_000
#: Globs looked at together with another one.
_MOST_BESIDE = 4
#: Surface, kind, protocol of the client, needed capability.
SURFACES = (
    ("chat", "chat", "openai-chat", "chat"),
    ("embeddings", "embeddings", "openai-chat", "embeddings"),
    ("rerank", "rerank", "cohere", "rerank"),
    ("moderations", "moderations", "openai-chat", "moderations"),
    ("images", "images", "openai-chat", "images"),
    ("audio", "audio", "openai-chat", "audio"),
    ("completions", "completions", "openai-chat", "completions"),
    ("responses", "chat", "openai-responses", "chat"),
    ("messages", "chat", "anthropic-messages", "chat"),
)
#: How many of them are one for each kind of answer; the others count only where a condition tells them apart.
_OWN_KIND = 7
_FLAGS = ("stream", "tools", "vision", "json_schema")


class Kinds(Struct):
    """The kinds of request for one model; ``complete`` is false where there are more than were looked at."""

    model: str
    requests: list[Request]
    complete: bool


def kinds(base: Graph, head: Graph) -> Iterator[Kinds]:
    """Every kind of request that may be treated differently, by model, in the models' order."""
    for model in models(base, head):
        routes = [*base.index.find(model), *head.index.find(model)]
        tests = [*_tests(base, head, routes)]
        yield _of_model(model, routes, tests)


def models(base: Graph, head: Graph) -> list[str]:
    """A name for each kind of model whose routes are not the same in both; the names of routes come first."""
    changed = {
        name
        for name in base.routes.keys() | head.routes.keys()
        if base.node_digests.get(f"route:{name}") != head.node_digests.get(f"route:{name}")
    }
    if _limits(base) != _limits(head):
        changed = set(base.routes) | set(head.routes)
    routes = [*base.routes.values(), *head.routes.values()]
    patterns = sorted({p for route in routes if route.name in changed for p in route.models})
    others = sorted({p for route in routes for p in route.models if is_glob(p)})
    named = [value for route in routes if route.name in changed for value in _named(route)]
    found: dict[tuple[tuple[str, ...], tuple[str, ...]] | str, str] = {}
    for name in (*_exact(base, head, changed), *named, *(t for p in patterns if is_glob(p) for t in _texts(p, others))):
        before, after = (graph.index.find(name) for graph in (base, head))
        if not any(route.name in changed for route in (*before, *after)):
            continue
        # Names that the same routes answer to are one kind, but for those that people wrote down.
        written = name in base.index.names() or name in head.index.names() or name in named
        found.setdefault(name if written else (_names(before), _names(after)), name)
    return list(dict.fromkeys(found.values()))


def _exact(base: Graph, head: Graph, changed: set[str]) -> list[str]:
    names = sorted({*base.index.names(), *head.index.names()})
    return [n for n in names if any(r.name in changed for g in (base, head) for r in g.index.find(n))]


def _names(routes: Iterable[Route]) -> tuple[str, ...]:
    return tuple(route.name for route in routes)


def _limits(graph: Graph) -> dict[str, str]:
    return {node: digest for node, digest in graph.node_digests.items() if node.startswith("limit:")}


def _named(route: Route) -> list[str]:
    """Models that conditions of the route name."""
    found = []
    for test in _route_tests(route):
        if test.attribute == "model":
            found += [v for v in representatives("model", [test]) if isinstance(v, str)]
    return found


def _texts(pattern: str, others: list[str]) -> Iterator[str]:
    """Names that the glob matches, each matched by other ones of the globs that it may overlap."""
    for fill in ("x", "", "1"):
        yield pattern.replace("*", fill).replace("?", fill or "x")
    prefix = literal_prefix(pattern)
    beside = [p for p in others if p != pattern and _overlap(prefix, literal_prefix(p))][:_MOST_BESIDE]
    if beside:
        with suppress(TooMany):
            yield from kinds_of_text((pattern, *beside), (), False)


def _overlap(a: str, b: str) -> bool:
    return a.startswith(b) or b.startswith(a)


def _tests(base: Graph, head: Graph, routes: Iterable[Route]) -> Iterator[Test]:
    for route in routes:
        yield from _route_tests(route)
    for graph in (base, head):
        for limit in graph.limits.all.values() if _limits(base) != _limits(head) else ():
            yield from _of_condition(limit.when)


def _route_tests(route: Route) -> Iterator[Test]:
    yield from _of_condition(route.when)
    for step in _all(route.step):
        if isinstance(step, Switch):
            for when, _ in step.cases:
                yield from _of_condition(when)


def _all(step: Step) -> Iterator[Step]:
    yield step
    for child in children(step):
        yield from _all(child)


def _of_condition(condition: Condition | None) -> Iterator[Test]:
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, Not):
        yield from _of_condition(condition.part)
    elif condition is not None:
        for part in condition.parts:
            yield from _of_condition(part)


def _of_model(model: str, routes: list[Route], tests: list[Test]) -> Kinds:
    by_attribute: dict[str, list[Test]] = {}
    for test in dict.fromkeys(tests):
        by_attribute.setdefault(test.attribute, []).append(test)
    targets = {target.id + str(id(target)): target for route in routes for target in route.targets}.values()
    windows = sorted({t.context_window for t in targets if t.context_window is not None})
    by_attribute.setdefault("input_tokens", []).extend(Test("input_tokens", "gt", window) for window in windows)
    if any(isinstance(step, Balance) and step.by == "cheapest" for route in routes for step in _all(route.step)):
        by_attribute["input_tokens"] += [Test("input_tokens", "gt", size) for size in _tiers(targets)]
    choices: dict[str, list[Any]] = {
        "surface": _surfaces(frozenset().union(*(t.supports for t in targets)), "surface" in by_attribute),
        "input_tokens": representatives("input_tokens", by_attribute.pop("input_tokens"), (PLAIN_INPUT,)),
    }
    for flag in _FLAGS:
        differ = len({flag in target.supports for target in targets}) > 1
        choices[flag] = [False, True] if differ or flag in by_attribute else [False]
    for attribute, group in sorted(by_attribute.items()):
        if attribute not in ("model", *choices):
            choices[attribute] = representatives(attribute, group)
    # What changes slowest comes first, so that the first requests are the plainest.
    rows = product(*reversed(choices.values()))
    requests = [_request(model, dict(zip(reversed(choices), row, strict=True))) for row in islice(rows, MOST_KINDS)]
    return Kinds(model, requests, next(rows, None) is None)


def _tiers(targets: Iterable[Any]) -> list[int]:
    sizes = {above for target in targets if target.price is not None for above, _ in target.price.tiers}
    return sorted({100, 100_000, *sizes})


def _surfaces(supported: frozenset[str], tested: bool) -> list[tuple[str, str, str, str]]:
    known = SURFACES if tested else SURFACES[:_OWN_KIND]
    return [row for row in known if row[3] in supported] or [SURFACES[0]]


def _request(model: str, said: dict[str, Any]) -> Request:
    surface, kind, front, needed = said.pop("surface")
    request = Request(model=model, surface=surface, kind=kind, front=front, request_id="witness")
    metadata, headers = {}, {}
    for attribute, value in said.items():
        if value is None:
            continue
        if attribute.startswith("metadata."):
            metadata[attribute[9:]] = value
        elif attribute.startswith("header."):
            headers[attribute[7:].lower()] = value
        else:
            setattr(request, attribute, value)
    request.metadata, request.headers = metadata, headers
    request.needs = frozenset({needed, *(flag for flag in _FLAGS if getattr(request, flag))})
    request.wire = frozenset({kind})
    return request
