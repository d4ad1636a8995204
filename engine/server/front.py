"""Every request the server or an embedding transport receives, whatever carried it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.exchange import RULES, Call, OutcomeClass
from engine.executor.intake import SURFACES, BadRequestError, make_call, request_id
from engine.executor.reply import Headers, Reply, StreamReply, error_reply, id_headers
from engine.graph import Graph, Key

from .access import ADMIN, RELAY, USE, Access, DeniedError, UnverifiedError
from .asked import Asked
from .management import ROUTES
from .shedding import most_in_flight

if TYPE_CHECKING:
    from engine.runtime import Engine

_PREFIX = "/v1"
#: Some clients of rankings ask for them at a version of their own, in the same words.
_MODEL_PATHS = {_PREFIX + path: path for path in SURFACES} | {"/v2/rerank": "/rerank"}

_EXPIRED = DeniedError(401, "invalid_token", "This token has expired.")

Raw = Iterable[tuple[bytes, bytes]]
#: Called with (method, path, status, seconds, reply) for requests that no route had a part in.
Aside = Callable[[str, str, int, float, Reply], None]


class Front:
    """Answers requests with an engine. Never raises for what a request holds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._access = Access()
        self._most = most_in_flight()

    @property
    def max_body(self) -> int:
        """The largest body accepted, in bytes, as the settings say at this moment."""
        return self._engine.graph.settings.max_body

    async def handle(
        self, method: str, path: str, query: bytes, headers: Raw, body: bytes, peer: tuple[str, int] | None = None
    ) -> Reply | StreamReply:
        """The reply to one request. ``path`` is decoded, header names are lower case, ``body`` is whole."""
        begun = self.begin(method, path, query, headers, body)
        return begun if isinstance(begun, Reply) else await begun

    def begin(
        self, method: str, path: str, query: bytes, headers: Raw, body: bytes
    ) -> Reply | Coroutine[Any, Any, Reply | StreamReply]:
        """The first half of :meth:`handle`: a refusal, or what is to be awaited, at once, for the reply."""
        arrived = perf_counter()
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        graph = self._engine.graph
        id_ = request_id(fields.get("x-request-id"))
        endpoint = _MODEL_PATHS.get(path)
        if endpoint is None or method != "POST":
            return self._manage(graph, method, path, query, fields, body, id_)
        most = graph.settings.in_flight or self._most
        if self._engine.in_flight >= most:
            return self._shed(graph, id_, most, SURFACES[endpoint].front)
        try:
            return self._engine.serve(self._call(graph, endpoint, body, fields, id_, arrived))
        except UnverifiedError as unverified:
            return self._verified(graph, unverified.token, endpoint, body, fields, id_, arrived)
        except (BadRequestError, DeniedError) as problem:
            return self._refused(graph, id_, problem, SURFACES[endpoint].front)

    def _shed(self, graph: Graph, id_: str, most: int, speaks: str) -> Reply:
        """The refusal of one request too many: nothing of it is read, nobody is asked who sent it."""
        rule = RULES[OutcomeClass.OVERLOADED]
        self._engine.telemetry.meter.refuse(rule.code)
        message = f"The gateway has {most} requests under way, which is its limit (settings: limits.in_flight)."
        error = {"message": message, "type": rule.type, "code": rule.code, "param": None}
        headers = [*self.headers(graph, id_, speaks), (b"retry-after", b"1")]
        return error_reply(rule.status, error, headers, terminal=False, speaks=speaks)

    async def _verified(
        self,
        graph: Graph,
        token: str,
        endpoint: str,
        body: bytes,
        fields: Mapping[str, str],
        id_: str,
        arrived: float,
    ) -> Reply | StreamReply:
        """Serve a caller whose token has to be verified first."""
        try:
            await self._access.verify(graph, token)
            call = self._call(graph, endpoint, body, fields, id_, arrived)
        except (BadRequestError, DeniedError) as problem:
            return self._refused(graph, id_, problem, SURFACES[endpoint].front)
        except UnverifiedError:
            return self._refused(graph, id_, _EXPIRED, SURFACES[endpoint].front)
        return await self._engine.serve(call)

    def _refused(
        self, graph: Graph, id_: str, problem: BadRequestError | DeniedError, speaks: str = "openai-chat"
    ) -> Reply:
        self._engine.telemetry.meter.refuse(problem.code)
        invalid = isinstance(problem, BadRequestError)
        error = {
            "message": problem.message,
            "type": "invalid_request_error" if invalid else "authentication_error",
            "code": problem.code,
            "param": problem.param if isinstance(problem, BadRequestError) else None,
        }
        reply = error_reply(problem.status, error, self.headers(graph, id_, speaks), terminal=True, speaks=speaks)
        if problem.status == 401:
            reply.headers.append((b"www-authenticate", b"Bearer"))
        return reply

    def _call(
        self, graph: Graph, endpoint: str, body: bytes, fields: Mapping[str, str], id_: str, arrived: float
    ) -> Call:
        key = self._access.authorize(graph, fields, USE)
        call = make_call(endpoint, body, fields, id_=id_, key=key, max_depth=graph.settings.max_depth)
        call.arrived = arrived
        if key is None:
            # Where the configuration has keys of its own, the caller's secret is ours and goes no further.
            call.authorization = fields.get("authorization")
        return call

    async def _manage(
        self,
        graph: Graph,
        method: str,
        path: str,
        query: bytes,
        fields: Mapping[str, str],
        body: bytes,
        id_: str,
    ) -> Reply:
        known, argument = _lookup(path)
        if known is None:
            return self._unknown(graph, path, id_)
        handler = known.get(method) or (known.get("GET") if method == "HEAD" else None)
        if handler is None:
            allowed = ", ".join(sorted(known))
            message = f"{method} is not served at {path}; send {allowed}."
            reply = self.refusal(graph, id_, 405, "invalid_request_error", "method_not_allowed", message)
            reply.headers.append((b"allow", allowed.encode()))
            return reply
        scope, function = handler
        try:
            key = await self._allowed(graph, fields, scope) if scope else None
            asked = Asked(self._engine, graph, key, query, fields, body, argument)
            status, content_type, content = await function(asked)
        except (BadRequestError, DeniedError) as problem:
            return self._refused(graph, id_, problem)
        except RequestError as problem:
            return error_reply(problem.status, problem.body["error"], self.headers(graph, id_), terminal=True)
        headers = self.headers(graph, id_)
        headers.append((b"content-type", content_type.encode()))
        return Reply(status, headers, b"" if method == "HEAD" else content)

    async def _allowed(self, graph: Graph, fields: Mapping[str, str], scope: str) -> Key | None:
        if scope == RELAY:
            try:
                return await self._allowed(graph, fields, ADMIN)
            except DeniedError:
                return None  # the provider's own token may do
        try:
            return self._access.authorize(graph, fields, scope)
        except UnverifiedError as unverified:
            await self._access.verify(graph, unverified.token)
        try:
            return self._access.authorize(graph, fields, scope)
        except UnverifiedError:
            raise _EXPIRED from None

    def _unknown(self, graph: Graph, path: str, id_: str) -> Reply:
        if path in _MODEL_PATHS:
            message = f"Send POST to {path}."
            reply = self.refusal(graph, id_, 405, "invalid_request_error", "method_not_allowed", message)
            reply.headers.append((b"allow", b"POST"))
            return reply
        if _PREFIX + path in _MODEL_PATHS:
            message = f"Nothing is served at {path}; did you mean {_PREFIX}{path}? A client's base_url ends in /v1."
        else:
            message = f"Nothing is served at {path}."
        return self.refusal(graph, id_, 404, "invalid_request_error", "not_found", message)

    def headers(self, graph: Graph, id_: str, speaks: str = "openai-chat") -> Headers:
        """The headers of every reply."""
        return [*id_headers(id_, speaks), (b"x-interlock-graph", graph.fingerprint.encode())]

    def refusal(
        self, graph: Graph, id_: str, status: int, kind: str, code: str, message: str, param: str | None = None
    ) -> Reply:
        """An error that no route had a part in."""
        error = {"message": message, "type": kind, "code": code, "param": param}
        return error_reply(status, error, self.headers(graph, id_), terminal=True)

    def refuse(self, status: int, code: str, message: str) -> Reply:
        """The refusal of what could not be read as a request."""
        graph = self._engine.graph
        return self.refusal(graph, request_id(), status, "invalid_request_error", code, message)

    def too_large(self) -> Reply:
        """The refusal of a body over the limit, which is not read."""
        limit = self.max_body
        message = f"The body is larger than the {limit} bytes this gateway accepts (settings: limits.body)."
        return self.refuse(413, "request_too_large", message)


Handler = tuple[str, Callable[[Asked], Awaitable[tuple[int, str, bytes]]]]


#: (what stands before the name in such a path, what behind it, methods); the longest tail is tried first.
_TEMPLATES: list[tuple[str, str, Mapping[str, Handler]]] = sorted(
    ((path.partition("{")[0], path.partition("}")[2], methods) for path, methods in ROUTES.items() if "{" in path),
    key=lambda row: -len(row[1]),
)


def _lookup(path: str) -> tuple[Mapping[str, Handler] | None, str]:
    """The methods served at this path and what the path names, if anything."""
    found = ROUTES.get(path)
    if found is not None:
        return found, ""
    for head, tail, methods in _TEMPLATES:
        if path.startswith(head) and path.endswith(tail) and len(path) > len(head) + len(tail):
            return methods, path[len(head) : len(path) - len(tail)]
    return None, ""
