"""Requests, both ways (Google's reference, ``models.generateContent``)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from engine.dialects.protocol import Written
from engine.dialects.trees import others, text
from engine.exchange import Shape
from engine.exchange.canonical import ChatRequest

from .messages import read_messages, write_messages
from .names import ORIGIN, fields, older
from .options import read_options, write_options
from .parts import Wording
from .tools import read_choice, read_tools, write_choice, write_tools

_READ = frozenset(
    {"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "stream"}
)
#: OpenAI's names for the same tiers; ``auto`` is what the service does by itself.
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority", "auto": ""}
_TIER_NAMES = {"standard": "default"}
_PLACES = frozenset({"models", "tunedModels", "projects", "publishers", "endpoints"})
#: Canonical fields that have no place on this wire.
_NOWHERE = ("min_p", "logit_bias", "verbosity", "user", "metadata", "store")


def read_request(body: dict[str, Any]) -> ChatRequest:
    """See :class:`engine.dialects.protocol.ChatCodec`."""
    tree = fields(body)
    request = ChatRequest(origin=ORIGIN, include_usage=True)
    request.model = text(tree.get("model"))
    request.stream = tree.get("stream") is True
    request.messages = read_messages(tree)
    request.tools = read_tools(tree.get("tools"))
    request.extra = others(tree, _READ)
    request.tool_choice, rest = read_choice(tree.get("toolConfig"))
    if rest:
        request.extra["toolConfig"] = rest
    rest = read_options(tree.get("generationConfig"), request)
    if rest:
        request.extra["generationConfig"] = rest
    request.service_tier = tier_name(tree.get("serviceTier"))
    return request


def tier_name(value: Any) -> str | None:
    """A service tier by the canonical (OpenAI's) name."""
    word = text(value).lower()
    return _TIER_NAMES.get(word, word) or None


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """See :class:`engine.dialects.protocol.ChatCodec`. The model and whether to stream stand in the path."""
    model = shape.name
    writing = Wording(request.origin == ORIGIN, older=older(model))
    contents, told = write_messages(request, writing)
    body: dict[str, Any] = {"contents": contents}
    if told is not None:
        body["systemInstruction"] = told
    if request.tools:
        body["tools"] = write_tools(request.tools, writing)
    calling = write_choice(request, writing)
    if calling:
        body["toolConfig"] = {"functionCallingConfig": calling}
    config = write_options(request, model, writing)
    if config:
        body["generationConfig"] = config
    if request.service_tier is not None:
        tier = _TIERS.get(request.service_tier)
        if tier:
            body["serviceTier"] = tier
        elif tier is None:
            writing.dropped.append("service_tier")
    writing.dropped.extend(name for name in _NOWHERE if getattr(request, name) is not None)
    _write_extra(body, request.extra, writing)
    return Written(body, list(dict.fromkeys(writing.dropped)))


def _write_extra(body: dict[str, Any], extra: dict[str, Any], writing: Wording) -> None:
    """What only this protocol knows goes back to where it stood, beside what was written there."""
    if not writing.same:
        writing.dropped.extend(extra)
        return
    for name, value in extra.items():
        present = body.get(name)
        if name == "generationConfig" and isinstance(present, dict) and isinstance(value, dict):
            if "responseSchema" in value:
                present.pop("responseJsonSchema", None)
            present.update(value)
        elif name == "toolConfig" and isinstance(present, dict) and isinstance(value, dict):
            calling = {**present.get("functionCallingConfig", {}), **value.get("functionCallingConfig", {})}
            present.update(value)
            present["functionCallingConfig"] = calling
        else:
            body[name] = value


def path(model: str, method: str) -> str:
    """``/models/NAME:METHOD``; a model that is named with what it stands in keeps that."""
    if model.partition("/")[0] in _PLACES:
        return f"/{quote(model, safe='/')}:{method}"
    return f"/models/{quote(model, safe='')}:{method}"
