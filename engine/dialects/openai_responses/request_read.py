"""From the body of a request to ``/responses`` to a canonical one. Field names are those of OpenAI's API reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.effort import NOT_AT_ALL
from engine.dialects.trees import count, flag, mapping, mappings, number, others, text
from engine.exchange.canonical import ChatRequest, Format, Message, Opaque, Reasoning, Text, Tool, ToolChoice

from .items_read import read_input
from .names import NAME

#: What a client lists in ``include`` to get log probabilities.
LOGPROBS = "message.output_text.logprobs"


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


#: Fields of one value, and what reads it; a value of another type stays in ``extra`` as it came.
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "model": ("model", _word),
    "max_output_tokens": ("max_tokens", count),
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
    "top_logprobs": ("top_logprobs", count),
    "user": ("user", _word),
    "metadata": ("metadata", _object),
    "service_tier": ("service_tier", _word),
    "store": ("store", flag),
    "stream": ("stream", flag),
    "parallel_tool_calls": ("parallel_tool_calls", flag),
}


def read_request(body: dict[str, Any]) -> ChatRequest:
    """The request. Unknown fields, and known ones of unknown form, are in ``extra``."""
    request = ChatRequest(origin=NAME, include_usage=True)
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
        elif name not in _SPECIAL or not _SPECIAL[name](request, value):
            request.extra[name] = value
    instructions = request.extra.pop("instructions", None)
    if isinstance(instructions, str):
        request.messages.insert(0, Message("system", [Text(instructions)], extra={"instructions": True}))
    elif instructions is not None:
        request.extra["instructions"] = instructions
    return request


def _input(request: ChatRequest, value: Any) -> bool:
    request.messages = read_input(value)
    return True


def _text(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    request.verbosity = _word(value.get("verbosity"))
    rest = others(value, ("verbosity",))
    if _format(request, mapping(value.get("format"))):
        rest.pop("format", None)
    if rest:
        request.extra["text"] = rest
    return True


def _format(request: ChatRequest, tree: dict[str, Any]) -> bool:
    kind, schema = tree.get("type"), _object(tree.get("schema"))
    if kind == "text":
        request.format = Format("text")
    elif kind == "json_object":
        request.format = Format("json")
    elif kind == "json_schema" and schema is not None:
        name, strict = text(tree.get("name")) or None, flag(tree.get("strict"))
        request.format = Format("schema", name, schema, strict, _word(tree.get("description")))
    else:
        return False
    return True


def _reasoning(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    wish = Reasoning(effort=_word(value.get("effort")), summary=_word(value.get("summary")))
    wish.extra = others(value, ("effort", "summary"))
    if wish.summary is None:
        wish.summary = _word(wish.extra.get("generate_summary"))
    if (wish.effort or "").lower() in NOT_AT_ALL:
        wish.enabled = False
    request.reasoning = wish
    return True


def _include(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, list):
        return False
    if LOGPROBS in value:
        request.logprobs = True
    return all(name == LOGPROBS for name in value)


def _tools(request: ChatRequest, value: Any) -> bool:
    if not isinstance(value, list):
        return False
    request.tools.extend(read_tool(tool) for tool in mappings(value))
    return True


def read_tool(tool: dict[str, Any]) -> Tool:
    """One entry of ``tools``: a function, or a tool that the service itself has."""
    kind = text(tool.get("type"))
    if kind != "function":
        return Tool(text(tool.get("name")) or kind, builtin=Opaque(NAME, tool))
    return Tool(
        text(tool.get("name")),
        _word(tool.get("description")),
        _object(tool.get("parameters")),
        flag(tool.get("strict")),
        extra=others(tool, ("type", "name", "description", "parameters", "strict")),
    )


def _tool_choice(request: ChatRequest, value: Any) -> bool:
    if value in ("auto", "none", "required"):
        request.tool_choice = ToolChoice(value)
        return True
    tree = mapping(value)
    if tree.get("type") == "function" and text(tree.get("name")):
        request.tool_choice = ToolChoice("named", tree["name"])
        return True
    names = [text(tool.get("name")) for tool in mappings(tree.get("tools")) if tool.get("type") == "function"]
    if tree.get("type") != "allowed_tools" or tree.get("mode") not in ("auto", "required") or not all(names):
        return False
    if len(names) < len(mappings(tree.get("tools"))):
        return False
    request.tool_choice = ToolChoice(tree["mode"], allowed=names)
    return True


_SPECIAL: dict[str, Callable[[ChatRequest, Any], bool]] = {
    "input": _input,
    "text": _text,
    "reasoning": _reasoning,
    "include": _include,
    "tools": _tools,
    "tool_choice": _tool_choice,
}
