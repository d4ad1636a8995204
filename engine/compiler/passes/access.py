"""Keys and settings: who may call, and how the server behaves."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from engine.graph import DecisionRecords, Gates, Issuer, Key, Otlp, Readiness, SecretRef, Settings, StateStore
from engine.graph.globs import is_glob, matcher
from engine.schema import Secret, SettingsDoc, StateDoc, TokenIssuer, access, parse_size
from engine.units import parse_duration, parse_percent

from .. import references
from ..work import Owner, Work
from .providers import secret_of


def run(work: Work) -> None:
    """Fills ``keys`` and ``settings``."""
    for name, declared in sorted(work.declared.key.items()):
        model = declared.model
        owner: Owner = ("key", name)
        for i, pattern in enumerate(model.routes or ()):
            _check_route(work, pattern, owner, ("routes", i))
        first = work.keys.get(model.sha256)
        if first is not None:
            summary = f'keys "{first.name}" and "{name}" have the same secret'
            place = (("key", first.name), ("sha256",), f'key "{first.name}"')
            hint = "give each client a secret of its own, or remove one of the documents"
            work.find("P404", owner, ("sha256",), summary, label="the same hash", hint=hint, related=(place,))
            continue
        work.keys[model.sha256] = Key(
            name,
            model.sha256,
            frozenset(model.scopes),
            tuple(sorted(set(model.routes or ()))),
            MappingProxyType(dict(sorted(model.metadata.items()))),
            None if model.expires is None else _midnight(model.expires),
        )
    _settings(work)


def _midnight(day: str) -> float:
    """The Unix time at which this day begins in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _check_route(work: Work, pattern: str, owner: Owner, path: tuple[str | int, ...]) -> None:
    if not is_glob(pattern):
        if pattern not in work.declared.route:
            references.unknown(work, "route", pattern, owner, path)
    elif not any(map(matcher(pattern), work.declared.route)):
        references.nothing(work, "route", pattern, owner, path)


def _settings(work: Work) -> None:
    if not work.declared.settings:
        return
    first, *others = sorted(work.declared.settings)
    for other in others:
        summary = f'there are two settings documents, "{first}" and "{other}"'
        place = (("settings", first), ("name",), "the other one")
        hint = "merge them into one; for one environment only, use an overlay folder"
        owner: Owner = ("settings", other)
        work.find("P403", owner, ("name",), summary, label="one too many", hint=hint, related=(place,))
    model = work.declared.settings[first].model
    for i, issuer in enumerate(model.clients.tokens):
        for j, pattern in enumerate(issuer.routes or ()):
            _check_route(work, pattern, ("settings", first), ("clients", "tokens", i, "routes", j))
    work.settings = (first, _lower(model, _otlp(work, first, model)))


def _otlp(work: Work, name: str, model: SettingsDoc) -> Otlp | None:
    declared = model.telemetry.otlp
    if declared is None:
        return None
    chosen: set[str] = set()
    for i, pattern in enumerate(declared.pass_to):
        path = ("telemetry", "otlp", "pass_to", i)
        if is_glob(pattern):
            found = set(filter(matcher(pattern), work.providers))
            if not found:
                references.nothing(work, "provider", pattern, ("settings", name), path)
            chosen |= found
        elif pattern in work.providers:
            chosen.add(pattern)
        else:
            references.unknown(work, "provider", pattern, ("settings", name), path)
    headers = {
        header.lower(): SecretRef("env", at.env) if at.env else SecretRef("file", at.file or "")
        for header, at in declared.headers.items()
    }
    values: dict[str, Any] = {
        "interval": None if declared.interval is None else parse_duration(declared.interval),
        "sample": None if declared.sample is None else parse_percent(declared.sample),
    }
    return Otlp(
        declared.endpoint.rstrip("/"),
        tuple(sorted(headers.items())),
        declared.traces,
        declared.metrics,
        pass_to=tuple(sorted(chosen)),
        **{key: value for key, value in values.items() if value is not None},
    )


def _lower(model: SettingsDoc, otlp: Otlp | None) -> Settings:
    listen, limits, reload = model.listen, model.limits, model.reload
    values: dict[str, Any] = {
        "host": listen.host,
        "port": listen.port,
        "max_body": None if limits.body is None else parse_size(limits.body),
        "max_depth": limits.depth,
        "in_flight": limits.in_flight,
        "queue_length": limits.queue.length,
        "queue_wait": None if limits.queue.wait is None else parse_duration(limits.queue.wait),
        "drain": None if model.drain is None else parse_duration(model.drain),
        "reload_debounce": None if reload.debounce is None else parse_duration(reload.debounce),
        "reload_poll": None if reload.poll is None else parse_duration(reload.poll),
        "proxy": model.upstream.proxy,
        "ca_file": model.upstream.ca_file,
        "access_log": model.telemetry.access_log,
        "otlp": otlp,
        "decisions": _decisions(model.telemetry.records),
        "edits": model.management.edits,
        "state": _state(model.state),
        "ledger_url": secret_of(model.ledger.url) if isinstance(model.ledger.url, Secret) else model.ledger.url,
        "ledger_keep": parse_duration(model.ledger.keep),
        "ledger_enabled": model.ledger.enabled,
        "readiness": _readiness(model.readiness),
        "gates": _gates(model.plan.gates),
        "issuers": tuple(_issuer(issuer) for issuer in sorted(model.clients.tokens, key=lambda issuer: issuer.name)),
    }
    return Settings(**{name: value for name, value in values.items() if value is not None})


def _decisions(model: access.DecisionRecords | None) -> DecisionRecords | None:
    if model is None:
        return None
    values: dict[str, Any] = {
        "sample": None if model.sample is None else parse_percent(model.sample),
        "max_size": None if model.max_size is None else parse_size(model.max_size),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return DecisionRecords(model.file, keep=model.keep, **given)


def _state(model: StateDoc) -> StateStore:
    secret = None if model.url is None or isinstance(model.url, str) else secret_of(model.url)
    values: dict[str, Any] = {
        "url": model.url if isinstance(model.url, str) else None,
        "ca_file": model.ca_file,
        "prefix": model.prefix,
        "timeout": None if model.timeout is None else parse_duration(model.timeout),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return StateStore(store=model.store, secret=secret, when_away=model.when_away, **given)


def _readiness(model: access.Readiness) -> Readiness:
    said = {name: getattr(model, name) for name in ("notice", "after", "until")}
    seconds = {name: parse_duration(value) for name, value in said.items() if value is not None}
    return Readiness(outage=model.outage, **seconds)


def _gates(model: access.PlanGates) -> Gates:
    bounds = {name: getattr(model, name) for name in ("max_cost_increase", "max_seconds_increase", "max_moved_users")}
    shares = {name: parse_percent(value) for name, value in bounds.items() if value is not None}
    return Gates(no_new=frozenset(model.no_new), no_lost=frozenset(model.no_lost), **shares)


def _issuer(model: TokenIssuer) -> Issuer:
    return Issuer(
        model.name,
        model.issuer,
        model.audience,
        model.keys.url,
        model.keys.file,
        tuple(sorted(set(model.algorithms))),
        model.user,
        tuple(sorted(model.metadata.items())),
        frozenset(model.scopes),
        tuple(sorted(set(model.routes or ()))),
    )
