"""From a canonical request to the body of a chat completion.

What only this protocol knows is written back as it came. Of other protocols' requests these are left out and named,
because services that speak this protocol refuse what they do not know: marks for caches, ``metadata`` and ``store``
(which mean keeping the reply upstream), signed thoughts, and tools and parts of the other protocol's own.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.effort import effort_of
from engine.dialects.protocol import Written
from engine.dialects.trees import mapping
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Format, Reasoning, Tool, ToolChoice

from .messages_read import NAME
from .messages_write import MessageWriter

#: Fields of one value that have the same name and meaning here.
_SAME = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "verbosity",
    "user",
)
_LISTS = ("stop", "modalities")
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """The body, and the fields that it could not carry.

    The limit on tokens is called as the client called it, else ``max_tokens``, which more services know; a provider
    that wants the other name says so in ``quirks.rename``.
    """
    own = request.origin == NAME
    dropped: list[str] = []
    messages = MessageWriter(request, shape.roles, dropped).messages
    body: dict[str, Any] = {"model": shape.name or request.model, "messages": messages}
    for name in _SAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    for name in _LISTS:
        if getattr(request, name):
            body[name] = getattr(request, name)
    if request.max_tokens is not None:
        body[request.max_tokens_name or "max_tokens"] = request.max_tokens
    _tools(request, body, own, dropped)
    if request.format is not None:
        body["response_format"] = write_format(request.format, own)
    if request.reasoning is not None:
        body.update(_reasoning(request.reasoning, dropped))
    _kept(request, body, own, dropped)
    if request.stream:
        body["stream"] = True
        if shape.stream_usage:
            body["stream_options"] = {"include_usage": True}
    _extra(request, body, own, dropped)
    return Written(body, list(dict.fromkeys(dropped)))


def _tools(request: ChatRequest, body: dict[str, Any], own: bool, dropped: list[str]) -> None:
    tools, functions = [], []
    for tool in request.tools:
        if own and tool.extra.get("legacy"):
            functions.append(_function(tool))
        else:
            tools.append(_tool(tool, own, dropped))
    if tools:
        body["tools"] = tools
    if functions:
        body["functions"] = functions
    if request.tool_choice is not None:
        name, choice = write_choice(request.tool_choice, legacy=bool(functions))
        body[name] = choice
    if request.parallel_tool_calls is not None and (tools or own):
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _tool(tool: Tool, own: bool, dropped: list[str]) -> dict[str, Any]:
    if tool.builtin is not None:
        if tool.builtin.origin != NAME:
            message = f"The tool {tool.name!r} is run by the service it was made for; this provider does not have it."
            raise UncarriedError("tools", message)
        return mapping(tool.builtin.value)
    written: dict[str, Any] = {"type": "function", "function": _function(tool)}
    if own:
        inner = written["function"]
        written.update(tool.extra)
        written["function"] = {**inner, **tool.extra.get("function", {})}
    if tool.cache is not None:
        if own:
            written["cache_control"] = tool.cache
        else:
            dropped.append("cache_control")
    return written


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    for name in ("description", "parameters", "strict"):
        value = getattr(tool, name)
        if value is not None:
            function[name] = value
    return function


def write_choice(choice: ToolChoice, *, legacy: bool) -> tuple[str, Any]:
    """The field that says whether tools are called, and its value."""
    if legacy:
        named = choice.mode == "named"
        return "function_call", {"name": choice.name} if named else "none" if choice.mode == "none" else "auto"
    if choice.mode == "named":
        return "tool_choice", {"type": "function", "function": {"name": choice.name}}
    if choice.allowed and choice.mode != "none":
        tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
        return "tool_choice", {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return "tool_choice", choice.mode


def write_format(format_: Format, own: bool) -> dict[str, Any]:
    """``response_format``. OpenAI insists on a name for a schema; some services do not."""
    if format_.kind != "schema":
        return {"type": "text" if format_.kind == "text" else "json_object"}
    schema: dict[str, Any] = {"schema": format_.schema or {}}
    if format_.name is not None or not own:
        schema["name"] = format_.name or "answer"
    if format_.strict is not None:
        schema["strict"] = format_.strict
    if format_.description is not None:
        schema["description"] = format_.description
    return {"type": "json_schema", "json_schema": schema}


def _reasoning(wish: Reasoning, dropped: list[str]) -> dict[str, Any]:
    """The wish as the client wrote it, if in this protocol; else ``reasoning_effort``, which most services know."""
    told = wish.extra.get(NAME)
    if isinstance(told, dict):
        return told
    if wish.summary is not None:
        dropped.append("reasoning.summary")
    if wish.enabled is False:
        # No word for it is known to all; models that do not think by themselves refuse the field as a whole.
        if wish.effort is None:
            dropped.append("reasoning_effort")
            return {}
        return {"reasoning_effort": wish.effort}
    effort = wish.effort or (effort_of(wish.budget) if wish.budget else "medium" if wish.enabled else None)
    return {} if effort is None else {"reasoning_effort": "high" if effort == "max" else effort}


def _kept(request: ChatRequest, body: dict[str, Any], own: bool, dropped: list[str]) -> None:
    """Fields that mean different things in other protocols, or that only the protocol's own maker takes."""
    tier = request.service_tier
    if tier is not None:
        if own or tier in _TIERS:
            body["service_tier"] = tier
        else:
            dropped.append("service_tier")
    if request.metadata is not None:
        if own:
            body["metadata"] = request.metadata
        else:
            dropped.append("metadata")
    if request.store is not None:
        if own:
            body["store"] = request.store
        elif request.store:
            dropped.append("store")


def _extra(request: ChatRequest, body: dict[str, Any], own: bool, dropped: list[str]) -> None:
    if not own:
        dropped.extend(request.extra)
        return
    for name, value in request.extra.items():
        if name == "stream_options" and isinstance(value, dict):
            body[name] = {**value, **body.get(name, {})}
        else:
            body[name] = value
