"""Keys and settings: who may call, and how the server behaves."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from engine.graph import Issuer, Key, Readiness, Settings
from engine.graph.globs import is_glob, matcher
from engine.schema import Secret, SettingsDoc, TokenIssuer, access, parse_size
from engine.units import parse_duration

from .. import features, references
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
    work.settings = (first, _lower(model))
    _not_yet(work, model)


def _lower(model: SettingsDoc) -> Settings:
    listen, limits, reload = model.listen, model.limits, model.reload
    values: dict[str, Any] = {
        "host": listen.host,
        "port": listen.port,
        "max_body": None if limits.body is None else parse_size(limits.body),
        "max_depth": limits.depth,
        "drain": None if model.drain is None else parse_duration(model.drain),
        "reload_debounce": None if reload.debounce is None else parse_duration(reload.debounce),
        "reload_poll": None if reload.poll is None else parse_duration(reload.poll),
        "proxy": model.upstream.proxy,
        "ca_file": model.upstream.ca_file,
        "access_log": model.telemetry.access_log,
        "edits": model.management.edits,
        "ledger_url": secret_of(model.ledger.url) if isinstance(model.ledger.url, Secret) else model.ledger.url,
        "ledger_keep": parse_duration(model.ledger.keep),
        "ledger_enabled": model.ledger.enabled,
        "readiness": _readiness(model.readiness),
        "issuers": tuple(_issuer(issuer) for issuer in sorted(model.clients.tokens, key=lambda issuer: issuer.name)),
    }
    return Settings(**{name: value for name, value in values.items() if value is not None})


def _readiness(model: access.Readiness) -> Readiness:
    said = {name: getattr(model, name) for name in ("notice", "after", "until")}
    seconds = {name: parse_duration(value) for name, value in said.items() if value is not None}
    return Readiness(outage=model.outage, **seconds)


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


def _not_yet(work: Work, model: SettingsDoc) -> None:
    owner: Owner = ("settings", model.name)
    if model.state.store not in features.AVAILABLE_STORES:
        summary = f"keeping live state in {model.state.store} is not available in this version"
        hint = features.INSTEAD["store"]
        work.find("P414", owner, ("state", "store"), summary, label="not available yet", hint=hint)
