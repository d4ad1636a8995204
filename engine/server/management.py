"""The endpoints beside the model calls: models, status, explain, graph, health."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from engine.executor.intake import BadRequestError
from engine.graph import matches, render

from . import config_edit, providers, relay
from .access import ADMIN, READ, RELAY, USE
from .asked import JSON, Answer, Asked, json_answer

if TYPE_CHECKING:
    from engine.runtime import Engine

_RENDERED = {
    "json": JSON,
    "tree": "text/plain; charset=utf-8",
    "mermaid": "text/plain; charset=utf-8",
    "dot": "text/vnd.graphviz; charset=utf-8",
    "svg": "image/svg+xml",
}


async def models(asked: Asked) -> Answer:
    """Every model name a client may use, in the shape of OpenAI's list; globs have no name to list."""
    return json_answer({"object": "list", "data": [_model(asked, name) for name in _names(asked)]})


async def model(asked: Asked) -> Answer:
    """One model by name."""
    if asked.argument not in _names(asked):
        message = f"No route answers to model {asked.argument!r}; GET /v1/models lists those that do."
        raise BadRequestError(message, param="model", status=404, code="model_not_found")
    return json_answer(_model(asked, asked.argument))


def _names(asked: Asked) -> list[str]:
    names = asked.graph.index.names()
    if asked.key is None or not asked.key.routes:
        return list(names)
    patterns = asked.key.routes
    found = asked.graph.index.find
    return [n for n in names if any(matches(p, route.name) for route in found(n) for p in patterns)]


def _model(asked: Asked, name: str) -> dict[str, Any]:
    created = int(asked.engine.snapshot.loaded_at.timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "interlock"}


async def status(asked: Asked) -> Answer:
    """Running and candidate configuration, with the diagnostics of the last rejected edit."""
    return json_answer(asked.engine.status())


async def explain(asked: Asked) -> Answer:
    """What would be done with this request, body as it would be sent; nothing is sent anywhere."""
    try:
        body = msgspec.json.decode(asked.body)
    except RecursionError:
        raise BadRequestError("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadRequestError(f"The body is not valid JSON: {problem}.") from None
    if not isinstance(body, dict):
        raise BadRequestError("The body must be a JSON object: a request as it would be sent.")
    engine: Engine = asked.engine
    plan = engine.explain(body, headers=asked.headers, key=asked.key)
    return json_answer(plan.to_dict())


async def graph(asked: Asked) -> Answer:
    """The running graph as ``?format=`` json (default), tree, mermaid, dot or svg; ``?route=`` narrows it."""
    format_ = asked.option("format") or "json"
    route = asked.option("route")
    if format_ not in _RENDERED:
        raise BadRequestError(f"There is no format {format_!r}; there are {', '.join(_RENDERED)}.", param="format")
    if route is not None and route not in asked.graph.routes:
        raise BadRequestError(f"There is no route {route!r}.", param="route", status=404, code="not_found")
    # A graph of thousands of routes takes seconds to draw.
    drawn = await asyncio.to_thread(render, asked.graph, format_, route)
    return 200, _RENDERED[format_], drawn.encode()


async def health(asked: Asked) -> Answer:
    """The process answers: it is alive, whatever it can do."""
    return json_answer({"status": "ok"})


async def ready(asked: Asked) -> Answer:
    """Whether requests can be served, and by what; 503 if not."""
    engine: Engine = asked.engine
    ok = engine.ready()
    return json_answer({"ready": ok, "detail": engine.ready_detail()}, 200 if ok else 503)


async def metrics(asked: Asked) -> Answer:
    """Metrics for Prometheus, as classic text or OpenMetrics: what `Accept` asks for."""
    engine: Engine = asked.engine
    content_type, body = await engine.metrics(asked.headers.get("accept"))
    return 200, content_type, body


#: Path -> method -> (scope that it needs, or empty; function).
ROUTES: Mapping[str, Mapping[str, Any]] = {
    "/v1/models": {"GET": (USE, models)},
    "/v1/models/{model}": {"GET": (USE, model)},
    "/api/v1/status": {"GET": (READ, status)},
    "/api/v1/explain": {"POST": (READ, explain)},
    "/api/v1/graph": {"GET": (READ, graph)},
    "/api/v1/providers": {"GET": (READ, providers.providers)},
    "/api/v1/providers/{id}/checks": {"GET": (READ, providers.checks_of)},
    "/api/v1/providers/{id}/test": {"POST": (ADMIN, providers.test)},
    "/api/v1/providers/{id}/models": {"GET": (READ, providers.models_of)},
    "/api/v1/config/providers/{id}": {"PUT": (ADMIN, config_edit.put_provider)},
    "/relay": {"GET": ("", relay.page)},
    "/api/v1/relay": {"GET": (RELAY, relay.waiting)},
    "/api/v1/relay/{id}": {"POST": (RELAY, relay.answer)},
    "/metrics": {"GET": (READ, metrics)},
    "/healthz": {"GET": ("", health)},
    "/readyz": {"GET": ("", ready)},
}
