"""What is declared and not used, and what is used and not there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path as FilePath

from engine.documents import Path
from engine.graph import SecretRef

from ..work import Work

#: How many names a note shows.
_NAMED = 5
#: A word in capitals in an address: the shipped catalogue's way to say "yours goes here".
_PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9_-])[A-Z]{5,}(?![A-Za-z0-9_-])")


def run(work: Work) -> None:
    """Reports a configuration without routes, unused providers and models, and secrets that this machine lacks."""
    _store(work)
    if not work.declared.route and not work.unread and not any(kind == "route" for kind, _ in work.broken):
        _no_route(work)
        return
    if len(work.routes) < len(work.declared.route) or work.unread or work.broken:
        return  # which models are used is not known before every route is
    used: dict[str, set[str]] = {}
    for route in work.routes.values():
        for target in route.targets:
            used.setdefault(target.provider.name, set()).add(target.name)
    _unused_providers(work, used)
    for name in sorted(used):
        _unused_models(work, name, used[name])
        _placeholder(work, name)
        _secret(work, name)


def _no_route(work: Work) -> None:
    owner = min(work.by_name, default=None)
    if owner is not None:
        hint = "add a document with `kind: route`, a name and a step"
        work.find("W908", owner, ("name",), "the configuration has no route, so every request ends with 404", hint=hint)


def _unused_providers(work: Work, used: dict[str, set[str]]) -> None:
    """One note for all of them: a catalogue may have dozens."""
    faulty = {name for kind, name in (finding.owner for finding in work.findings) if kind == "provider"}
    unused = sorted(work.declared.provider.keys() - used.keys() - faulty)
    if not unused:
        return
    summary = f'no route uses provider "{unused[0]}"'
    label = "unused"
    hint = f"use it in a route, as `{unused[0]}/...`, or remove its document"
    if len(unused) > 1:
        summary = f"no route uses {len(unused)} of the {len(work.declared.provider)} providers"
        label = f"unused: {_shown(unused)}"
        hint = "use them in a route, or remove their documents"
    work.find("N911", ("provider", unused[0]), ("name",), summary, label=label, hint=hint)


def _unused_models(work: Work, name: str, used: set[str]) -> None:
    models = work.declared.provider[name].model.models
    unused = sorted(set(models) - used)
    if unused:
        summary = f'no route uses {len(unused)} of the {len(models)} models of provider "{name}"'
        place, label = ("models", unused[0]), f"unused: {_shown(unused)}"
        hint = "use them in a route, or remove them"
        work.find("N912", ("provider", name), place, summary, label=label, hint=hint, key=True)


def _shown(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _placeholder(work: Work, name: str) -> None:
    found = list(dict.fromkeys(_PLACEHOLDER.findall(work.providers[name].base_url)))
    if found:
        words = " and ".join(found)
        summary = f'the address of provider "{name}" still has {words} in it'
        hint = f"write your own in place of {words}, here or in an overlay"
        work.find("W909", ("provider", name), ("base_url",), summary, label="to be replaced", hint=hint)


def _secret(work: Work, name: str) -> None:
    auth = work.providers[name].auth
    places: list[tuple[Path, SecretRef | None]] = [
        (("access_key",), auth.access_key),
        (("session_token",), auth.session_token),
    ]
    if auth.others:
        places += [(("secrets", i), secret) for i, secret in enumerate((auth.secret, *auth.others))]
    else:
        places.insert(0, (("secret",), auth.secret))
    for key, secret in places:
        missing = None if secret is None else _missing(work, secret)
        if secret is not None and missing is not None:
            what, remedy = missing
            summary = f'the secret of provider "{name}" is missing here: {what}'
            without = "this provider's other secrets are used" if auth.others else "this provider's targets are skipped"
            hint = f"{remedy}; until then {without}"
            path: Path = ("auth", *key, secret.kind)
            work.find("W903", ("provider", name), path, summary, label="not set here", hint=hint)


def _store(work: Work) -> None:
    if work.settings is None:
        return
    name, settings = work.settings
    secret = settings.state.secret
    missing = None if secret is None or settings.state.store == "memory" else _missing(work, secret)
    if secret is not None and missing is not None:
        what, remedy = missing
        summary = f"the address of the state store is missing here: {what}"
        hint = f"{remedy}; until then `state.when_away` holds"
        path = ("state", "url", secret.kind)
        work.find("W903", ("settings", name), path, summary, label="not set here", hint=hint)


def _missing(work: Work, secret: SecretRef) -> tuple[str, str] | None:
    """What is not there, and the remedy; ``None`` where nothing can be said against the secret without using it."""
    if secret.kind == "env":
        if work.environ.get(secret.name):
            return None
        return f"the environment variable {secret.name} is not set", f"set {secret.name}"
    if secret.kind == "command":
        if shutil.which(secret.name, path=work.environ.get("PATH", os.defpath)) is not None:
            return None
        return f"there is no program {secret.name}", f"install {secret.name}, or name its path"
    if FilePath(secret.name).is_file():
        return None
    return f"the file {secret.name} is not there", f"create {secret.name}"
