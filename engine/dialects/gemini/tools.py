"""Tools and the choice between them, both ways."""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import mappings, others, text, texts
from engine.exchange import UncarriedError
from engine.exchange.canonical import ChatRequest, Opaque, Tool, ToolChoice

from .names import ORIGIN, fields
from .parts import Wording
from .schemas import to_json_schema

_DECLARED = frozenset({"name", "description", "parametersJsonSchema"})


def read_tools(raw: Any) -> list[Tool]:
    """Functions, and the tools that the service runs itself, each by its name on the wire (``googleSearch``).

    The service takes a single entry in the place of the list too.
    """
    found: list[Tool] = []
    for entry in mappings([raw] if isinstance(raw, dict) else raw):
        for name, value in fields(entry).items():
            if name == "functionDeclarations":
                found.extend(_read_function(fields(item)) for item in mappings(value))
            else:
                found.append(Tool(name, builtin=Opaque(ORIGIN, {name: value})))
    return found


def _read_function(declared: dict[str, Any]) -> Tool:
    """A function; what is not JSON Schema about it stays in ``extra`` as it came."""
    tool = Tool(text(declared.get("name")), declared.get("description"), extra=others(declared, _DECLARED))
    schema = declared.get("parametersJsonSchema")
    if isinstance(schema, dict):
        tool.parameters = schema
    elif isinstance(declared.get("parameters"), dict):
        tool.parameters = to_json_schema(declared["parameters"])
    return tool


def write_tools(tools: list[Tool], writing: Wording) -> list[dict[str, Any]]:
    """One entry with all functions, in the place of the first; one for each tool of the service's own."""
    functions: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for tool in tools:
        if tool.builtin is None:
            if not functions:
                entries.append({"functionDeclarations": functions})
            functions.append(_write_function(tool, writing))
        elif tool.builtin.origin == ORIGIN:
            entries.append(tool.builtin.value)
        else:
            raise UncarriedError("tools", f"The tool {tool.name!r} is run by another service, which this one is not.")
    return entries


def _write_function(tool: Tool, writing: Wording) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declared["description"] = tool.description
    writing.keep(declared, tool.extra)
    if tool.parameters is not None and "parameters" not in declared:
        declared["parametersJsonSchema"] = tool.parameters
    if tool.strict:
        writing.dropped.append("strict")
    if tool.cache:
        writing.dropped.append("cache_control")
    return declared


def read_choice(raw: Any) -> tuple[ToolChoice | None, dict[str, Any]]:
    """The choice, and what else the configuration of tools says."""
    config = fields(raw)
    rest = others(config, ("functionCallingConfig",))
    calling = fields(config.get("functionCallingConfig"))
    mode = text(calling.get("mode")).upper()
    names = texts(calling.get("allowedFunctionNames"))
    more = others(calling, ("mode", "allowedFunctionNames"))
    choice: ToolChoice | None = None
    if mode == "ANY":
        choice = ToolChoice("named", names[0]) if len(names) == 1 else ToolChoice("required", allowed=names)
    elif mode == "NONE":
        choice = ToolChoice("none")
    elif mode in ("AUTO", "VALIDATED"):
        choice = ToolChoice("auto", allowed=names)
        if mode == "VALIDATED" and not names:
            more["mode"] = mode
    elif calling:
        more = calling
    if more:
        rest["functionCallingConfig"] = more
    return choice, rest


def write_choice(request: ChatRequest, writing: Wording) -> dict[str, Any]:
    """``functionCallingConfig``; empty where nothing is said."""
    if request.parallel_tool_calls is False:
        writing.dropped.append("parallel_tool_calls")
    choice = request.tool_choice
    if choice is None:
        return {}
    if choice.mode == "named":
        return {"mode": "ANY", "allowedFunctionNames": [choice.name or ""]}
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.allowed:
        # With AUTO the service takes no list of names; VALIDATED is the same with one.
        return {"mode": "ANY" if choice.mode == "required" else "VALIDATED", "allowedFunctionNames": choice.allowed}
    return {"mode": "ANY" if choice.mode == "required" else "AUTO"}
