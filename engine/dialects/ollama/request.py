"""Requests, both ways (Ollama's API reference, ``POST /api/chat``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.call_ids import CallIds
from engine.dialects.effort import NOT_AT_ALL
from engine.dialects.protocol import Written
from engine.dialects.trees import count, flag, mapping, mappings, number, others, text, texts, whole
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Format, Reasoning, Tool

from .messages import ORIGIN, Naming, read_message, write_message

_OPTIONS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("num_predict", "max_tokens", count),
    ("temperature", "temperature", number),
    ("top_p", "top_p", number),
    ("top_k", "top_k", count),
    ("min_p", "min_p", number),
    ("seed", "seed", whole),
    ("frequency_penalty", "frequency_penalty", number),
    ("presence_penalty", "presence_penalty", number),
)
_OPTION_NAMES = frozenset({name for name, _, _ in _OPTIONS} | {"stop"})
_READ = frozenset({"model", "messages", "tools", "format", "options", "think", "stream", "logprobs", "top_logprobs"})
#: Canonical fields that have no place on this wire.
_NOWHERE = ("logit_bias", "verbosity", "user", "metadata", "service_tier", "store")
#: Models whose thinking has degrees; others only know whether to think, and refuse a word.
_GRADED = "gpt-oss"
_DEGREES = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def read_request(body: dict[str, Any]) -> ChatRequest:
    """See :class:`engine.dialects.protocol.ChatCodec`. A request streams unless it says otherwise."""
    request = ChatRequest(text(body.get("model")), origin=ORIGIN, include_usage=True)
    ids = CallIds(ORIGIN)
    request.messages = [read_message(raw, ids) for raw in mappings(body.get("messages"))]
    request.tools = [_read_tool(raw) for raw in mappings(body.get("tools"))]
    request.stream = body.get("stream") is not False
    request.logprobs = flag(body.get("logprobs"))
    request.top_logprobs = count(body.get("top_logprobs"))
    request.extra = others(body, _READ)
    options = mapping(body.get("options"))
    for name, field, read in _OPTIONS:
        if name in options:
            setattr(request, field, read(options[name]))
    request.stop = texts(options.get("stop"))
    rest = others(options, _OPTION_NAMES)
    if (whole(options.get("num_predict")) or 0) < 0:  # -1 and -2: no limit, and all of the context
        rest["num_predict"] = options["num_predict"]
    if rest:
        request.extra["options"] = rest
    form = body.get("format")
    if isinstance(form, dict):
        request.format = Format("schema", schema=form)
    elif form == "json":
        request.format = Format("json")
    think = body.get("think")
    if isinstance(think, bool | str):
        request.reasoning = Reasoning(think if isinstance(think, bool) else True)
        request.reasoning.effort = text(think) or None
    return request


def _read_tool(raw: dict[str, Any]) -> Tool:
    function = mapping(raw.get("function"))
    parameters = function.get("parameters")
    return Tool(
        text(function.get("name")),
        function.get("description"),
        parameters if isinstance(parameters, dict) else None,
        extra=others(function, ("name", "description", "parameters")),
    )


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """See :class:`engine.dialects.protocol.ChatCodec`. ``stream`` is always said: by itself the service streams."""
    writing = Naming(request.origin == ORIGIN)
    body: dict[str, Any] = {"model": shape.name}
    body["messages"] = [raw for message in request.messages for raw in write_message(message, writing)]
    body["stream"] = request.stream
    tools = _tools(request, writing)
    if tools:
        body["tools"] = tools
    options = {name: value for name, field, _ in _OPTIONS if (value := getattr(request, field)) is not None}
    if request.stop:
        options["stop"] = request.stop
    extra = dict(request.extra)
    if request.origin == ORIGIN:
        options.update(mapping(extra.pop("options", None)))
    if options:
        body["options"] = options
    if request.format is not None:
        _write_format(request.format, body, writing)
    if request.reasoning is not None:
        _write_thinking(request.reasoning, body, writing)
    for name in ("logprobs", "top_logprobs"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.n not in (None, 1):
        writing.dropped.append("n")
    if set(request.modalities) - {"text"}:
        writing.dropped.append("modalities")
    writing.dropped.extend(name for name in _NOWHERE if getattr(request, name) is not None)
    writing.keep(body, extra)
    return Written(body, list(dict.fromkeys(writing.dropped)))


def _tools(request: ChatRequest, writing: Naming) -> list[dict[str, Any]]:
    """The tools. There is no choice on this wire: which may be called is told by which are sent."""
    tools, choice = request.tools, request.tool_choice
    if choice is not None:
        only = [choice.name] if choice.mode == "named" else choice.allowed
        tools = [tool for tool in tools if tool.name in only] if only else tools
        tools = [] if choice.mode == "none" else tools
        if choice.mode in ("required", "named"):
            writing.dropped.append("tool_choice")
    if request.parallel_tool_calls is False:
        writing.dropped.append("parallel_tool_calls")
    return [_write_tool(tool, writing) for tool in tools]


def _write_tool(tool: Tool, writing: Naming) -> dict[str, Any]:
    if tool.builtin is not None:
        raise UncarriedError("tools", f"The tool {tool.name!r} is run by another service, which this one is not.")
    writing.dropped.extend(["strict"] if tool.strict else [])
    writing.dropped.extend(["cache_control"] if tool.cache else [])
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    writing.keep(function, tool.extra)
    return {"type": "function", "function": function}


def _write_format(form: Format, body: dict[str, Any], writing: Naming) -> None:
    """``name`` and ``strict`` are no loss: a schema here has no name, and is always obeyed."""
    if form.kind == "schema" and form.schema is not None:
        body["format"] = form.schema
    elif form.kind != "text":
        body["format"] = "json"
    if form.description:
        writing.dropped.append("response_format.description")


def _write_thinking(wish: Reasoning, body: dict[str, Any], writing: Naming) -> None:
    effort = (wish.effort or "").lower()
    if wish.enabled is False or effort in NOT_AT_ALL or wish.budget == 0:
        body["think"] = False
    elif writing.same:
        body["think"] = wish.effort or True
    elif effort and _GRADED in body["model"]:
        body["think"] = _DEGREES.get(effort, "medium")
    elif wish.enabled or effort or wish.budget:
        body["think"] = True
        writing.dropped.extend(["reasoning_effort"] if effort else [])
    if wish.budget:
        writing.dropped.append("thinking.budget_tokens")
    if wish.show is False:
        writing.dropped.append("thinking.display")
