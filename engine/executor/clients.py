"""What a graph needs to serve: a client for each provider, shared with the graph before where nothing changed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Raw, Struct, json

from engine.dialects import Link, dialects, link
from engine.errors import PrepareError
from engine.exchange import Shape
from engine.graph import Graph, Limit, Provider, SecretRef, Settings, TargetStep, Timeouts
from engine.planner import without_room
from engine.state import Claim, Closure, Refusal, State
from engine.state.buckets import bucket

from .credentials import Credential, credential_of
from .inbox import Inbox
from .transport import Transport, TransportOptions
from .transport_http11 import Http11Transport
from .transport_poll import PollTransport
from .transport_process import Installed, ProcessTransport
from .transport_queue import QueueTransport, inbox_path

TransportFactory = Callable[[Provider, TransportOptions], Transport]


def default_transport(provider: Provider, options: TransportOptions) -> Transport:
    """The transport that the provider declares; over HTTP our own, and httpx through a proxy: it knows all kinds."""
    if provider.transport == "process":
        return ProcessTransport(provider.command, os.environ)
    if provider.transport == "queue":
        return QueueTransport(provider.name, Inbox.of(inbox_path(provider.name, provider.queue_file)))
    http: Transport
    if options.proxy:
        from .transport_httpx import HttpxTransport  # takes long to import, and few need it

        http = HttpxTransport(options)
    else:
        http = Http11Transport(options)
    return PollTransport(http) if provider.transport == "poll" else http


class Way(Struct, frozen=True):
    """How requests of one kind from clients of one dialect reach a provider: the link, and where its paths begin."""

    link: Link
    base: str


#: A version in a base URL's path: the dialect then adds none of its own.
_VERSION = re.compile(r"/v\d[a-z0-9]*(/|$)")


class ProviderClient:
    """Connections to one provider, its credential and its dialects; counted by the :class:`Clients` that hold it."""

    __slots__ = (
        "_make",
        "_options",
        "_transports",
        "_ways",
        "accounts",
        "credential",
        "dialect",
        "headers",
        "holders",
        "own_headers",
        "provider",
        "speaks",
    )

    def __init__(
        self,
        provider: Provider,
        options: TransportOptions,
        environ: Mapping[str, str],
        make: TransportFactory,
    ) -> None:
        self.provider = provider
        self.dialect = dialects()[provider.dialect]
        self.speaks = frozenset({provider.dialect, *provider.also_speaks})
        self._ways: dict[tuple[str, str], Way | None] = {}
        self.credential: Credential
        if provider.transport == "process":
            self.credential = Installed(provider.command, environ)
        else:
            self.credential = credential_of(provider.auth, provider.base_url, environ)
        self.accounts: tuple[ProviderClient, ...] = (self,)
        """The same connections with each of the provider's secrets."""
        self.headers = tuple((name.lower(), value) for name, value in provider.headers)
        self.own_headers = frozenset(name for name, _ in self.headers)
        self.holders = 0
        self._options = options
        self._make = make
        # A client's connect timeout is fixed when it is made, while policies set it per route and target.
        self._transports: dict[float, Transport] = {}
        if provider.auth.others:
            self.accounts = (self, *(self._with(secret, environ) for secret in provider.auth.others))

    def _with(self, secret: SecretRef, environ: Mapping[str, str]) -> ProviderClient:
        twin = copy(self)
        auth = replace(self.provider.auth, secret=secret, others=())
        twin.credential = credential_of(auth, self.provider.base_url, environ)
        return twin

    def way(self, front: str, kind: str) -> Way | None:
        """The way for requests of ``kind`` from clients that speak ``front``; ``None`` where there is none."""
        found = self._ways.get((front, kind), ...)
        if found is ...:
            found = self._ways[front, kind] = self._find_way(front, kind)
        return found

    def _find_way(self, front: str, kind: str) -> Way | None:
        name = front if front in self.speaks else self.provider.dialect
        found = link(front, name, kind)
        return None if found is None else Way(found, self.base_of(name))

    def base_of(self, dialect: str) -> str:
        """Where the paths of this dialect begin: the base URL, with the dialect's version if it names none."""
        prefix = dialects()[dialect].prefix
        base = self.provider.base_url.rstrip("/")
        path = urlsplit(base).path
        return base if not prefix or path.endswith(prefix) or _VERSION.search(path) else base + prefix

    def transport(self, connect: float) -> Transport:
        """The transport whose connect timeout is ``connect`` seconds, made at its first use."""
        found = self._transports.get(connect)
        if found is None:
            options = TransportOptions(connect, self._options.proxy, self._options.ca_pem)
            found = self._transports[connect] = self._make(self.provider, options)
        return found

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.close()


class LiveView:
    """The planner's view of the moment."""

    __slots__ = ("_clients", "_state", "closed", "headroom", "holder", "in_flight", "latency", "share")

    def __init__(self, state: State, clients: Clients) -> None:
        self._state = state
        self.in_flight = state.in_flight
        self.holder = state.conversations.holder
        self.share = state.share
        self.latency = state.latency.expected
        self.headroom = state.headroom.left
        self._clients = clients
        self.closed = self._closed if clients.limited else state.closed

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential is there."""
        return self._clients.credential(provider)

    def _closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target is to be passed over: what attempts have told, or that its limits have no room."""
        closure = self._state.closed(step, now)
        if closure is not None or not step.target.provider.limited:
            return closure
        return without_room(step.target.provider, self._state.store, self._state.desks, time.monotonic(), now)

    def bucket(self, limit: Limit, value: str | None) -> str:
        """The bucket of this value; what clients can make up is bounded in number."""
        if limit.trusted:
            return bucket(value)
        longest = max((rate.per or 0.0 for rate in limit.rates), default=0.0)
        return self._state.buckets.of(limit.name, value, longest, time.monotonic())

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        """Which of these claims has no room at this moment, as far as this process knows."""
        return self._state.store.peek(claims, time.monotonic())


class Clients:
    """The clients of one graph. ``Clients.prepare`` makes them, :meth:`release` lets go of them, once."""

    __slots__ = ("_by_provider", "_keys", "_released", "_shapes", "_view", "limited", "renewed", "settings")

    def __init__(
        self,
        by_provider: dict[str, ProviderClient],
        keys: dict[str, Any],
        settings: Settings,
        renewed: frozenset[str] = frozenset(),
    ) -> None:
        self.settings = settings
        self.limited = any(client.provider.limited for client in by_provider.values())
        """Whether any provider has limits, or several secrets."""
        self.renewed = renewed
        """The providers that the graph before had too, and whose connection or credential is another one now."""
        self._by_provider = by_provider
        self._keys = keys
        self._shapes: dict[TargetStep, Shape] = {}
        self._released = False
        self._view: LiveView | None = None
        for client in by_provider.values():
            client.holders += 1

    @classmethod
    def prepare(
        cls,
        graph: Graph,
        environ: Mapping[str, str],
        previous: Clients | None = None,
        *,
        transport: TransportFactory | None = None,
    ) -> Clients:
        """Everything that can fail before a graph serves. Raises :class:`PrepareError`; nothing is held then.

        A provider whose connection settings did not change keeps its client, with its open connections.
        """
        _require_jwt(graph.settings)
        ca_pem = _read_ca(graph.settings)
        made: dict[str, ProviderClient] = {}
        keys: dict[str, Any] = {}
        for name, provider in graph.providers.items():
            key = _client_key(provider, graph.settings, ca_pem)
            keys[name] = key
            if previous is not None and previous._keys.get(name) == key:
                made[name] = previous._by_provider[name]
                continue
            made[name] = _make(provider, graph.settings, ca_pem, environ, transport)
        known = () if previous is None else previous._by_provider.items()
        renewed = frozenset(name for name, client in known if made.get(name, client) is not client)
        return cls(made, keys, graph.settings, renewed)

    def view(self, state: State) -> LiveView:
        """The planner's view of these clients and the engine's one ``state``."""
        if self._view is None:
            self._view = LiveView(state, self)
        return self._view

    def find(self, provider: str) -> ProviderClient | None:
        """The client of this provider, ``None`` where the graph has no such provider."""
        return self._by_provider.get(provider)

    def of(self, provider: str) -> ProviderClient:
        """The client of this provider."""
        return self._by_provider[provider]

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential is there."""
        accounts, now = self._by_provider[provider].accounts, time.monotonic()
        if len(accounts) == 1:  # nearly always
            return accounts[0].credential.available(now)
        return any(account.credential.available(now) for account in accounts)

    def shape(self, step: TargetStep) -> Shape:
        """How requests for this use of a target are encoded; made at its first use."""
        shape = self._shapes.get(step)
        if shape is None:
            shape = self._shapes[step] = shape_of(step)
        return shape

    async def release(self) -> None:
        """Let go: a provider's client that nobody else holds is closed. Calling it again does nothing."""
        if self._released:
            return
        self._released = True
        for client in self._by_provider.values():
            client.holders -= 1
            if client.holders == 0:
                await client.close()


def make_client(
    provider: Provider, settings: Settings, environ: Mapping[str, str], transport: TransportFactory | None = None
) -> ProviderClient:
    """A client for one provider, outside of any graph. Raises :class:`PrepareError`."""
    return _make(provider, settings, _read_ca(settings), environ, transport)


def _make(
    provider: Provider,
    settings: Settings,
    ca_pem: bytes | None,
    environ: Mapping[str, str],
    transport: TransportFactory | None,
) -> ProviderClient:
    for spoken in (provider.dialect, *provider.also_speaks):
        if spoken not in dialects():
            raise PrepareError(f"provider {provider.name!r} names dialect {spoken!r}, which is not installed")
    options = TransportOptions(Timeouts().connect, settings.proxy, ca_pem)
    client = ProviderClient(provider, options, environ, transport or default_transport)
    # A plain client cannot fail and costs milliseconds, so it waits for its first request.
    if transport is not None or options.proxy or options.ca_pem:
        client.transport(options.connect)
    return client


def shape_of(step: TargetStep) -> Shape:
    """How requests for this use of a target are encoded."""
    quirks = step.target.provider.quirks
    return Shape(
        model=Raw(json.encode(step.target.model)),
        name=step.target.model,
        set=tuple((name, Raw(value)) for name, value in step.params.set),
        default=tuple((name, Raw(value)) for name, value in step.params.default),
        rename=quirks.rename,
        drop=quirks.drop,
        always=tuple((name, Raw(value)) for name, value in quirks.set),
        stream_usage=quirks.stream_usage,
        max_output=step.target.max_output,
        paths=quirks.paths,
        roles=quirks.roles,
    )


def _client_key(provider: Provider, settings: Settings, ca_pem: bytes | None) -> tuple[Any, ...]:
    auth = provider.auth
    refs = [
        ref and (ref.kind, ref.name, ref.command)
        for ref in (auth.secret, auth.access_key, auth.session_token, *auth.others)
    ]
    names = (auth.region, auth.service, auth.tenant, auth.client_id, auth.audience)
    credential = (auth.scheme, auth.header, *refs, *names)
    return (
        provider.base_url,
        provider.dialect,
        provider.also_speaks,
        provider.transport,
        provider.command,
        provider.queue_file,
        provider.headers,
        credential,
        settings.proxy,
        ca_pem,
    )


def _require_jwt(settings: Settings) -> None:
    """A configuration whose clients bring signed tokens must not find out at the first of them."""
    if settings.issuers:
        try:
            import cryptography  # noqa: F401
            import jwt  # noqa: F401
        except ImportError:
            message = "settings: clients.tokens needs the extra jwt: pip install 'interlock[jwt]'"
            raise PrepareError(message) from None


def _read_ca(settings: Settings) -> bytes | None:
    if settings.ca_file is None:
        return None
    try:
        return Path(settings.ca_file).read_bytes()
    except OSError as problem:
        raise PrepareError(f"upstream.ca_file {settings.ca_file!r} cannot be read: {problem.strerror}") from problem
