"""The wording of references that lead nowhere, the same wherever they are written."""

from __future__ import annotations

from engine.diagnostics import did_you_mean
from engine.documents import Path
from engine.graph.globs import is_glob

from .work import Owner, Work

_CODES = {"target": "R301", "provider": "R302", "route": "R303", "key": "R306"}

#: How many suggestions one compilation looks for: a search costs as much as there are names.
_MOST_SEARCHES = 200

#: How many names a hint lists.
_LISTED = 6


def unknown(work: Work, kind: str, name: str, owner: Owner, path: Path) -> None:
    """Reports that ``owner`` refers to a target, provider or route that does not exist, unless it may be unreadable."""
    if kind == "target":
        _unknown_target(work, name, owner, path)
        return
    if not work.missing(kind, name):
        return
    known = list(getattr(work.declared, kind))
    summary = f'{owner[0]} "{owner[1]}" refers to unknown {kind} "{name}"'
    near = _near(work, name, known)
    hint = f'did you mean "{near}"?' if near else _listing(kind, known)
    work.find(_CODES[kind], owner, path, summary, label=f"no {kind} of this name is declared", hint=hint)


def nothing(work: Work, kind: str, pattern: str, owner: Owner, path: Path) -> None:
    """Reports that a glob matches nothing, unless what it matches may be unreadable."""
    if work.unread or any(broken[0] == ("provider" if kind == "target" else kind) for broken in work.broken):
        return
    known = {"target": list(work.targets), "provider": list(work.providers), "route": list(work.declared.route)}[kind]
    summary = f'{owner[0]} "{owner[1]}" selects {kind}s "{pattern}", and there is none'
    near = _near_glob(work, kind, pattern, known)
    hint = f'did you mean "{near}"?' if near else _listing(kind, known)
    work.find("P401", owner, path, summary, label="matches nothing", hint=hint)


def _unknown_target(work: Work, name: str, owner: Owner, path: Path) -> None:
    provider = name.partition("/")[0]
    if ("provider", provider) in work.broken:
        return
    summary = f'{owner[0]} "{owner[1]}" refers to unknown target "{name}"'
    declared = work.declared.provider.get(provider)
    if declared is None:
        if work.unread:
            return
        near = _near(work, name, list(work.targets))
        hint = f'did you mean "{near}"?' if near else _listing("provider", list(work.providers))
        work.find("R301", owner, path, summary, label=f'no provider "{provider}" is declared', hint=hint)
        return
    file = work.file_of(("provider", provider), ("models",))
    own = [f"{provider}/{model}" for model in declared.model.models]
    near = _near(work, name, own)
    hint = f'did you mean "{near}"?' if near else _models(provider, list(declared.model.models), file)
    work.find("R301", owner, path, summary, label=f"not declared in {file}", hint=hint)


def _models(provider: str, models: list[str], file: str) -> str:
    if not models:
        return f"add the model under `models` in {file}"
    return f"{provider} has {_some(sorted(models))}; correct the name, or add the model in {file}"


def _near_glob(work: Work, kind: str, pattern: str, known: list[str]) -> str | None:
    """A glob of a target's provider is mended in that part; any other is taken for a name."""
    provider, slash, model = pattern.partition("/")
    if kind == "target" and slash and not is_glob(provider):
        near = _near(work, provider, list(work.providers))
        return f"{near}/{model}" if near and near != provider else None
    return _near(work, pattern.replace("*", "").replace("?", ""), known)


def _near(work: Work, name: str, known: list[str]) -> str | None:
    key = (name, len(known))
    if key not in work.suggestions:
        if len(work.suggestions) >= _MOST_SEARCHES:
            return None
        work.suggestions[key] = did_you_mean(name, known)
    return work.suggestions[key]


def _listing(kind: str, known: list[str]) -> str:
    if not known:
        return f"there is no {kind} yet; add a document with `kind: {kind}`"
    return f"correct the name, or declare it; the {kind}s are {_some(sorted(known))}"


def _some(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
