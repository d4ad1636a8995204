"""What is declared and not used, and what is used and not there."""

from __future__ import annotations

from pathlib import Path

from ..work import Work

#: How many models a note names.
_NAMED = 5


def run(work: Work) -> None:
    """Reports a configuration without routes, unused providers and models, and secrets that this machine lacks."""
    if not work.declared.route and not work.unread and not any(kind == "route" for kind, _ in work.broken):
        _no_route(work)
        return
    if len(work.routes) < len(work.declared.route) or work.unread or work.broken:
        return  # which models are used is not known before every route is
    used: dict[str, set[str]] = {}
    for route in work.routes.values():
        for target in route.targets:
            used.setdefault(target.provider.name, set()).add(target.name)
    faulty = {name for kind, name in (finding.owner for finding in work.findings) if kind == "provider"}
    for name, declared in sorted(work.declared.provider.items()):
        if name not in used:
            if name in faulty:
                continue
            summary = f'no route uses provider "{name}"'
            hint = f"use it in a route, as `{name}/...`, or remove its document"
            work.find("N911", ("provider", name), ("name",), summary, label="unused", hint=hint)
            continue
        unused = sorted(set(declared.model.models) - used[name])
        if unused:
            rest = len(unused) - _NAMED
            shown = ", ".join(unused[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
            summary = f'no route uses {len(unused)} of the {len(declared.model.models)} models of provider "{name}"'
            hint = "use them in a route, or remove them"
            place = ("models", unused[0])
            work.find("N912", ("provider", name), place, summary, label=f"unused: {shown}", hint=hint, key=True)
        _secret(work, name)


def _no_route(work: Work) -> None:
    owner = min(work.by_name, default=None)
    if owner is not None:
        hint = "add a document with `kind: route`, a name and a step"
        work.find("W908", owner, ("name",), "the configuration has no route, so every request ends with 404", hint=hint)


def _secret(work: Work, name: str) -> None:
    secret = work.providers[name].auth.secret
    if secret is None:
        return
    if secret.kind == "env":
        if work.environ.get(secret.name):
            return
        what = f"the environment variable {secret.name} is not set"
        hint = f"set {secret.name}; until then this provider's targets are skipped"
    else:
        if Path(secret.name).is_file():
            return
        what = f"the file {secret.name} is not there"
        hint = f"create {secret.name}; until then this provider's targets are skipped"
    summary = f'the secret of provider "{name}" is missing here: {what}'
    path = ("auth", "secret", secret.kind)
    work.find("W903", ("provider", name), path, summary, label="not set here", hint=hint)
