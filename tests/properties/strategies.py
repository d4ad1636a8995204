"""Hypothesis strategies for documents and whole configurations.

``documents(kind)`` gives trees that the schema of ``kind`` accepts, with every key and form there is; what they refer
to need not exist. ``configurations()`` gives lists of documents that belong together: every reference resolves, no two
routes tie, and only what this version can do is used, so that they compile without an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .notations import (
    CAPABILITIES,
    FAILURES,
    Tree,
    at_least_one,
    attributes,
    collectors,
    conditions,
    counts,
    dates,
    dictionary,
    durations,
    gates,
    globs,
    json_values,
    labels,
    mapping,
    model_names,
    names,
    percents,
    prices,
    secrets,
    some,
    target_names,
    weights,
    words,
)


def _timeouts(everything: bool) -> Tree:
    """Timeouts of one attempt; without ``everything`` they fit into each other and into the defaults."""
    short = durations if everything else st.sampled_from(["500ms", "1s", "1.5s"])
    attempt = durations if everything else st.sampled_from(["10s", "20s"])
    return {"connect": short, "first_token": short, "idle": short, "attempt": attempt}


params = mapping(
    {},
    {
        key: st.dictionaries(st.sampled_from(["temperature", "top_p", "x"]), json_values, max_size=2)
        for key in ("set", "default")
    },
)


def steps(
    targets: SearchStrategy[str] = target_names, *, routes: SearchStrategy[str] | None = names, everything: bool = True
) -> SearchStrategy[Any]:
    """Step trees over ``targets``; ``everything`` adds the steps and balance modes that this version refuses to run."""
    timeouts = mapping({}, _timeouts(everything))
    leaves = targets | mapping({"target": targets}, {"params": params, "timeouts": timeouts})
    if routes is not None:
        leaves |= mapping({"route": routes})
    if everything:
        leaves |= mapping({"reject": mapping({}, {"status": st.integers(400, 599), "message": words})})
    return st.recursive(leaves, lambda inner: _branches(inner, targets, everything), max_leaves=4)


def _branches(inner: SearchStrategy[Any], targets: SearchStrategy[str], everything: bool) -> SearchStrategy[Any]:
    failures = some(st.sampled_from(FAILURES))
    body = mapping({"steps": some(inner)}) | mapping({"steps": some(inner), "only_on": failures})
    body |= mapping({"steps": some(inner), "also_on": failures})
    members = some(inner | mapping({"step": inner}, {"weight": st.integers(1, 9)}))
    tiers = dictionary(words, inner, 1, 2)
    cases = tiers.map(lambda by: [{"when": {"metadata.tier": tier}, "step": step} for tier, step in by.items()])
    branches = (
        mapping({"fallback": some(inner) | body})
        | mapping({"split": splits(inner, everything)})
        | mapping({"balance": mapping({"by": st.sampled_from(["weighted", "least_busy"]), "steps": members})})
        | mapping({"balance": mapping({"by": st.just("hash"), "key": attributes, "steps": members})})
        | mapping({"switch": mapping({"cases": cases}, {"default": inner})})
    )
    if everything:
        by = st.sampled_from(["latency", "cheapest", "usage"])
        case = mapping({"when": conditions(), "step": inner})
        branches |= mapping({"balance": mapping({"by": by, "steps": members})})
        branches |= mapping({"switch": mapping({"cases": some(case, 2)}, {"default": inner})})
        branches |= mapping({"mirror": mapping({"to": targets, "percent": percents, "step": inner})})
        branches |= mapping({"hedge": mapping({"delay": durations, "steps": some(inner, 3, 2)})})
    return branches


@st.composite
def splits(draw: st.DrawFn, inner: SearchStrategy[Any], everything: bool = True) -> Tree:
    """Splits of a positive total weight, sometimes with pins; ``everything`` adds holdouts."""
    found = draw(dictionary(names, mapping({"weight": weights, "step": inner}), 1, 3))
    first = next(iter(found.values()))
    first["weight"] = first["weight"] or 1
    split: Tree = {"name": draw(names), "variants": found}
    if draw(st.booleans()):
        split["key"] = draw(attributes)
        if draw(st.booleans()):
            split["pins"] = draw(st.dictionaries(words, st.sampled_from(sorted(found)), max_size=2))
        if everything and draw(st.booleans()):
            split["holdout"] = {"percent": draw(percents), "variant": draw(st.sampled_from(sorted(found)))}
    return split


def _doc(kind: str, required: Tree, optional: Tree, name: SearchStrategy[str] = names) -> SearchStrategy[Tree]:
    return mapping({"version": st.just(1), "kind": st.just(kind), "name": name, **required}, optional)


def auths(everything: bool = True) -> SearchStrategy[Tree]:
    """Every way to log in; without ``everything`` those of this version."""
    found = (
        mapping({"scheme": st.sampled_from(["none", "caller"])})
        | mapping({"scheme": st.just("bearer"), "secret": secrets})
        | mapping({"scheme": st.just("header"), "name": st.sampled_from(["x-api-key", "api-key"]), "secret": secrets})
    )
    if everything:
        pair = {"access_key": secrets, "secret": secrets}
        found |= mapping({"scheme": st.just("aws")}, {"region": names})
        found |= mapping({"scheme": st.just("aws"), **pair}, {"session_token": secrets})
        found |= mapping({"scheme": st.just("google")}, {"secret": secrets})
        found |= mapping({"scheme": st.just("entra")}, {"tenant": names, "client_id": names, "secret": secrets})
    return found


rates = (
    mapping({"requests": counts, "per": durations})
    | mapping({"tokens": counts, "per": durations})
    | mapping({"concurrency": counts})
)


def model_entries() -> SearchStrategy[Tree]:
    """Entries of a provider's ``models``."""
    kinds = ("input", "output", "cached_input", "cache_write", "reasoning", "image", "request")
    price_keys = dict.fromkeys(kinds, prices)
    tier = mapping({"above": counts}, price_keys)
    price = mapping({}, {**price_keys, "tiers": some(tier, 2, 0), "source": words, "as_of": dates})
    return mapping(
        {},
        {
            "model": words, "context_window": counts, "max_output": counts, "price": price, "labels": labels,
            "supports": st.lists(st.sampled_from(CAPABILITIES), max_size=3, unique=True),
        },
    )  # fmt: skip


def providers(name: SearchStrategy[str] = names, everything: bool = True) -> SearchStrategy[Tree]:
    """Provider documents; without ``everything`` only what this version can talk to, with at least one model."""
    urls = st.sampled_from(["https://api.example.com/v1", "http://127.0.0.1:8000", "http://[::1]:8000/v1"])
    quirks = mapping(
        {},
        {
            "rename": st.dictionaries(names, names, max_size=2), "drop": st.lists(names, max_size=2),
            "set": st.dictionaries(names, json_values, max_size=2), "stream_usage": st.booleans(),
        },
    )  # fmt: skip
    optional: Tree = {
        "category": st.sampled_from(["cloud", "local", "gateway", "specialized"]), "auth": auths(everything),
        "labels": labels,
        "headers": st.dictionaries(st.sampled_from(["x-app", "X-Title"]), words, max_size=2),
        "quirks": quirks, "tier": st.sampled_from(["verified", "community"]), "docs": urls,
        "source": words, "as_of": dates,
    }  # fmt: skip
    models = dictionary(model_names, model_entries(), 0 if everything else 1, 3)
    if not everything:
        return _doc("provider", {"dialect": st.just("openai-chat"), "base_url": urls, "models": models}, optional, name)
    optional |= {"limits": some(rates, 3, 0), "models": models}
    process = {"transport": st.just("process"), "command": some(words), "dialect": names}
    return (
        _doc(
            "provider",
            {"dialect": names, "base_url": urls},
            {**optional, "transport": st.sampled_from(["http", "poll"])},
            name,
        )
        | _doc("provider", process, optional, name)
        | _doc("provider", {"dialect": names, "transport": st.just("queue")}, optional, name)
    )


def routes(
    name: SearchStrategy[str] = names, step: SearchStrategy[Any] | None = None, everything: bool = True
) -> SearchStrategy[Tree]:
    """Route documents; without ``everything`` they match by their name alone."""
    match = mapping({}, {"model": globs | some(globs), "when": conditions()})
    optional = {"match": match, "priority": st.integers(-10, 10)} if everything else {}
    return _doc("route", {"step": steps() if step is None else step}, optional, name)


def policies(
    name: SearchStrategy[str] = names, applies_to: SearchStrategy[Tree] | None = None, everything: bool = True
) -> SearchStrategy[Tree]:
    """Policy documents that set at least one thing."""
    backoff = mapping({}, {"initial": st.just("200ms"), "max": st.just("5s")})
    retry = mapping(
        {},
        {
            "max_attempts": st.integers(1 if everything else 100, 100),
            "per_target": st.integers(1, 100),
            "backoff": backoff,
            "budget": percents,
        },
    )
    timeouts = _timeouts(everything) | {"total": durations if everything else st.sampled_from(["100s", "5m"])}
    rules: Tree = {"retry": retry, "timeouts": mapping({}, timeouts)}
    rules["params"] = st.tuples(params, mapping({}, {"unsupported": st.sampled_from(["drop", "error"])})).map(
        lambda pair: pair[0] | pair[1]
    )
    if everything:
        rules["breaker"] = mapping(
            {},
            {
                "window": durations, "min_requests": counts, "error_rate": percents, "open_for": durations,
                "max_open_for": durations, "when_all_open": st.sampled_from(["least_bad", "reject"]),
            },
        )  # fmt: skip
        rules["cost"] = mapping(
            {},
            {
                "max_usd_per_request": st.sampled_from([0.1, 5]), "estimate": st.sampled_from(["worst", "expected"]),
                "unpriced": st.sampled_from(["reject", "allow"]),
            },
        )  # fmt: skip
    if applies_to is None:
        named = {"routes": some(globs), "providers": some(globs), "targets": some(globs)}
        applies_to = st.just({"all": True}) | at_least_one(named)
    about = _doc("policy", {"applies_to": applies_to}, {}, name)
    return st.tuples(about, at_least_one(rules)).map(lambda pair: pair[0] | pair[1])


def keys(name: SearchStrategy[str] = names, allowed: SearchStrategy[str] = globs) -> SearchStrategy[Tree]:
    """Key documents."""
    optional = {
        "scopes": st.lists(st.sampled_from(["use", "read", "admin"]), min_size=1, max_size=3, unique=True),
        "routes": some(allowed), "metadata": st.dictionaries(names, words, max_size=2), "expires": dates,
    }  # fmt: skip
    digests = st.text("0123456789abcdef", min_size=64, max_size=64)
    return _doc("key", {"sha256": digests}, optional, name)


def settings_documents(everything: bool = True) -> SearchStrategy[Tree]:
    """Settings documents; without ``everything`` live state stays in memory."""
    sizes = st.sampled_from(["20MB", "512KB", 1_000_000])
    url = st.sampled_from(["redis://localhost:6379/0", "sqlite:///ledger.db"]) | secrets
    optional = {
        "listen": mapping({}, {"host": st.just("127.0.0.1"), "port": st.integers(0, 65535)}),
        "limits": mapping({}, {"body": sizes, "depth": st.integers(1, 1000)}), "drain": durations,
        "reload": mapping({}, {"debounce": durations, "poll": durations}),
        "upstream": mapping({}, {"proxy": st.just("http://proxy.internal:3128"), "ca_file": words}),
        "telemetry": mapping({}, {"access_log": st.booleans(), "otlp": collectors}),
    }  # fmt: skip
    optional["state"] = mapping({}, {"store": st.just("memory")})
    optional["plan"] = mapping({}, {"gates": gates})
    if everything:
        optional["state"] = mapping({}, {"store": st.sampled_from(["memory", "redis"]), "url": url})
        database = st.sampled_from(["sqlite:///ledger.db", "postgresql://db.internal/interlock"]) | secrets
        optional["ledger"] = mapping({}, {"url": database, "keep": durations, "enabled": st.booleans()})
        optional["readiness"] = mapping(
            {}, {"notice": durations, "outage": st.sampled_from(["ready", "not_ready"]), "after": durations}
        )
    return _doc("settings", {}, optional)


def budgets() -> SearchStrategy[Tree]:
    """Budget documents."""
    window = {"per": durations | st.sampled_from(["hour", "day", "week", "month"])}
    zone = {"zone": st.sampled_from(["UTC", "Europe/Berlin"])}
    limit = mapping({"usd": st.sampled_from([0.5, 500]), **window}, zone) | mapping({"tokens": counts, **window}, zone)
    do = st.sampled_from(["warn", "reject"]) | mapping({"downgrade": names})
    at = some(mapping({"used": percents, "do": do}))
    return _doc("budget", {"limit": limit}, {"each": attributes | st.just("route"), "when": conditions(), "at": at})


def limits() -> SearchStrategy[Tree]:
    """Limit documents."""
    return _doc("limit", {"limits": some(rates)}, {"each": attributes | st.just("route"), "when": conditions()})


def invariants() -> SearchStrategy[Tree]:
    """Invariant documents."""
    optional = {"when": conditions(), "because": words}
    return _doc("invariant", {"never": conditions(True)}, optional) | _doc(
        "invariant", {"always": conditions(True)}, optional
    )


def tests() -> SearchStrategy[Tree]:
    """Test documents."""
    request = mapping(
        {"model": words},
        {
            "surface": names, "stream": st.booleans(), "user": words, "key": names, "team": words, "metadata": labels,
            "headers": st.dictionaries(st.just("x-app"), words), "input_tokens": st.integers(0, 100),
            "max_tokens": counts,
            "tools": st.booleans(), "vision": st.booleans(), "json_schema": st.booleans(),
            "messages": some(st.just({"role": "user", "content": "hi"})), "request_id": words,
        },
    )  # fmt: skip
    fault = mapping(
        {"target": globs, "outcome": st.sampled_from(FAILURES)}, {"retry_after": durations, "times": st.integers(1, 9)}
    )
    state = mapping(
        {},
        {
            "open": some(globs, 2, 0), "no_credential": some(globs, 2, 0),
            "in_flight": st.dictionaries(target_names, st.integers(0, 5), max_size=2),
        },
    )  # fmt: skip
    expect = {
        "attempts": some(target_names, 2, 0), "outcome": st.sampled_from(["served", "rejected", *FAILURES]),
        "status": st.integers(100, 599), "route": names, "target": target_names,
        "variants": st.dictionaries(names, names, max_size=2), "max_usd": prices,
    }  # fmt: skip
    titles = names | st.just("chat falls over to the local model")
    return _doc(
        "test",
        {"request": request, "expect": at_least_one(expect)},
        {"faults": some(fault, 2, 0), "state": state},
        titles,
    )


@cache
def _strategy(kind: str) -> SearchStrategy[Tree]:
    made: dict[str, Any] = {
        "provider": providers, "route": routes, "policy": policies, "key": keys, "settings": settings_documents,
        "budget": budgets, "limit": limits, "invariant": invariants, "test": tests,
    }  # fmt: skip
    strategy: SearchStrategy[Tree] = made[kind]()
    return strategy


@st.composite
def documents(draw: st.DrawFn, kind: str) -> Tree:
    """Documents of one kind that its schema accepts."""
    return draw(_strategy(kind))


@st.composite
def configurations(draw: st.DrawFn, most_routes: int = 4) -> list[Tree]:
    """Documents that make a whole configuration without errors, in any order; there is at least one route."""
    found = [
        draw(providers(st.just(name), everything=False))
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    ]
    targets = [f"{tree['name']}/{model}" for tree in found for model in tree["models"]]
    earlier: list[str] = []
    for name in draw(st.lists(names, min_size=1, max_size=most_routes, unique=True)):
        others = st.just(earlier[0]) if earlier else None  # one level deep: paths stay short
        step = steps(st.sampled_from(targets), routes=others, everything=False)
        found.append(draw(routes(st.just(name), step, everything=False)))
        earlier.append(name)
    for where in ({"all": True}, {"routes": earlier[:2]}):  # two that speak of the same would contradict each other
        if draw(st.booleans()):
            name = "all" if "all" in where else "some"
            found.append(draw(policies(st.just(name), st.just(where), everything=False)))
    for name in draw(st.lists(names, max_size=2, unique=True)):
        key = draw(keys(st.just(name), st.sampled_from(earlier)))
        found.append(key | {"sha256": hashlib.sha256(name.encode()).hexdigest()})
    if draw(st.booleans()):
        found.append(draw(settings_documents(everything=False)))
    ordered: list[Tree] = draw(st.permutations(found))
    return ordered


def as_text(trees: Sequence[Tree]) -> str:
    """The documents as one file's text; JSON is YAML, and needs no emitter."""
    return "---\n".join(json.dumps(tree, ensure_ascii=False, indent=1) + "\n" for tree in trees)


def write(folder: Path, trees: Sequence[Tree]) -> None:
    """Write a configuration folder: a file for each provider, and one for everything else."""
    (folder / "providers.d").mkdir(parents=True, exist_ok=True)
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    for index, tree in enumerate(t for t in trees if t["kind"] == "provider"):
        (folder / "providers.d" / f"{index}.yaml").write_text(as_text([tree]), encoding="utf-8")
    rest = [t for t in trees if t["kind"] != "provider"]
    (folder / "policies" / "all.yaml").write_text(as_text(rest), encoding="utf-8")
