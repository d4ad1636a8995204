"""``generationConfig``, both ways: sampling, the answer's form, and thinking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.effort import NOT_AT_ALL, budget_of
from engine.dialects.trees import count, flag, number, others, text, texts, whole
from engine.exchange.canonical import ChatRequest, Format, Reasoning

from .names import bare, fields, older
from .parts import Wording
from .schemas import to_json_schema

_SAMPLING: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("maxOutputTokens", "max_tokens", count),
    ("temperature", "temperature", number),
    ("topP", "top_p", number),
    ("topK", "top_k", count),
    ("seed", "seed", whole),
    ("frequencyPenalty", "frequency_penalty", number),
    ("presencePenalty", "presence_penalty", number),
    ("candidateCount", "n", count),
    ("responseLogprobs", "logprobs", flag),
    ("logprobs", "top_logprobs", count),
)
_READ = frozenset({name for name, _, _ in _SAMPLING} | {"stopSequences", "responseModalities", "thinkingConfig"})
_JSON = "application/json"
_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def read_options(raw: Any, request: ChatRequest) -> dict[str, Any]:
    """Set what the configuration says on ``request``; the fields that have no canonical form."""
    config = fields(raw)
    for name, field, read in _SAMPLING:
        if name in config:
            setattr(request, field, read(config[name]))
    request.stop = texts(config.get("stopSequences"))
    request.modalities = [kind.lower() for kind in texts(config.get("responseModalities"))]
    request.reasoning = _read_thinking(fields(config.get("thinkingConfig")))
    rest = others(config, _READ)
    request.format = _read_format(rest)
    return rest


def _read_format(rest: dict[str, Any]) -> Format | None:
    """The answer's form; takes out of ``rest`` what says nothing more than that."""
    mime = text(rest.get("responseMimeType"))
    schema = rest.get("responseJsonSchema")
    if mime == "text/plain":
        del rest["responseMimeType"]
        return Format("text")
    if mime != _JSON:
        return None
    del rest["responseMimeType"]
    if isinstance(schema, dict):
        del rest["responseJsonSchema"]
        return Format("schema", schema=schema)
    if isinstance(rest.get("responseSchema"), dict):
        return Format("schema", schema=to_json_schema(rest["responseSchema"]))
    return Format("json")


def _read_thinking(config: dict[str, Any]) -> Reasoning | None:
    if not config:
        return None
    found = Reasoning(show=flag(config.get("includeThoughts")))
    budget = whole(config.get("thinkingBudget"))
    if budget is not None:
        found.enabled = budget != 0
        found.budget = budget if budget > 0 else None
    found.effort = text(config.get("thinkingLevel")).lower() or None
    found.extra = others(config, ("includeThoughts", "thinkingBudget", "thinkingLevel"))
    return found


def write_options(request: ChatRequest, model: str, writing: Wording) -> dict[str, Any]:
    """The configuration; empty where the request says nothing."""
    config: dict[str, Any] = {}
    for name, field, _ in _SAMPLING:
        value = getattr(request, field)
        if value is not None:
            config[name] = value
    if request.stop:
        config["stopSequences"] = request.stop
    if request.modalities:
        config["responseModalities"] = [kind.upper() for kind in request.modalities]
    if request.format is not None:
        _write_format(request.format, config, writing)
    if request.reasoning is not None:
        thinking = _write_thinking(request.reasoning, model, writing)
        if thinking:
            config["thinkingConfig"] = thinking
    return config


def _write_format(form: Format, config: dict[str, Any], writing: Wording) -> None:
    """``name`` and ``strict`` are no loss: a schema here has no name, and is always obeyed."""
    config["responseMimeType"] = "text/plain" if form.kind == "text" else _JSON
    if form.kind == "schema" and form.schema is not None:
        config["responseJsonSchema"] = form.schema
    if form.description:
        writing.dropped.append("response_format.description")


def _write_thinking(wish: Reasoning, model: str, writing: Wording) -> dict[str, Any]:
    """The wish in the model's own terms: a level from the third generation on, tokens before (-1: as it likes)."""
    config: dict[str, Any] = {}
    effort = (wish.effort or "").lower()
    if writing.same:
        if effort:
            config["thinkingLevel"] = effort
        if wish.enabled is not None:
            config["thinkingBudget"] = (wish.budget or -1) if wish.enabled else 0
    elif wish.enabled is False or effort in NOT_AT_ALL or wish.budget == 0:
        config.update(_least(model))
    elif wish.budget:
        config["thinkingBudget"] = wish.budget
    elif effort and older(model):
        budget = budget_of(effort)
        config["thinkingBudget"] = -1 if budget is None else budget
    elif effort in _LEVELS:
        level = _LEVELS[effort]
        config["thinkingLevel"] = "low" if level == "minimal" and "flash" not in bare(model) else level
    elif effort:
        writing.dropped.append("reasoning_effort")
    elif wish.enabled and older(model):
        config["thinkingBudget"] = -1
    show = wish.show
    if show is None and not writing.same and (wish.summary or wish.enabled):
        show = True
    if show is not None:
        config["includeThoughts"] = show
    if writing.same:
        config.update(wish.extra)
    return config


def _least(model: str) -> dict[str, Any]:
    """As little thought as can be asked for: from the third generation on, no model can be kept from all of it."""
    if older(model):
        return {"thinkingBudget": 0}
    return {"thinkingLevel": "minimal" if "flash" in bare(model) else "low"}
