"""Requests, both ways (Cohere's reference, ``POST /v2/chat``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.effort import NOT_AT_ALL, budget_of
from engine.dialects.protocol import Written
from engine.dialects.trees import count, flag, mapping, mappings, number, others, text, texts, whole
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Format, Reasoning, Tool, ToolChoice

from .content import ORIGIN, Gathering, read_message, write_message

_PLAIN: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("max_tokens", "max_tokens", count),
    ("temperature", "temperature", number),
    ("p", "top_p", number),
    ("k", "top_k", count),
    ("seed", "seed", whole),
    ("frequency_penalty", "frequency_penalty", number),
    ("presence_penalty", "presence_penalty", number),
    ("logprobs", "logprobs", flag),
)
_READ = frozenset(
    {name for name, _, _ in _PLAIN}
    | {"model", "messages", "tools", "tool_choice", "stop_sequences", "response_format", "thinking", "stream"}
)
#: Canonical fields that have no place on this wire.
_NOWHERE = ("min_p", "top_logprobs", "logit_bias", "verbosity", "user", "metadata", "service_tier", "store")


def read_request(body: dict[str, Any]) -> ChatRequest:
    """See :class:`engine.dialects.protocol.ChatCodec`."""
    request = ChatRequest(text(body.get("model")), origin=ORIGIN, include_usage=True)
    request.messages = [read_message(raw) for raw in mappings(body.get("messages"))]
    request.stream = body.get("stream") is True
    request.stop = texts(body.get("stop_sequences"))
    for name, field, read in _PLAIN:
        if name in body:
            setattr(request, field, read(body[name]))
    request.extra = others(body, _READ)
    strict = flag(request.extra.get("strict_tools"))
    request.tools = [_read_tool(mapping(raw.get("function")), strict) for raw in mappings(body.get("tools"))]
    if request.tools:
        request.extra.pop("strict_tools", None)
    choice = text(body.get("tool_choice")).upper()
    if choice in ("REQUIRED", "NONE"):
        request.tool_choice = ToolChoice("required" if choice == "REQUIRED" else "none")
    request.format = _read_format(mapping(body.get("response_format")))
    thinking = mapping(body.get("thinking"))
    if thinking:
        request.reasoning = Reasoning(thinking.get("type") != "disabled", budget=count(thinking.get("token_budget")))
    return request


def _read_tool(function: dict[str, Any], strict: bool | None) -> Tool:
    parameters = function.get("parameters")
    return Tool(
        text(function.get("name")),
        function.get("description"),
        parameters if isinstance(parameters, dict) else None,
        strict,
        extra=others(function, ("name", "description", "parameters")),
    )


def _read_format(raw: dict[str, Any]) -> Format | None:
    if raw.get("type") != "json_object":
        return Format("text") if raw.get("type") == "text" else None
    schema = raw.get("json_schema") or raw.get("schema")
    return Format("schema", schema=schema) if isinstance(schema, dict) else Format("json")


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """See :class:`engine.dialects.protocol.ChatCodec`."""
    writing = Gathering(request.origin == ORIGIN)
    body: dict[str, Any] = {"model": shape.name}
    body["messages"] = [raw for message in request.messages for raw in write_message(message, writing)]
    body["stream"] = request.stream
    for name, field, _ in _PLAIN:
        value = getattr(request, field)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop_sequences"] = request.stop
    _write_tools(request, body, writing)
    if request.format is not None:
        body["response_format"] = _write_format(request.format)
    if request.reasoning is not None:
        _write_thinking(request.reasoning, body, writing)
    if request.n not in (None, 1):
        writing.dropped.append("n")
    if set(request.modalities) - {"text"}:
        writing.dropped.append("modalities")
    writing.dropped.extend(name for name in _NOWHERE if getattr(request, name) is not None)
    writing.keep(body, request.extra)
    if writing.documents:
        body["documents"] = [*writing.documents, *body.get("documents", ())]
    return Written(body, list(dict.fromkeys(writing.dropped)))


def _write_tools(request: ChatRequest, body: dict[str, Any], writing: Gathering) -> None:
    """The tools and the choice. Where only some of them may be called, only those are sent."""
    tools, choice = request.tools, request.tool_choice
    if choice is not None:
        only = [choice.name] if choice.mode == "named" else choice.allowed
        tools = [tool for tool in tools if tool.name in only] if only else tools
        if choice.mode in ("required", "named"):
            body["tool_choice"] = "REQUIRED"
        elif choice.mode == "none":
            body["tool_choice"] = "NONE"
    if request.parallel_tool_calls is False:
        writing.dropped.append("parallel_tool_calls")
    if tools:
        body["tools"] = [_write_tool(tool, writing) for tool in tools]
    strict = [tool.strict for tool in tools]
    if strict and all(value is not None and value is strict[0] for value in strict):
        body["strict_tools"] = strict[0]
    elif any(strict):
        writing.dropped.append("strict")


def _write_tool(tool: Tool, writing: Gathering) -> dict[str, Any]:
    if tool.builtin is not None:
        raise UncarriedError("tools", f"The tool {tool.name!r} is run by another service, which this one is not.")
    if tool.cache:
        writing.dropped.append("cache_control")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    # The field is required here, and a function without parameters has an object without properties.
    function["parameters"] = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    writing.keep(function, tool.extra)
    return {"type": "function", "function": function}


def _write_format(form: Format) -> dict[str, Any]:
    if form.kind == "text":
        return {"type": "text"}
    if form.kind == "schema" and form.schema is not None:
        return {"type": "json_object", "json_schema": form.schema}
    return {"type": "json_object"}


def _write_thinking(wish: Reasoning, body: dict[str, Any], writing: Gathering) -> None:
    """Thinking is on or off here, within a number of tokens; what is thought is always told."""
    effort = (wish.effort or "").lower()
    if wish.enabled is False or effort in NOT_AT_ALL or wish.budget == 0:
        body["thinking"] = {"type": "disabled"}
    elif wish.enabled or wish.budget or effort:
        budget = wish.budget or budget_of(effort)
        body["thinking"] = {"type": "enabled", **({"token_budget": budget} if budget else {})}
        if effort and not budget:
            writing.dropped.append("reasoning_effort")
    if wish.show is False:
        writing.dropped.append("thinking.display")
