"""From a canonical request to the body of a request to ``/responses``.

Two defaults of this protocol are not those of the others, and are therefore said: a function is not ``strict`` unless
the client asks for it, and the reply is not kept upstream.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.effort import effort_of
from engine.dialects.protocol import Written
from engine.dialects.trees import mapping
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Format, Reasoning, Tool, ToolChoice

from .items_write import ItemWriter
from .names import NAME
from .request_read import LOGPROBS

_SAME = ("temperature", "top_p", "top_logprobs", "user")
_LACKING = (
    "top_k",
    "min_p",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "logit_bias",
    "modalities",
)
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
#: Fields that OpenAI's two protocols share.
_SHARED = frozenset({"prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier"})


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """The body, and the fields that it could not carry."""
    own = request.origin == NAME
    dropped: list[str] = []
    writer = ItemWriter(request, shape.roles, dropped)
    body: dict[str, Any] = {"model": shape.name or request.model, "input": writer.items}
    if writer.instructions is not None:
        body["instructions"] = writer.instructions
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    for name in _SAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    dropped.extend(name for name in _LACKING if getattr(request, name) not in (None, []))
    if request.tools:
        body["tools"] = [write_tool(tool, own) for tool in request.tools]
        if not own and any(tool.cache is not None for tool in request.tools):
            dropped.append("cache_control")
    if request.tool_choice is not None:
        body["tool_choice"] = write_choice(request.tool_choice)
    if request.parallel_tool_calls is not None and (request.tools or own):
        body["parallel_tool_calls"] = request.parallel_tool_calls
    told = write_text(request)
    if told:
        body["text"] = told
    if request.reasoning is not None:
        wish = write_reasoning(request.reasoning, own, dropped)
        if wish:
            body["reasoning"] = wish
    if request.logprobs:
        body["include"] = [LOGPROBS]
    _kept(request, body, own, dropped)
    if request.stream:
        body["stream"] = True
    _extra(request, body, own, dropped)
    return Written(body, list(dict.fromkeys(dropped)))


def write_tool(tool: Tool, own: bool) -> dict[str, Any]:
    """One entry of ``tools``. Raises ``UncarriedError`` for a tool that another service runs."""
    if tool.builtin is not None:
        if tool.builtin.origin != NAME:
            message = f"The tool {tool.name!r} is run by the service it was made for; this provider does not have it."
            raise UncarriedError("tools", message)
        return mapping(tool.builtin.value)
    written: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.parameters is not None or not own:
        written["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None or not own:
        written["strict"] = bool(tool.strict)
    return {**written, **tool.extra} if own else written


def write_choice(choice: ToolChoice) -> Any:
    """``tool_choice``."""
    if choice.mode == "named":
        return {"type": "function", "name": choice.name}
    if choice.allowed and choice.mode != "none":
        tools = [{"type": "function", "name": name} for name in choice.allowed]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice.mode


def write_text(request: ChatRequest) -> dict[str, Any]:
    """``text``: the form of the answer, and how many words it makes."""
    told: dict[str, Any] = {}
    if request.format is not None:
        told["format"] = write_format(request.format)
    if request.verbosity is not None:
        told["verbosity"] = request.verbosity
    return told


def write_format(format_: Format) -> dict[str, Any]:
    """``text.format``."""
    if format_.kind != "schema":
        return {"type": "text" if format_.kind == "text" else "json_object"}
    schema: dict[str, Any] = {"type": "json_schema", "name": format_.name or "answer", "schema": format_.schema or {}}
    if format_.strict is not None:
        schema["strict"] = format_.strict
    if format_.description is not None:
        schema["description"] = format_.description
    return schema


def write_reasoning(wish: Reasoning, own: bool, dropped: list[str]) -> dict[str, Any]:
    """``reasoning``."""
    told: dict[str, Any] = {}
    effort = wish.effort
    if effort is None and wish.enabled is False:
        dropped.append("reasoning_effort")  # not every model knows a word for it
    elif effort is None and not own:
        effort = effort_of(wish.budget) if wish.budget else "medium" if wish.enabled else None
    if effort is not None:
        told["effort"] = "high" if effort == "max" and not own else effort
    if wish.summary is not None and "generate_summary" not in wish.extra:
        told["summary"] = wish.summary
    return {**told, **wish.extra} if own else told


def _kept(request: ChatRequest, body: dict[str, Any], own: bool, dropped: list[str]) -> None:
    """What the upstream shall keep, and how fast it shall be."""
    if request.metadata is not None:
        body["metadata"] = request.metadata
    if request.store is not None or not own:
        body["store"] = bool(request.store)
    tier = request.service_tier
    if tier is not None:
        if own or tier in _TIERS:
            body["service_tier"] = tier
        else:
            dropped.append("service_tier")


def _extra(request: ChatRequest, body: dict[str, Any], own: bool, dropped: list[str]) -> None:
    for name, value in request.extra.items():
        if not own and name not in _SHARED:
            dropped.append(name)
        elif name == "text" and isinstance(value, dict):
            body["text"] = {**value, **body.get("text", {})}
        else:
            body[name] = value
