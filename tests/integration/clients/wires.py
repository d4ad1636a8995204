"""What an upstream finds in a request, in the words of its own protocol, and how its streams fall into pieces."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]
#: What names a call (its id, or the tool where the protocol has no ids), and what came of it or was asked of it.
Named = list[tuple[str, Any]]


def _text(content: Any) -> str:
    """The text of a content that is a text or a list of blocks."""
    if isinstance(content, str):
        return content
    blocks = [block.get("document", {}).get("data", block) for block in content]
    return "".join(str(block.get("text", block.get("content", block))) for block in blocks)


def _blocks(body: Body, list_: str = "messages", inner: str = "content") -> Iterator[Body]:
    for message in body[list_]:
        content = message.get(inner) or []
        yield from content if isinstance(content, list) else ()


def _openai_calls(body: Body) -> Named:
    calls = [call for message in body["messages"] for call in message.get("tool_calls") or ()]
    return [(call["id"], json.loads(call["function"]["arguments"])) for call in calls]


def _openai_results(body: Body) -> Named:
    told = [message for message in body["messages"] if message["role"] == "tool"]
    return [(message["tool_call_id"], _text(message["content"])) for message in told]


def _responses_calls(body: Body) -> Named:
    items = [item for item in body["input"] if item.get("type") == "function_call"]
    return [(item["call_id"], json.loads(item["arguments"])) for item in items]


def _responses_results(body: Body) -> Named:
    items = [item for item in body["input"] if isinstance(item, dict) and item.get("type") == "function_call_output"]
    return [(item["call_id"], _text(item["output"])) for item in items]


def _anthropic_calls(body: Body) -> Named:
    return [(block["id"], block["input"]) for block in _blocks(body) if block["type"] == "tool_use"]


def _anthropic_results(body: Body) -> Named:
    blocks = [block for block in _blocks(body) if block["type"] == "tool_result"]
    return [(block["tool_use_id"], _text(block["content"])) for block in blocks]


def _gemini_calls(body: Body) -> Named:
    calls = [part["functionCall"] for part in _blocks(body, "contents", "parts") if "functionCall" in part]
    return [(call["name"], call.get("args", {})) for call in calls]


def _gemini_results(body: Body) -> Named:
    told = [part["functionResponse"] for part in _blocks(body, "contents", "parts") if "functionResponse" in part]
    return [(result["name"], " ".join(str(value) for value in result["response"].values())) for result in told]


def _ollama_calls(body: Body) -> Named:
    calls = [call["function"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    return [(call["name"], call["arguments"]) for call in calls]


def _ollama_results(body: Body) -> Named:
    told = [message for message in body["messages"] if message["role"] == "tool"]
    return [(message["tool_name"], message["content"]) for message in told]


def _bedrock_calls(body: Body) -> Named:
    uses = [block["toolUse"] for block in _blocks(body) if "toolUse" in block]
    return [(use["toolUseId"], use["input"]) for use in uses]


def _bedrock_results(body: Body) -> Named:
    told = [block["toolResult"] for block in _blocks(body) if "toolResult" in block]
    return [(result["toolUseId"], _text(result["content"])) for result in told]


_READ: dict[str, tuple[Callable[[Body], Named], Callable[[Body], Named]]] = {
    "anthropic-messages": (_anthropic_calls, _anthropic_results),
    "bedrock-converse": (_bedrock_calls, _bedrock_results),
    "cohere": (_openai_calls, _openai_results),
    "gemini": (_gemini_calls, _gemini_results),
    "ollama": (_ollama_calls, _ollama_results),
    "openai-chat": (_openai_calls, _openai_results),
    "openai-responses": (_responses_calls, _responses_results),
}
#: Protocols in which a result names its tool and no call.
NAMELESS = frozenset({"gemini", "ollama"})


def calls(dialect: str, body: Body) -> Named:
    """The calls that the request's history holds, with their arguments."""
    return _READ[dialect][0](body)


def results(dialect: str, body: Body) -> Named:
    """The results of tools that the request holds, with their texts."""
    return _READ[dialect][1](body)


def schema(dialect: str, body: Body) -> Body:
    """The JSON Schema that the answer has to follow."""
    found: Any
    match dialect:
        case "anthropic-messages":
            found = body["output_config"]["format"]["schema"]
        case "bedrock-converse":
            found = json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
        case "cohere":
            found = body["response_format"]["json_schema"]
        case "gemini":
            config = body["generationConfig"]
            found = config.get("responseJsonSchema") or config["responseSchema"]
        case "ollama":
            found = body["format"]
        case "openai-responses":
            found = body["text"]["format"]["schema"]
        case _:
            found = body["response_format"]["json_schema"]["schema"]
    assert isinstance(found, dict)
    return found


def pieces(dialect: str, data: bytes) -> list[bytes]:
    """A stream's events, lines or messages, one by one."""
    if dialect == "ollama":
        return data.splitlines(keepends=True)
    if dialect != "bedrock-converse":
        return [event + b"\n\n" for event in data.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip()]
    found = []
    while data:
        (size,) = struct.unpack("!I", data[:4])
        found.append(data[:size])
        data = data[size:]
    return found
