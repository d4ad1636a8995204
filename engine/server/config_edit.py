"""``PUT /api/v1/config/providers/{id}``: a provider's document changed by API, as an edit of its file."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from engine.diagnostics import to_dict
from engine.executor.intake import BadRequestError
from engine.graph import Graph, Provider
from engine.ledger.rows import ConfigChange
from engine.runtime.catalogue import catalogue_text
from engine.schema import ProviderDoc

from .asked import Answer, Asked, json_answer

if TYPE_CHECKING:
    from engine.runtime import Engine
    from engine.runtime.editing import Changes, Edit, Editor, RefusedError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ENV = re.compile(r"(?:\$\{?|env:)([A-Za-z_][A-Za-z0-9_]*)\}?")
#: Settings of a request that become the defaults of the provider's requests, by a policy of their own.
_PARAMS = ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "reasoning_effort")
_FIELDS = frozenset(ProviderDoc.model_fields) - {"version", "kind", "name", "auth"}
_KNOWN = ("api_key", "model", "base_url", "organization_id", "auth", *_PARAMS)


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body: how texts and embeddings shall be had from the provider."""

    text_config: dict[str, Any] | None = None
    embedding_config: dict[str, Any] | None = None


async def put_provider(asked: Asked) -> Answer:
    """Change or add a provider: compiled first, written atomically with comments kept, noted in the audit file.

    ``If-Match`` is the running graph's fingerprint, if the edit must build on it. Where git owns the folder, or nothing
    can be written, the answer is 409 with the patch.
    """
    from engine.runtime.editing import Editor, RefusedError

    name, wanted = asked.argument, _decode(asked.body)
    if not _NAME.fullmatch(name):
        raise BadRequestError(f"{name!r} is no provider's name.", param="id")
    match = asked.headers.get("if-match", "*").strip('"')
    if match not in ("*", asked.graph.fingerprint):
        message = (
            f"The configuration has changed: {asked.graph.fingerprint} is running, not {match[:64]}. "
            "Look at it again, and send its fingerprint as If-Match."
        )
        raise BadRequestError(message, status=412, code="configuration_changed")
    changes = _changes(asked.graph, name, wanted)
    engine: Engine = asked.engine
    editor = Editor(engine.source)
    try:
        edit = await asyncio.to_thread(editor.propose, asked.graph, changes)
        where = await asyncio.to_thread(_save, editor, edit, asked, name)
    except RefusedError as refused:
        return _refused(refused)
    if where is None:
        await engine.reload()
    answer = {
        "saved": where is None,
        "branch": where,
        "provider": name,
        "files": sorted(edit.files),
        "fingerprint": edit.graph.fingerprint,
        "patch": edit.patch,
    }
    return json_answer(answer, 200 if where is None else 202)


def _save(editor: Editor, edit: Edit, asked: Asked, name: str) -> str | None:
    """Write the edit, or commit it to the branch that is returned."""
    where = None
    if edit.files:
        if asked.graph.settings.edits == "branch" and editor.managed_by_git():
            where = editor.commit(edit, f"Provider {name}, changed by API")
        else:
            editor.save(edit)
    row: dict[str, Any] = {
        "key": asked.key.name if asked.key else None,
        "provider": name,
        "files": tuple(sorted(edit.files)),
        "before": asked.graph.fingerprint,
        "after": edit.graph.fingerprint,
        "branch": where,
        "patch": edit.patch,
    }
    if where is None:
        editor.audit(row)
    engine: Engine = asked.engine
    engine.records.put(ConfigChange(at=time.time(), **row))
    return where


def _refused(refused: RefusedError) -> Answer:
    kind = "invalid_request_error"
    error = {"message": refused.message, "type": kind, "code": refused.code, "param": None}
    shown = [to_dict(finding) for finding in refused.diagnostics]
    return json_answer({"error": error, "diagnostics": shown, "patch": refused.patch}, refused.status)


def _decode(body: bytes) -> Wanted:
    try:
        wanted = msgspec.json.decode(body, type=Wanted)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise BadRequestError(f"The body is no configuration of a provider: {problem}.") from None
    if not wanted.text_config and not wanted.embedding_config:
        raise BadRequestError("The body has neither text_config nor embedding_config.", param="text_config")
    return wanted


def _changes(graph: Graph, name: str, wanted: Wanted) -> dict[tuple[str, str], tuple[Changes, Callable[[], str]]]:
    """(kind, name) -> the changes to that document, and the text it begins with if it is new."""
    declared = graph.providers.get(name)
    provider: dict[tuple[str, ...], Any] = {}
    params: dict[tuple[str, ...], Any] = {}
    for part, kind in (("text_config", "chat"), ("embedding_config", "embeddings")):
        config = getattr(wanted, part)
        for field, value in (config or {}).items():
            _one(provider, params, part, kind, field, value, declared)
    if ("base_url",) in provider:
        _check_move(declared, str(provider["base_url",]), provider)
    out: dict[tuple[str, str], tuple[Changes, Callable[[], str]]] = {("provider", name): (provider, _beginning(name))}
    if params:
        out["policy", f"provider-{name}"] = (params, _policy(name))
    return out


def _one(
    provider: dict[tuple[str, ...], Any],
    params: dict[tuple[str, ...], Any],
    part: str,
    kind: str,
    field: str,
    value: Any,
    declared: Provider | None,
) -> None:
    """Take one field of the body into the changes."""
    at = f"{part}.{field}"
    if field == "api_key":
        auth = declared.auth if declared is not None else None
        if auth is None or auth.scheme not in ("bearer", "header"):
            provider["auth",] = {"scheme": "bearer", "secret": _reference(value, at)}
        else:
            provider["auth", "secret"] = _reference(value, at)
    elif field == "model":
        if not isinstance(value, str) or not value:
            raise BadRequestError(f"{at} must be a model's name.", param=at)
        supports = [kind] if kind != "chat" else ["chat", "stream"]
        provider["models", value, "supports"] = supports
    elif field == "organization_id":
        provider["headers", "openai-organization"] = value
    elif field in _PARAMS and kind == "chat":
        params["params", "default", field] = value
    elif field == "auth" or field in _FIELDS:
        _merge(provider, (field,), value)
    else:
        known = ", ".join(sorted({*_KNOWN, *_FIELDS}))
        raise BadRequestError(f"{at} is not known here; the fields are {known}.", param=at)


def _merge(changes: dict[tuple[str, ...], Any], path: tuple[str, ...], value: Any) -> None:
    """As JSON Merge Patch: mappings are merged, null removes, anything else replaces (RFC 7396)."""
    if isinstance(value, Mapping) and path != ("auth",) and value:
        for name, inner in value.items():
            _merge(changes, (*path, str(name)), inner)
    else:
        changes[path] = value


def _reference(value: Any, at: str) -> dict[str, str]:
    """Where a key is. A key itself is refused: it would end up in a file, and in git."""
    if isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        ((kind, name),) = value.items()
        if kind in ("env", "file"):
            return {kind: name}
    if isinstance(value, str) and (match := _ENV.fullmatch(value)):
        return {"env": match[1]}
    message = (
        f"{at} must say where the key is, and not hold it: put the key into an environment variable or a file of the "
        'server and send {"env": "NAME"} or {"file": "/path"}.'
    )
    raise BadRequestError(message, param=at, code="literal_secret")


def _check_move(declared: Provider | None, address: str, changes: Mapping[tuple[str, ...], Any]) -> None:
    """A stored key must not be sent to a new host: who changes the host brings the key's place again."""
    if declared is None or declared.auth.scheme in ("none", "caller"):
        return
    moved = urlsplit(address).netloc != urlsplit(declared.base_url).netloc
    if moved and not any(path[0] == "auth" for path in changes):
        message = (
            "base_url names another host: send api_key (or auth) with it, because a stored key goes to no new host."
        )
        raise BadRequestError(message, param="text_config.api_key", code="secret_required")


def _beginning(name: str) -> Callable[[], str]:
    """The text a new provider begins with: the catalogue's, or the least there can be."""

    def text() -> str:
        from engine.documents.edit import written

        shipped = catalogue_text(name)
        return shipped or written({"version": 1, "kind": "provider", "name": name, "dialect": "openai-chat"})

    return text


def _policy(name: str) -> Callable[[], str]:
    def text() -> str:
        from engine.documents.edit import written

        applies = {"providers": [name]}
        document = {"version": 1, "kind": "policy", "name": f"provider-{name}", "applies_to": applies}
        return written(document)

    return text
