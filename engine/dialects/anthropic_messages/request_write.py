"""A request in the upstream's words."""

from __future__ import annotations

from typing import Any

from engine.dialects.claude import Thought, said, sampling, takes_strict, thought
from engine.dialects.protocol import Written
from engine.dialects.turns import take_turns
from engine.dialects.writing import leave_out
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Message, Reasoning, Text, Tool

from .content import NAME, plainest, write_blocks

#: Canonical fields that the protocol has no word for, by the client's name, with the value that asks for nothing.
_UNKNOWN = {
    "seed": None,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": None,
    "min_p": None,
    "verbosity": None,
    "store": False,
}
#: OpenAI's service tiers; ``auto`` uses what priority there is, ``standard_only`` never does.
_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "standard_only": "standard_only"}
#: Characters of a user's id that the protocol takes at most.
_LONGEST_USER = 256


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """See :meth:`engine.dialects.protocol.ChatCodec.write_request`."""
    same = request.origin == NAME
    dropped: list[str] = []
    wish = _exactly(request, shape) if same else thought(request, shape.name, shape.max_output)
    dropped += wish.dropped
    body: dict[str, Any] = {"model": shape.name or request.model, "max_tokens": wish.max_tokens}
    system, messages = _messages(request.messages, same, dropped)
    if system:
        body["system"] = plainest(system)
    body["messages"] = messages
    _write_tools(body, request, shape.name, same, dropped)
    _write_sampling(body, request, shape.name, wish, same, dropped)
    _write_output(body, request, wish, dropped)
    if request.stream:
        body["stream"] = True
    _write_account(body, request, same, dropped)
    leave_out(request, _UNKNOWN, dropped)
    if same:
        output = request.extra.get("output_config")
        if isinstance(output, dict):
            body["output_config"] = {**output, **body.get("output_config", {})}
        body.update((name, value) for name, value in request.extra.items() if name != "output_config")
    else:
        dropped.extend(request.extra)
    return Written(body, list(dict.fromkeys(dropped)))


def _exactly(request: ChatRequest, shape: Shape) -> Thought:
    """A wish in this protocol's own words, untouched."""
    plain = thought(ChatRequest(max_tokens=request.max_tokens), shape.name, shape.max_output)
    wish = request.reasoning
    if wish is not None:
        plain.effort = wish.effort
        if wish.enabled is not None:
            plain.thinking = wish.extra or usual_thinking(wish)
    return plain


def usual_thinking(wish: Reasoning) -> dict[str, Any]:
    """A wish for thinking in the protocol's usual words."""
    if wish.enabled is False:
        tree: dict[str, Any] = {"type": "disabled"}
    elif wish.budget is not None:
        tree = {"type": "enabled", "budget_tokens": wish.budget}
    else:
        tree = {"type": "adaptive"}
    if wish.show is not None:
        tree["display"] = "summarized" if wish.show else "omitted"
    return tree


def _messages(messages: list[Message], same: bool, dropped: list[str]) -> tuple[list[Any], list[dict[str, Any]]]:
    """The instructions and the turns."""

    def write(message: Message) -> list[dict[str, Any]]:
        if message.name is not None:
            dropped.append("name")
        return write_blocks(message.parts, same, dropped)

    instructions, turns = take_turns(messages, write, same=same)
    if not same and turns and turns[-1].role == "assistant":
        _strip_end(turns[-1].blocks)
    system = [block for message in instructions for block in _instructions(message, same, dropped)]
    return system, [
        {"role": turn.role, "content": plainest(turn.blocks), **(turn.first.extra if same else {})} for turn in turns
    ]


def _instructions(message: Message, same: bool, dropped: list[str]) -> list[dict[str, Any]]:
    for part in message.parts:
        if not isinstance(part, Text) and not same:
            raise UncarriedError("messages", "The protocol of this model's provider takes instructions as text only.")
    return write_blocks(message.parts, same, dropped)


def _strip_end(blocks: list[dict[str, Any]]) -> None:
    """The beginning of an answer may not end in white space."""
    if blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()


def _write_tools(body: dict[str, Any], request: ChatRequest, model: str, same: bool, dropped: list[str]) -> None:
    choice = request.tool_choice
    tools = request.tools
    if choice is not None and choice.allowed:
        tools = [tool for tool in tools if tool.name in choice.allowed]
    if not tools:
        if choice is not None and choice.mode in ("required", "named"):
            raise UncarriedError("tool_choice", "A tool must be called, yet none is given.")
        return
    body["tools"] = [_tool(tool, model, same, dropped) for tool in tools]
    parallel = request.parallel_tool_calls
    if choice is None:
        if parallel is False:
            body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        return
    if choice.mode == "named":
        tree: dict[str, Any] = {"type": "tool", "name": choice.name or ""}
    else:
        tree = {"type": "any" if choice.mode == "required" else choice.mode}
    if parallel is not None and choice.mode != "none":
        tree["disable_parallel_tool_use"] = not parallel
    body["tool_choice"] = tree


def _tool(tool: Tool, model: str, same: bool, dropped: list[str]) -> dict[str, Any]:
    if tool.builtin is not None:
        if tool.builtin.origin != NAME:
            raise UncarriedError("tools", f"The tool {tool.name!r} is run by another service than this model's.")
        own: dict[str, Any] = tool.builtin.value
        return own
    tree: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        tree["description"] = tool.description
    schema = tool.parameters
    if schema is None and not same:
        schema = {"type": "object", "properties": {}}
    if schema is not None:
        tree["input_schema"] = schema if same or "type" in schema else {"type": "object", **schema}
    if tool.strict is not None and (same or (tool.strict and takes_strict(model))):
        tree["strict"] = tool.strict
    elif tool.strict:
        dropped.append("strict")
    if tool.cache is not None:
        tree["cache_control"] = tool.cache
    if same:
        tree.update(tool.extra)
    return tree


def _write_sampling(
    body: dict[str, Any], request: ChatRequest, model: str, wish: Thought, same: bool, dropped: list[str]
) -> None:
    if same:
        body.update(said(request.temperature, request.top_p, request.top_k))
    else:
        body.update(sampling(request, model, wish.thinks, dropped))
    stop = request.stop if same else [text for text in request.stop if text.strip()]
    if len(stop) < len(request.stop):
        dropped.append("stop")
    if stop:
        body["stop_sequences"] = stop


def _write_output(body: dict[str, Any], request: ChatRequest, wish: Thought, dropped: list[str]) -> None:
    if wish.thinking is not None:
        body["thinking"] = wish.thinking
    output: dict[str, Any] = {}
    if wish.effort is not None:
        output["effort"] = wish.effort
    form = request.format
    if form is not None and form.kind == "schema":
        output["format"] = {"type": "json_schema", "schema": form.schema or {}}
    elif form is not None and form.kind == "json":
        # JSON of no particular schema cannot be demanded here.
        dropped.append("response_format")
    if output:
        body["output_config"] = output


def _write_account(body: dict[str, Any], request: ChatRequest, same: bool, dropped: list[str]) -> None:
    metadata: dict[str, Any] = {}
    if request.user is not None:
        if same or len(request.user) <= _LONGEST_USER:
            metadata["user_id"] = request.user
        else:
            dropped.append("user")
    if request.metadata:
        if same:
            metadata.update(request.metadata)
        else:
            dropped.append("metadata")
    if metadata:
        body["metadata"] = metadata
    if request.service_tier is not None:
        tier = _TIERS.get(request.service_tier, request.service_tier if same else None)
        if tier is not None:
            body["service_tier"] = tier
        else:
            dropped.append("service_tier")
