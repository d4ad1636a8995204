"""The protocol's older notation of schemas, a subset of OpenAPI's, as JSON Schema.

Requests are written with ``parametersJsonSchema`` and ``responseJsonSchema``, which take JSON Schema as clients send
it; ``parameters`` and ``responseSchema`` refuse keywords (``additionalProperties``, ``$ref``, ``oneOf``, types as
lists) that clients' schemas are full of. So this translation has one direction only.
"""

from __future__ import annotations

from typing import Any

from .names import fields

#: Numbers that proto3's JSON writes as strings.
_LIMITS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})


def to_json_schema(schema: Any) -> dict[str, Any]:
    """The schema with types in lower case, and ``nullable`` as a type."""
    out: dict[str, Any] = {}
    tree = fields(schema)
    for name, value in tree.items():
        if name == "type" and isinstance(value, str):
            out["type"] = [value.lower(), "null"] if tree.get("nullable") is True else value.lower()
        elif name == "properties" and isinstance(value, dict):
            out["properties"] = {key: to_json_schema(inner) for key, inner in value.items()}
        elif name == "items" and isinstance(value, dict):
            out["items"] = to_json_schema(value)
        elif name == "anyOf" and isinstance(value, list):
            out["anyOf"] = [to_json_schema(inner) for inner in value]
        elif name in _LIMITS and isinstance(value, str) and value.isdecimal():
            out[name] = int(value)
        elif name not in ("nullable", "propertyOrdering"):
            out[name] = value
    return out
