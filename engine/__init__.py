"""Interlock: a declarative, config-as-code routing engine for LLM traffic.

from engine import Engine

async with Engine.open("config/") as engine:
    reply = await engine.chat({"model": "chat", "messages": [{"role": "user", "content": "Hello"}]})

Names are imported when first used, so that ``import engine`` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.diagnostics import Diagnostic
    from engine.errors import ConfigError, EngineError, PrepareError, RequestError, StreamError
    from engine.exchange import Attempt, Mirrored, Outcome, OutcomeClass, Usage
    from engine.library import Engine
    from engine.planner import Plan
    from engine.runtime import ChatStream, Reply, SyncEngine

__all__ = [
    "Attempt",
    "ChatStream",
    "ConfigError",
    "Diagnostic",
    "Engine",
    "EngineError",
    "Mirrored",
    "Outcome",
    "OutcomeClass",
    "Plan",
    "PrepareError",
    "Reply",
    "RequestError",
    "StreamError",
    "SyncEngine",
    "Usage",
]

_HOMES = {
    "engine.diagnostics": ("Diagnostic",),
    "engine.errors": ("ConfigError", "EngineError", "PrepareError", "RequestError", "StreamError"),
    "engine.exchange": ("Attempt", "Mirrored", "Outcome", "OutcomeClass", "Usage"),
    "engine.library": ("Engine",),
    "engine.planner": ("Plan",),
    "engine.runtime": ("ChatStream", "Reply", "SyncEngine"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
