"""A request in the upstream's words (AWS's API reference, ``Converse``)."""

from __future__ import annotations

import re
from typing import Any

from engine.dialects.claude import Thought, said, sampling, takes_strict, thought, version
from engine.dialects.effort import NOT_AT_ALL, effort_of
from engine.dialects.protocol import Written
from engine.dialects.trees import json_text
from engine.dialects.turns import Turn, take_turns
from engine.dialects.writing import leave_out
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Message, Reasoning, Text, Tool

from .content import Numbering, add_point, write_blocks
from .names import NAME, vendor

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
    "user": None,
}
_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")
_WORDS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_MORE = "additionalModelRequestFields"


def write_request(request: ChatRequest, shape: Shape) -> Written:
    """See :meth:`engine.dialects.protocol.ChatCodec.write_request`. The model stands in the path."""
    same = request.origin == NAME
    model = shape.name or request.model
    writing = Numbering(same, model=model)
    dropped = writing.dropped
    system, turns = _messages(request.messages, writing)
    body: dict[str, Any] = {"messages": [{"role": turn.role, "content": turn.blocks} for turn in turns]}
    if system:
        body["system"] = system
    config = _tool_config(request, turns, writing)
    if config:
        body["toolConfig"] = config
    wish, more = _wish(request, model, shape.max_output, writing)
    _write_sampling(body, request, model, wish, more, dropped)
    if more:
        body[_MORE] = more
    _write_output(body, request, wish, dropped)
    _write_account(body, request, dropped)
    leave_out(request, _UNKNOWN, dropped)
    if same:
        _merge(body, request.extra)
    else:
        dropped.extend(request.extra)
    return Written(body, list(dict.fromkeys(dropped)))


def _merge(body: dict[str, Any], extra: dict[str, Any]) -> None:
    for name, value in extra.items():
        known = body.get(name)
        body[name] = {**value, **known} if isinstance(known, dict) and isinstance(value, dict) else value


def _messages(messages: list[Message], writing: Numbering) -> tuple[list[dict[str, Any]], list[Turn]]:
    def write(message: Message) -> list[dict[str, Any]]:
        if message.name is not None:
            writing.dropped.append("name")
        return write_blocks(message.parts, writing)

    instructions, turns = take_turns(messages, write, same=writing.same)
    system: list[dict[str, Any]] = []
    for message in instructions:
        if not writing.same and not all(isinstance(part, Text) for part in message.parts):
            raise UncarriedError("messages", "The protocol of this model's provider takes instructions as text only.")
        system += write_blocks(message.parts, writing)
    return system, turns


def _tool_config(request: ChatRequest, turns: list[Turn], writing: Numbering) -> dict[str, Any]:
    choice, tools = request.tool_choice, request.tools
    if choice is not None and choice.allowed:
        tools = [tool for tool in tools if tool.name in choice.allowed]
    mode = choice.mode if choice is not None else None
    called = _called(turns)
    if mode == "none":
        # The protocol has no such word: tools are not shown, unless the conversation already speaks of them.
        if not called:
            return {}
        writing.dropped.append("tool_choice")
    if not tools:
        if mode in ("required", "named"):
            raise UncarriedError("tool_choice", "A tool must be called, yet none is given.")
        if writing.same:
            return {}
        # Calls in a conversation must be of declared tools.
        tools = [Tool(name) for name in called]
    specs: list[dict[str, Any]] = []
    for tool in tools:
        specs.append(_spec(tool, writing))
        if tool.cache is not None:
            add_point(specs, tool.cache, writing)
    config: dict[str, Any] = {"tools": specs} if specs else {}
    if specs and choice is not None and mode in ("auto", "required", "named"):
        words = {"auto": {"auto": {}}, "required": {"any": {}}, "named": {"tool": {"name": choice.name or ""}}}
        config["toolChoice"] = words[choice.mode]
    if specs and request.parallel_tool_calls is False:
        writing.dropped.append("parallel_tool_calls")
    return config


def _called(turns: list[Turn]) -> list[str]:
    """The names of the tools that the conversation tells of, each once."""
    blocks = (block for turn in turns for block in turn.blocks)
    return list(dict.fromkeys(block["toolUse"]["name"] for block in blocks if "toolUse" in block))


def _spec(tool: Tool, writing: Numbering) -> dict[str, Any]:
    if tool.builtin is not None:
        if tool.builtin.origin != NAME:
            raise UncarriedError("tools", f"The tool {tool.name!r} is run by another service than this model's.")
        own: dict[str, Any] = tool.builtin.value
        return own
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    schema = tool.parameters if tool.parameters is not None else {"properties": {}}
    spec["inputSchema"] = {"json": schema if writing.same or "type" in schema else {"type": "object", **schema}}
    if tool.strict is not None and (writing.same or (tool.strict and takes_strict(writing.model))):
        spec["strict"] = tool.strict
    elif tool.strict:
        writing.dropped.append("strict")
    return {"toolSpec": spec}


def _wish(
    request: ChatRequest, model: str, max_output: int | None, writing: Numbering
) -> tuple[Thought | None, dict[str, Any]]:
    """How much a Claude model shall think (``None`` for others), and the fields that only this model takes."""
    more: dict[str, Any] = {}
    if writing.same or version(model) is None:
        wish = request.reasoning
        if wish is not None:
            more.update(_own_thinking(wish) if writing.same else _thinking_of(wish, model, writing.dropped))
        return None, more
    asked = thought(request, model, max_output)
    writing.dropped += asked.dropped
    if asked.thinking is not None:
        more["thinking"] = asked.thinking
    return asked, more


def _own_thinking(wish: Reasoning) -> dict[str, Any]:
    if wish.enabled is None:
        return {}
    if wish.budget is not None:
        return {"thinking": {"type": "enabled", "budget_tokens": wish.budget}}
    return {"thinking": {"type": "adaptive" if wish.enabled else "disabled"}}


def _thinking_of(wish: Reasoning, model: str, dropped: list[str]) -> dict[str, Any]:
    """The fields by which other makers' models are told how much to think (Bedrock's pages on their models)."""
    effort = (wish.effort or "").lower()
    off = wish.enabled is False or effort in NOT_AT_ALL
    if not effort and wish.budget:
        effort = effort_of(wish.budget)
    word = _WORDS.get(effort) or ("medium" if wish.enabled else "")
    maker = vendor(model)
    if maker == "amazon" and "nova-2" in model and (off or word):
        return {"reasoningConfig": {"type": "disabled"} if off else {"type": "enabled", "maxReasoningEffort": word}}
    if off:
        return {}
    if word and maker == "openai":
        return {"reasoning_effort": word}
    if word and maker == "qwen":
        return {"reasoning_config": word}
    dropped.append("reasoning_effort")
    return {}


def _write_sampling(
    body: dict[str, Any],
    request: ChatRequest,
    model: str,
    wish: Thought | None,
    more: dict[str, Any],
    dropped: list[str],
) -> None:
    if request.origin == NAME:
        given = said(request.temperature, request.top_p, request.top_k)
    else:
        given = sampling(request, model, wish is not None and wish.thinks, dropped)
    config: dict[str, Any] = {}
    most = wish.max_tokens if wish is not None and wish.thinks else request.max_tokens
    if most is not None:
        config["maxTokens"] = most
    for name, field in (("temperature", "temperature"), ("top_p", "topP")):
        if name in given:
            config[field] = given[name]
    stop = [text for text in request.stop if text]
    if stop:
        config["stopSequences"] = stop
    if config:
        body["inferenceConfig"] = config
    if "top_k" not in given:
        return
    maker = vendor(model)
    if request.origin == NAME or maker in ("anthropic", "mistral", ""):
        more["top_k"] = given["top_k"]
    elif maker == "amazon":
        more["inferenceConfig"] = {"topK": given["top_k"]}
    elif maker == "cohere":
        more["k"] = given["top_k"]
    else:
        dropped.append("top_k")


def _write_output(body: dict[str, Any], request: ChatRequest, wish: Thought | None, dropped: list[str]) -> None:
    output: dict[str, Any] = {}
    form = request.format
    if form is not None and form.kind == "schema":
        schema: dict[str, Any] = {"schema": json_text(form.schema or {})}
        if form.name:
            schema["name"] = form.name
        if form.description:
            schema["description"] = form.description
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    elif form is not None and form.kind == "json":
        # JSON of no particular schema cannot be demanded here.
        dropped.append("response_format")
    effort = wish.effort if wish is not None else None
    if request.origin == NAME and request.reasoning is not None:
        effort = request.reasoning.effort
    if effort is not None:
        output["effort"] = effort
    if output:
        body["outputConfig"] = output


def _write_account(body: dict[str, Any], request: ChatRequest, dropped: list[str]) -> None:
    tier = request.service_tier
    if tier in _TIERS or (tier is not None and request.origin == NAME):
        body["serviceTier"] = {"type": tier}
    elif tier not in (None, "auto"):
        dropped.append("service_tier")
    metadata = request.metadata
    if metadata:
        if len(metadata) <= 16 and all(map(_is_plain, metadata.items())):
            body["requestMetadata"] = metadata
        else:
            dropped.append("metadata")


def _is_plain(entry: tuple[Any, Any]) -> bool:
    return all(isinstance(text, str) and _METADATA.fullmatch(text) for text in entry)
