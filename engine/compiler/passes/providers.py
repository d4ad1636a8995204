"""Providers and targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from engine.diagnostics import did_you_mean
from engine.dialects import dialects
from engine.graph import Auth, Price, Provider, Quirks, Rate, SecretRef, Target
from engine.schema import ProviderDoc, Secret
from engine.schema.rates import Concurrency, RequestRate, TokenRate
from engine.units import parse_duration

from ..cache import ProviderNodes
from ..drafts import encode_params
from ..work import Declared, Finding, Owner, Work
from . import probes

_SURFACES = frozenset({"chat", "completions", "embeddings", "rerank", "images", "audio", "moderations"})
_PRICES = tuple(field.name for field in fields(Price) if field.name != "tiers")


def run(work: Work) -> None:
    """Fills ``providers`` and ``targets``; what means the same as before stays the same object."""
    for name, declared in work.declared.provider.items():
        nodes = work.cache.providers.get(declared.document.digest)
        if nodes is None or nodes.model is not declared.model:
            nodes = _build(work, declared)
            work.cache.providers.put(declared.document.digest, nodes)
        else:
            _keep(work, nodes)
        work.findings.extend(nodes.findings)
        work.providers[name] = nodes.provider.node
        work.digests[f"provider:{name}"] = nodes.provider.digest
        for target in nodes.targets:
            work.targets[target.node.id] = target.node
            work.digests[f"target:{target.node.id}"] = target.digest


def _build(work: Work, declared: Declared[ProviderDoc]) -> ProviderNodes:
    model = declared.model
    provider = _provider(model)
    kept = work.cache.same(f"provider:{model.name}", provider, work.digester.digest(provider))
    targets = []
    for name in sorted(model.models):
        target = _target(kept.node, model, name)
        targets.append(work.cache.same(f"target:{target.id}", target, work.digester.digest(target)))
    return ProviderNodes(model, kept, tuple(targets), tuple(_check(model)))


def _keep(work: Work, nodes: ProviderNodes) -> None:
    """Tells the cache of nodes that these are still in use."""
    work.cache.nodes.put(f"provider:{nodes.provider.node.name}", nodes.provider)
    for target in nodes.targets:
        work.cache.nodes.put(f"target:{target.node.id}", target)


def secret_of(secret: Secret | None) -> SecretRef | None:
    """The reference to a secret."""
    if secret is None:
        return None
    if secret.command is not None:
        return SecretRef("command", secret.command[0], tuple(secret.command))
    return SecretRef("env", secret.env) if secret.env is not None else SecretRef("file", secret.file or "")


def rates_of(declared: Iterable[RequestRate | TokenRate | Concurrency]) -> tuple[Rate, ...]:
    """What may be used, in one order; of two numbers for the same window the smaller one holds."""
    least: dict[str, Rate] = {}
    for said in declared:
        if isinstance(said, Concurrency):
            rate = Rate("concurrency", said.concurrency)
        elif isinstance(said, TokenRate):
            rate = Rate("tokens", said.tokens, parse_duration(said.per))
        else:
            rate = Rate("requests", said.requests, parse_duration(said.per))
        known = least.get(rate.suffix)
        least[rate.suffix] = rate if known is None or rate.limit < known.limit else known
    return tuple(least[suffix] for suffix in sorted(least))


def _auth(model: ProviderDoc) -> Auth:
    said = model.auth
    return Auth(
        scheme=said.scheme,
        secret=secret_of(said.secret_refs[0] if said.secret_refs else None),
        others=tuple(ref for secret in said.secret_refs[1:] if (ref := secret_of(secret)) is not None),
        header=said.header_name,
        access_key=secret_of(getattr(said, "access_key", None)),
        session_token=secret_of(getattr(said, "session_token", None)),
        region=getattr(said, "region", None),
        service=getattr(said, "service", None),
        tenant=getattr(said, "tenant", None),
        client_id=getattr(said, "client_id", None),
        audience=getattr(said, "audience", None),
    )


def _provider(model: ProviderDoc) -> Provider:
    quirks = model.quirks
    return Provider(
        name=model.name,
        category=model.category,
        dialect=model.dialect,
        base_url=(model.base_url or "").rstrip("/"),
        transport=model.transport,
        auth=_auth(model),
        labels=MappingProxyType(dict(sorted(model.labels.items()))),
        headers=tuple(sorted((name.lower(), value) for name, value in model.headers.items())),
        quirks=Quirks(
            rename=tuple(sorted(quirks.rename.items())),
            drop=frozenset(quirks.drop),
            set=encode_params(quirks.set),
            stream_usage=quirks.stream_usage,
            paths=MappingProxyType(dict(sorted(quirks.paths.items()))),
            roles=MappingProxyType(dict(sorted(quirks.roles.items()))),
        ),
        also_speaks=tuple(sorted(set(model.also_speaks) - {model.dialect})),
        command=tuple(model.command),
        queue_file=model.queue_file,
        health=probes.lowered(model),
        limits=rates_of(model.limits),
    )


@lru_cache
def _shared(supports: frozenset[str]) -> frozenset[str]:
    """One object for equal sets: every decision reads those of its targets, and the processor's cache is small."""
    return supports


def _target(provider: Provider, model: ProviderDoc, name: str) -> Target:
    entry = model.models[name]
    supports = frozenset(entry.supports)
    return Target(
        id=f"{model.name}/{name}",
        provider=provider,
        name=name,
        model=entry.model or name,
        context_window=entry.context_window,
        max_output=entry.max_output,
        supports=_shared(supports if supports & _SURFACES else supports | {"chat"}),
        price=None if entry.price is None else _price(entry.price),
        labels=MappingProxyType(dict(sorted({**model.labels, **entry.labels}.items()))),
    )


def _price(declared: Any) -> Price:
    """A tier's prices are those of the base where it is silent."""
    base: dict[str, Decimal | None] = {name: getattr(declared, name) for name in _PRICES}
    tiers = []
    for tier in sorted(declared.tiers, key=lambda tier: tier.above):
        own = {name: value for name in _PRICES if (value := getattr(tier, name)) is not None}
        tiers.append((tier.above, Price(**{**base, **own})))
    return Price(**base, tiers=tuple(tiers))


def _check(model: ProviderDoc) -> list[Finding]:
    owner: Owner = ("provider", model.name)
    found = []
    spoken = [(model.dialect, ("dialect",)), *((d, ("also_speaks", i)) for i, d in enumerate(model.also_speaks))]
    for name, path in spoken:
        if name not in dialects():
            found.append(_dialect(model, name, owner, path))
    found.extend(probes.check(model, owner))
    return found


def _dialect(model: ProviderDoc, name: str, owner: Owner, path: tuple[str | int, ...]) -> Finding:
    known = tuple(dialects())
    near = did_you_mean(name, known)
    hint = f'did you mean "{near}"?' if near else f"the dialects are {', '.join(known)}"
    summary = f'provider "{model.name}" speaks unknown dialect "{name}"'
    return Finding("R305", owner, path, summary, label="no such dialect", hint=hint)


def unpriced(target: Target) -> bool:
    """Whether some request to this target would have an unknown cost."""
    price = target.price
    if price is None:
        return True
    if price.request is not None and price.input is None and price.output is None:
        return False
    if target.supports & {"chat", "completions"}:
        return price.input is None or price.output is None
    return price.input is None and price.image is None
