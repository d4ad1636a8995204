"""From a canonical reply to the body of a response."""

from __future__ import annotations

from typing import Any

from engine.dialects.openai_chat.ids import made_id
from engine.exchange import Usage
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Finish,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)

from .items_write import call_item, groups, item_fields, thought_item
from .names import FOREIGN_THOUGHT, NAME
from .parts import write_part
from .request_write import write_choice, write_text, write_tool


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """The body. Of several choices the first is told, since this protocol has one."""
    own = reply.origin == NAME
    choice = reply.choices[0] if reply.choices else None
    parts = choice.parts if choice is not None else []
    body = envelope(reply.id or "resp", reply.model, reply.created or 0, asked)
    output = output_items(parts, reply.id, own)
    if choice is not None and choice.logprobs:
        hang_logprobs(output, choice.logprobs)
    body["output"] = output
    refused = any(isinstance(part, Refusal) for part in parts)
    close(body, choice.finish if choice is not None else None, refused)
    if reply.usage is not None:
        body["usage"] = write_usage(reply.usage, own)
    if reply.service_tier is not None:
        body["service_tier"] = reply.service_tier
    if own:
        body.update(reply.extra)
    return body


def envelope(id_: str, model: str, created: int, asked: ChatRequest) -> dict[str, Any]:
    """A response that is going on, with what the request asked for; a foreign upstream keeps none."""
    wish = asked.reasoning
    return {
        "id": id_,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": _instructions(asked),
        "max_output_tokens": asked.max_tokens,
        "metadata": asked.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": wish.effort if wish else None, "summary": wish.summary if wish else None},
        "service_tier": asked.service_tier,
        "store": False,
        "temperature": asked.temperature,
        "text": write_text(asked) or {"format": {"type": "text"}},
        "tool_choice": "auto" if asked.tool_choice is None else write_choice(asked.tool_choice),
        "tools": [
            write_tool(tool, True) for tool in asked.tools if tool.builtin is None or tool.builtin.origin == NAME
        ],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": asked.user,
    }


def _instructions(asked: ChatRequest) -> str | None:
    first = asked.messages[0] if asked.messages else None
    if first is None or first.extra.get("instructions") is not True:
        return None
    return "".join(part.text for part in first.parts if isinstance(part, Text))


def close(body: dict[str, Any], finish: Finish | None, refused: bool) -> None:
    """Say in ``body`` how the response ended."""
    body["status"] = "completed"
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish or "")
    if finish == "refusal" and not refused:
        reason = "content_filter"
    if reason is not None:
        body["status"], body["incomplete_details"] = "incomplete", {"reason": reason}


def write_usage(usage: Usage, own: bool) -> dict[str, Any]:
    """The usage object. Clients of this protocol reckon with all its numbers, so that an unknown one is a zero.

    Only what came from this protocol stays as it came.
    """
    into = _counts(own, cached_tokens=usage.cached, cache_write_tokens=usage.cache_write)
    out = _counts(own, reasoning_tokens=usage.reasoning)
    told: dict[str, Any] = _counts(own, input_tokens=usage.input, output_tokens=usage.output)
    told.update(input_tokens_details=into, output_tokens_details=out)
    return {**told, "total_tokens": (usage.input or 0) + (usage.output or 0)}


def _counts(own: bool, **counts: int | None) -> dict[str, int]:
    return {name: value or 0 for name, value in counts.items() if value is not None or not own}


def output_items(parts: list[Part], seed: str, own: bool) -> list[dict[str, Any]]:
    """The items of an output; such as have no id get one made of ``seed``."""
    written = []
    for place, group in enumerate(groups(parts)):
        item = output_item(group, seed, place, own)
        if item is not None:
            written.append(item)
    return written


def output_item(group: list[Part], seed: str, place: int, own: bool) -> dict[str, Any] | None:
    """The item of one group of parts; ``None`` for what only another protocol knows."""
    first = group[0]
    if isinstance(first, Thinking):
        return thought([part for part in group if isinstance(part, Thinking)], seed, place, own)
    if isinstance(first, ToolCall):
        return {"id": made_id("fc", seed, place), "status": "completed", **call_item(first, own)}
    if isinstance(first, Opaque):
        return first.value if first.origin == NAME and isinstance(first.value, dict) else None
    if isinstance(first, Media):
        return image_item(first, made_id("ig", seed, place), own)
    return {**message_item(made_id("msg", seed, place), group, own), **(item_fields(first) if own else {})}


def thought(thoughts: list[Thinking], seed: str, place: int, own: bool) -> dict[str, Any]:
    """The item of one thought; the id of one that services of this protocol cannot check says so."""
    item = thought_item(thoughts, own)
    known = own or any("encrypted_content" in part.extra for part in thoughts)
    if not known or "id" not in item:
        item["id"] = made_id("rs" if known else FOREIGN_THOUGHT, seed, place)
    return item


def message_item(id_: str, parts: list[Part], own: bool) -> dict[str, Any]:
    """The item of what is said in a row."""
    content = []
    for part in parts:
        written = write_part(part, "assistant", own)
        if isinstance(part, Text):
            written["logprobs"] = []
        content.append(written)
    return {"id": id_, "type": "message", "status": "completed", "role": "assistant", "content": content}


def image_item(image: Media, id_: str, own: bool) -> dict[str, Any] | None:
    """An image that the model made, as the result of the tool that makes them; other media become their text."""
    if image.kind == "image" and image.data:
        fields = image.extra.get("item") if own else None
        item = {"id": image.id or id_, "type": "image_generation_call", "status": "completed", "result": image.data}
        return {**item, **fields} if isinstance(fields, dict) else item
    told = image.text or image.url
    return message_item(id_, [Text(told)], own) if told else None


def hang_logprobs(output: list[dict[str, Any]], tokens: list[dict[str, Any]]) -> None:
    """Put the log probabilities of a whole reply where this protocol has them: with the first text."""
    for item in output:
        for part in item.get("content", []) if item["type"] == "message" else []:
            if part.get("type") == "output_text":
                part["logprobs"] = tokens
                return
