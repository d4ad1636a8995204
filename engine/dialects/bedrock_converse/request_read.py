"""A request of the protocol in canonical form."""

from __future__ import annotations

from typing import Any, cast

from engine.dialects.trees import count, flag, json_tree, mapping, mappings, number, text, texts, whole
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

from .content import mark, read_blocks
from .names import NAME

_KNOWN = frozenset({"modelId", "messages", "system", "toolConfig"})
_CONFIG = frozenset({"maxTokens", "temperature", "topP", "stopSequences"})


def read_request(body: dict[str, Any]) -> ChatRequest:
    """See :meth:`engine.dialects.protocol.ChatCodec.read_request`."""
    request = ChatRequest(text(body.get("modelId")), _messages(body), origin=NAME, include_usage=True)
    request.extra = {name: value for name, value in body.items() if name not in _KNOWN}
    config = mapping(request.extra.pop("inferenceConfig", None))
    request.max_tokens = count(config.get("maxTokens"))
    request.temperature = number(config.get("temperature"))
    request.top_p = number(config.get("topP"))
    request.stop = texts(config.get("stopSequences"))
    _keep(request, "inferenceConfig", {name: value for name, value in config.items() if name not in _CONFIG})
    _read_tools(request, mapping(body.get("toolConfig")))
    _read_output(request)
    _read_more(request)
    tier = text(mapping(request.extra.get("serviceTier")).get("type"))
    if tier:
        request.service_tier = tier
        del request.extra["serviceTier"]
    metadata = request.extra.get("requestMetadata")
    if isinstance(metadata, dict):
        request.metadata = request.extra.pop("requestMetadata")
    return request


def _keep(request: ChatRequest, name: str, rest: dict[str, Any]) -> None:
    """What of a group of fields has no canonical form."""
    request.extra.pop(name, None)
    if rest:
        request.extra[name] = rest


def _messages(body: dict[str, Any]) -> list[Message]:
    trees = body.get("messages")
    if not isinstance(trees, list):
        raise UncarriedError("messages", "`messages` must be a list of messages.")
    messages: list[Message] = []
    instructions = read_blocks(body.get("system"))
    if instructions:
        messages.append(Message("system", instructions))
    names: dict[str, str] = {}
    for place, tree in enumerate(trees):
        role = tree.get("role") if isinstance(tree, dict) else None
        if role not in ("user", "assistant", "system"):
            where = f"messages.{place}"
            raise UncarriedError(where, f"`{where}` must be a message of the role user, assistant or system.")
        messages.extend(_turns(cast(Role, role), read_blocks(tree.get("content")), names))
    return messages


def _turns(role: Role, parts: list[Part], names: dict[str, str]) -> list[Message]:
    """The message; results of tools in messages of their own, in place. ``names`` are the functions called so far."""
    turns: list[Message] = []
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


def _read_tools(request: ChatRequest, config: dict[str, Any]) -> None:
    for tree in mappings(config.get("tools")):
        spec, point = tree.get("toolSpec"), tree.get("cachePoint")
        if isinstance(spec, dict):
            request.tools.append(_tool(spec))
        elif not (isinstance(point, dict) and request.tools and mark(request.tools[-1], point)):
            name = text(mapping(tree.get("systemTool")).get("name"))
            request.tools.append(Tool(name, builtin=Opaque(NAME, tree)))
    choice = mapping(config.get("toolChoice"))
    if "auto" in choice:
        request.tool_choice = ToolChoice("auto")
    elif "any" in choice:
        request.tool_choice = ToolChoice("required")
    elif "tool" in choice:
        request.tool_choice = ToolChoice("named", text(mapping(choice["tool"]).get("name")))


def _tool(spec: dict[str, Any]) -> Tool:
    schema = mapping(spec.get("inputSchema")).get("json")
    return Tool(
        text(spec.get("name")),
        text(spec.get("description")) or None,
        schema if isinstance(schema, dict) else None,
        flag(spec.get("strict")),
    )


def _read_output(request: ChatRequest) -> None:
    """The answer's form and the effort."""
    output = mapping(request.extra.get("outputConfig"))
    form = mapping(mapping(mapping(output.get("textFormat")).get("structure")).get("jsonSchema"))
    if form:
        try:
            schema = json_tree(text(form.get("schema")))
        except ValueError:
            schema = None
        request.format = Format(
            "schema",
            text(form.get("name")) or None,
            schema if isinstance(schema, dict) else None,
            description=text(form.get("description")) or None,
        )
    effort = text(output.get("effort"))
    if effort:
        request.reasoning = Reasoning(effort=effort)
    rest = {name: value for name, value in output.items() if name != "effort" and not (form and name == "textFormat")}
    _keep(request, "outputConfig", rest)


def _read_more(request: ChatRequest) -> None:
    """What models take beside the common fields: Claude's thinking, and ``top_k``."""
    more = dict(mapping(request.extra.get("additionalModelRequestFields")))
    if whole(more.get("top_k")) is not None:
        request.top_k = more.pop("top_k")
    thinking = mapping(more.get("thinking"))
    kind, budget = thinking.get("type"), count(thinking.get("budget_tokens"))
    usual = {"type": kind} if budget is None else {"type": kind, "budget_tokens": budget}
    if (
        kind in ("enabled", "adaptive", "disabled")
        and thinking == usual
        and (kind == "enabled") == (budget is not None)
    ):
        wish = request.reasoning or Reasoning()
        wish.enabled, wish.budget = kind != "disabled", budget
        request.reasoning = wish
        del more["thinking"]
    _keep(request, "additionalModelRequestFields", more)
