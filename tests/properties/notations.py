"""Hypothesis strategies for the small notations that documents are made of."""

from __future__ import annotations

import string
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Tree = dict[str, Any]

KINDS = ("provider", "route", "policy", "key", "settings", "budget", "limit", "invariant", "test")
FAILURES = (
    "invalid_request", "context_exceeded", "content_refused", "unauthorized", "quota_exhausted", "model_gone",
    "rate_limited", "overloaded", "server_error", "connection", "timeout", "garbled",
)  # fmt: skip
CAPABILITIES = (
    "chat", "completions", "embeddings", "rerank", "images", "audio", "moderations",
    "stream", "tools", "vision", "json_schema", "logprobs", "reasoning",
)  # fmt: skip

_FIRST = string.ascii_lowercase + string.digits
names = st.text(_FIRST + "-_.", min_size=0, max_size=6).flatmap(
    lambda rest: st.sampled_from(_FIRST).map(lambda c: c + rest)
)
model_names = st.text(_FIRST + "-_.:/@+", min_size=0, max_size=8).flatmap(
    lambda rest: st.sampled_from(_FIRST + "@").map(lambda c: c + rest)
)
target_names = st.tuples(names, model_names).map("/".join)
words = st.text(string.ascii_letters + string.digits + " -_.,äß€", min_size=1, max_size=12)
globs = st.text(_FIRST + "-_./*?", min_size=1, max_size=8)
durations = st.tuples(st.integers(1, 999), st.sampled_from(["ms", "s", "m"])).map(
    lambda p: f"{p[0]}{p[1]}"
) | st.sampled_from(["1m30s", "0.5s", "24h", "7d"])
percents = st.integers(0, 100).map(lambda n: f"{n}%") | st.sampled_from(["12.5%", "0.1%"])
counts = st.integers(1, 1_000_000)
prices = st.integers(0, 1000) | st.decimals(0, 100, places=4, allow_nan=False).map(float)
weights = st.integers(0, 100) | st.sampled_from([0.5, 2.5])
scalars = st.booleans() | st.integers(-1000, 1000) | st.sampled_from([0.5, 1e6]) | words
json_values: SearchStrategy[Any] = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
secrets = st.sampled_from([{"env": "SERVICE_API_KEY"}, {"file": "/run/secrets/service"}])
dates = st.dates().map(lambda d: d.isoformat()).filter(lambda text: len(text) == 10)
attributes = st.sampled_from(
    ["model", "surface", "user", "key", "team", "metadata.team", "metadata.a.b", "header.x-app"]
)
labels = st.dictionaries(names, scalars, max_size=2)


def mapping(required: Tree, optional: Tree | None = None) -> SearchStrategy[Tree]:
    """Mappings that have all of the required keys and any of the optional ones."""
    return st.fixed_dictionaries(required, optional=optional or {})


def some(values: SearchStrategy[Any], most: int = 3, least: int = 1) -> SearchStrategy[list[Any]]:
    """Short lists."""
    return st.lists(values, min_size=least, max_size=most)


@st.composite
def dictionary(draw: st.DrawFn, keys: SearchStrategy[str], values: SearchStrategy[Any], least: int, most: int) -> Tree:
    """Mappings with large values; ``st.dictionaries`` would print them whenever it draws a key twice."""
    return {key: draw(values) for key in draw(st.lists(keys, min_size=least, max_size=most, unique=True))}


@st.composite
def at_least_one(draw: st.DrawFn, optional: Tree, most: int = 3) -> Tree:
    """Mappings that have between one and ``most`` of the keys."""
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), min_size=1, max_size=most, unique=True))
    return {key: draw(optional[key]) for key in chosen}


def _tests(one: SearchStrategy[Any], **operators: SearchStrategy[Any]) -> SearchStrategy[Any]:
    optional = {"eq": one, "ne": one, "in": some(one), "not_in": some(one), "exists": st.booleans(), **operators}
    return one | some(one) | at_least_one(optional)


@cache
def conditions(targets: bool = False) -> SearchStrategy[Tree]:
    """Conditions of any form; ``targets`` adds the attributes that only invariants may use."""
    numbers = st.integers(-10, 100_000) | st.just(0.5)
    ordered = dict.fromkeys(("gt", "gte", "lt", "lte"), numbers)
    flag = _tests(st.booleans())
    number = _tests(numbers, **ordered)
    value = _tests(scalars, glob=globs | some(globs), **ordered)
    keys: Tree = {
        "model": value, "user": value, "metadata.tier": value, "header.x-app": value, "stream": flag, "tools": flag,
        "input_tokens": number, "max_tokens": number,
    }  # fmt: skip
    if targets:
        keys |= {"target.provider": value, "target.labels.region": value, "target.context_window": number}
    leaves = at_least_one(keys)
    return st.recursive(
        leaves,
        lambda inner: at_least_one({"all": some(inner, 2), "any": some(inner, 2), "not": inner, "user": value}),
        max_leaves=3,
    )


gates = mapping(
    {},
    {
        **dict.fromkeys(("max_cost_increase", "max_seconds_increase", "max_moved_users"), percents),
        "no_new": st.lists(names, max_size=2),
        "no_lost": st.lists(st.sampled_from(["models", "capabilities"]), max_size=2),
    },
)

collectors = mapping(
    {"endpoint": st.just("http://localhost:4318")},
    {
        "headers": st.dictionaries(st.sampled_from(["authorization", "x-key"]), st.just({"env": "COLLECTOR_KEY"})),
        "traces": st.booleans(),
        "metrics": st.booleans(),
        "interval": durations,
        "sample": st.sampled_from(["0%", "2.5%", "100%"]),
    },
)
