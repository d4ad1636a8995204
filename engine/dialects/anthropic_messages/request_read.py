"""A client's request in canonical form."""

from __future__ import annotations

from typing import Any, cast

from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    ChatRequest,
    Format,
    Message,
    Opaque,
    Part,
    Reasoning,
    Role,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from .content import NAME, cache_of, read_blocks, rest
from .request_write import usual_thinking

_KNOWN = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "stream",
        "metadata",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
    }
)
_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}


def read_request(body: dict[str, Any]) -> ChatRequest:
    """See :meth:`engine.dialects.protocol.ChatCodec.read_request`."""
    request = ChatRequest(origin=NAME, include_usage=True)
    request.model = _typed(body, "model", str) or ""
    request.messages = _messages(body)
    request.max_tokens = _typed(body, "max_tokens", int)
    request.temperature = _number(body, "temperature")
    request.top_p = _number(body, "top_p")
    request.top_k = _typed(body, "top_k", int)
    request.stop = [stop for stop in _typed(body, "stop_sequences", list) or () if isinstance(stop, str)]
    request.stream = body.get("stream") is True
    tier = _typed(body, "service_tier", str)
    request.service_tier = "default" if tier == "standard_only" else tier
    request.tools = [_tool(tree) for tree in _typed(body, "tools", list) or () if isinstance(tree, dict)]
    _read_choice(request, body.get("tool_choice"))
    _read_output(request, body)
    _read_metadata(request, body.get("metadata"))
    for name in body.keys() - _KNOWN:
        request.extra[name] = body[name]
    return request


def _typed(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _messages(body: dict[str, Any]) -> list[Message]:
    trees = body.get("messages")
    if not isinstance(trees, list):
        raise UncarriedError("messages", "`messages` must be a list of messages.")
    messages: list[Message] = []
    instructions = _parts(body.get("system"), "system")
    if instructions:
        messages.append(Message("system", instructions))
    names: dict[str, str] = {}
    for place, tree in enumerate(trees):
        where = f"messages.{place}"
        if not isinstance(tree, dict):
            raise UncarriedError(where, f"`{where}` must be a message: an object with `role` and `content`.")
        role = tree.get("role")
        if role not in ("user", "assistant", "system"):
            raise UncarriedError(where, f"`{where}.role` must be user, assistant or system.")
        messages.extend(_turns(cast(Role, role), _parts(tree.get("content"), f"{where}.content"), names))
        extra = rest(tree, "role", "content")
        if extra:
            messages[-1].extra = extra
    return messages


def _parts(content: object, where: str) -> list[Part]:
    try:
        return read_blocks(content)
    except ValueError:
        raise UncarriedError(where, f"`{where}` must be a string or a list of content blocks.") from None


def _turns(role: Role, parts: list[Part], names: dict[str, str]) -> list[Message]:
    """The message; results of tools in messages of their own, in place. ``names`` are the functions called so far."""
    turns = [Message(role)] if not parts else []
    for part in parts:
        if isinstance(part, ToolCall):
            names[part.id] = part.name
        elif isinstance(part, ToolResult):
            part.name = names.get(part.id)
        wanted: Role = "tool" if isinstance(part, ToolResult) else role
        if not turns or turns[-1].role != wanted:
            turns.append(Message(wanted))
        turns[-1].parts.append(part)
    return turns


def _tool(tree: dict[str, Any]) -> Tool:
    name, kind = _typed(tree, "name", str), tree.get("type")
    if kind not in (None, "custom"):
        return Tool(name or str(kind), builtin=Opaque(NAME, tree), cache=cache_of(tree))
    strict, schema = tree.get("strict"), _typed(tree, "input_schema", dict)
    known = ("name", "description", "strict", "cache_control", *(() if schema is None else ("input_schema",)))
    return Tool(
        name or "",
        _typed(tree, "description", str),
        schema,
        strict if isinstance(strict, bool) else None,
        None,
        cache_of(tree),
        rest(tree, *known),
    )


def _read_choice(request: ChatRequest, tree: object) -> None:
    if not isinstance(tree, dict):
        return
    mode = _MODES.get(tree.get("type", ""))
    if mode is None:
        raise UncarriedError("tool_choice", "`tool_choice.type` must be auto, any, tool or none.")
    request.tool_choice = ToolChoice(cast(Any, mode), _typed(tree, "name", str) if mode == "named" else None)
    disabled = tree.get("disable_parallel_tool_use")
    if isinstance(disabled, bool):
        request.parallel_tool_calls = not disabled


def _read_output(request: ChatRequest, body: dict[str, Any]) -> None:
    """Thinking, effort and the answer's form."""
    output = _typed(body, "output_config", dict) or {}
    form = output.get("format") or body.get("output_format")
    if isinstance(form, dict):
        request.format = Format("schema", schema=_typed(form, "schema", dict))
    effort = _typed(output, "effort", str)
    other = rest(output, "format", "effort")
    if other:
        request.extra["output_config"] = other
    thinking = body.get("thinking")
    if not isinstance(thinking, dict):
        if effort:
            request.reasoning = Reasoning(effort=effort)
        return
    reasoning = Reasoning(thinking.get("type") != "disabled", effort, _typed(thinking, "budget_tokens", int))
    shown = thinking.get("display")
    reasoning.show = {"omitted": False, "summarized": True}.get(shown) if isinstance(shown, str) else None
    if thinking != usual_thinking(reasoning):
        reasoning.extra = thinking
    request.reasoning = reasoning


def _read_metadata(request: ChatRequest, tree: object) -> None:
    if not isinstance(tree, dict):
        return
    request.user = _typed(tree, "user_id", str)
    other = rest(tree, "user_id")
    if other:
        request.metadata = other
