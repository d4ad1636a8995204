"""From the body of a chat completion to a canonical request. Field names are those of OpenAI's API reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.effort import NOT_AT_ALL
from engine.dialects.trees import count, flag, mapping, mappings, number, others, text, whole
from engine.exchange.canonical import ChatRequest, Format, Opaque, Reasoning, Tool, ToolChoice

from .messages_read import NAME, read_messages


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _words(value: Any) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _biases(value: Any) -> dict[str, float] | None:
    return value if isinstance(value, dict) and all(number(bias) is not None for bias in value.values()) else None


def _stops(value: Any) -> list[str] | None:
    return [value] if isinstance(value, str) else _words(value)


#: Fields of one value, and what reads it; a value of another type stays in ``extra`` as it came.
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "model": ("model", _word),
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
    "top_k": ("top_k", whole),
    "min_p": ("min_p", number),
    "stop": ("stop", _stops),
    "seed": ("seed", whole),
    "frequency_penalty": ("frequency_penalty", number),
    "presence_penalty": ("presence_penalty", number),
    "n": ("n", count),
    "logprobs": ("logprobs", flag),
    "top_logprobs": ("top_logprobs", count),
    "logit_bias": ("logit_bias", _biases),
    "verbosity": ("verbosity", _word),
    "modalities": ("modalities", _words),
    "user": ("user", _word),
    "metadata": ("metadata", _object),
    "service_tier": ("service_tier", _word),
    "store": ("store", flag),
    "stream": ("stream", flag),
    "parallel_tool_calls": ("parallel_tool_calls", flag),
}

#: The ways in which services let clients ask for thoughts; they stand together in one canonical wish.
_REASONING = frozenset(
    {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget", "include_reasoning"}
)


def read_request(body: dict[str, Any]) -> ChatRequest:
    """The request. Unknown fields, and known ones of unknown form, are in ``extra``.

    ``max_tokens_name`` is the one of the limit's two names that the client used; ``max_completion_tokens`` counts where
    it used both.
    """
    request = ChatRequest(origin=NAME)
    wishes: dict[str, Any] = {}
    for name, value in body.items():
        if value is None:
            continue
        if name in _FIELDS:
            field, read = _FIELDS[name]
            found = read(value)
            if found is None:
                request.extra[name] = value
            else:
                setattr(request, field, found)
        elif name in _REASONING:
            wishes[name] = value
        elif name not in _SPECIAL or not _SPECIAL[name](request, value):
            request.extra[name] = value
    if wishes:
        request.reasoning = _reasoning(wishes, request.extra)
    return request


def _messages(request: ChatRequest, value: Any) -> bool:
    request.messages = read_messages(value)
    return True


def _max_tokens(request: ChatRequest, value: Any) -> bool:
    limit = count(value)
    if limit is not None and request.max_tokens_name != "max_completion_tokens":
        request.max_tokens, request.max_tokens_name = limit, "max_tokens"
    return limit is not None


def _max_completion_tokens(request: ChatRequest, value: Any) -> bool:
    limit = count(value)
    if limit is not None:
        request.max_tokens, request.max_tokens_name = limit, "max_completion_tokens"
    return limit is not None


def _stream_options(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    request.include_usage = value.get("include_usage") is True
    more = others(value, ("include_usage",))
    if more:
        request.extra["stream_options"] = more
    return True


def _tools(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, list):
        return False
    request.tools.extend(read_tool(tool) for tool in mappings(value))
    return True


_FUNCTION = frozenset({"name", "description", "parameters", "strict"})


def read_tool(tool: dict[str, Any]) -> Tool:
    """One entry of ``tools``; one of another kind than a function is the service's own."""
    function = tool.get("function")
    kind = text(tool.get("type"))
    if not isinstance(function, dict) or kind not in ("function", ""):
        inner = mapping(tool.get(kind))
        return Tool(text(inner.get("name")) or text(tool.get("name")) or kind, builtin=Opaque(NAME, tool))
    found = _function(function)
    found.cache = mapping(tool.get("cache_control")) or None
    found.extra = others(tool, ("type", "function", "cache_control"))
    inner = others(function, _FUNCTION)
    if inner:
        found.extra["function"] = inner
    return found


def _function(function: dict[str, Any]) -> Tool:
    return Tool(
        text(function.get("name")),
        _word(function.get("description")),
        _object(function.get("parameters")),
        flag(function.get("strict")),
    )


def _functions(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, list):
        return False
    for function in mappings(value):
        tool = _function(function)
        tool.extra["legacy"] = True
        request.tools.append(tool)
    return True


def _tool_choice(request: ChatRequest, value: Any) -> bool:
    if isinstance(value, str):
        mode = "required" if value == "any" else value
        if mode not in ("auto", "none", "required"):
            return False
        request.tool_choice = ToolChoice(mode)  # type: ignore[arg-type]
        return True
    tree = mapping(value)
    if tree.get("type") == "allowed_tools":
        return _allowed(request, mapping(tree.get("allowed_tools")))
    name = text(mapping(tree.get("function")).get("name"))
    if not name:
        return False
    request.tool_choice = ToolChoice("named", name)
    return True


def _allowed(request: ChatRequest, tree: dict[str, Any]) -> bool:
    names = [text(mapping(tool.get("function")).get("name")) for tool in mappings(tree.get("tools"))]
    if tree.get("mode") not in ("auto", "required") or not all(names):
        return False
    request.tool_choice = ToolChoice(tree["mode"], allowed=names)
    return True


def _function_call(request: ChatRequest, value: Any) -> bool:
    if value in ("auto", "none"):
        request.tool_choice = ToolChoice(value)
        return True
    name = text(mapping(value).get("name"))
    if name:
        request.tool_choice = ToolChoice("named", name)
    return bool(name)


def _response_format(request: ChatRequest, value: Any) -> bool:
    tree = mapping(value)
    kind = tree.get("type")
    if kind == "text":
        request.format = Format("text")
    elif kind == "json_object" and "schema" not in tree:
        request.format = Format("json")
    elif kind in ("json_schema", "json_object"):
        # Some services put the schema beside the type.
        inner = mapping(tree.get("json_schema")) or tree
        schema = _object(inner.get("schema"))
        if schema is None:
            return False
        name, strict = text(inner.get("name")) or None, flag(inner.get("strict"))
        request.format = Format("schema", name, schema, strict, _word(inner.get("description")))
    else:
        return False
    return True


_SPECIAL: dict[str, Callable[[ChatRequest, Any], bool]] = {
    "messages": _messages,
    "max_tokens": _max_tokens,
    "max_completion_tokens": _max_completion_tokens,
    "stream_options": _stream_options,
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _tool_choice,
    "function_call": _function_call,
    "response_format": _response_format,
}


def _reasoning(wishes: dict[str, Any], extra: dict[str, Any]) -> Reasoning | None:
    """The wish for thoughts; ``extra`` holds under the protocol's name what the client wrote."""
    wish = Reasoning(extra={NAME: wishes})
    effort = wishes.get("reasoning_effort")
    told = wishes.get("reasoning")
    if isinstance(told, dict):
        effort = told.get("effort", effort)
        wish.enabled, wish.budget = flag(told.get("enabled")), count(told.get("max_tokens"))
        wish.summary = _word(told.get("summary"))
        hidden = flag(told.get("exclude"))
        wish.show = None if hidden is None else not hidden
    elif told is not None:
        extra["reasoning"] = wishes.pop("reasoning")
    thinking = mapping(wishes.get("thinking"))
    if thinking:
        wish.enabled = thinking.get("type") != "disabled"
        wish.budget = count(thinking.get("budget_tokens")) or wish.budget
    if flag(wishes.get("enable_thinking")) is not None:
        wish.enabled = wishes["enable_thinking"]
    wish.budget = count(wishes.get("thinking_budget")) or wish.budget
    if flag(wishes.get("include_reasoning")) is not None:
        wish.show = wishes["include_reasoning"]
    if isinstance(effort, str):
        wish.effort = effort
        if effort.lower() in NOT_AT_ALL:
            wish.enabled = False
    return wish if wishes else None
