"""What a graph needs to serve: a client for each provider, shared with the graph before where nothing changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Raw, json

from engine.dialects import Dialect, dialects
from engine.errors import PrepareError
from engine.exchange import Shape
from engine.graph import Graph, Provider, Settings, TargetStep, Timeouts
from engine.state import State

from .credentials import Credential
from .transport import Transport, TransportOptions
from .transport_http11 import Http11Transport

TransportFactory = Callable[[Provider, TransportOptions], Transport]


def default_transport(provider: Provider, options: TransportOptions) -> Transport:
    """Our own; through a proxy, httpx, which speaks with all kinds of them."""
    if options.proxy:
        from .transport_httpx import HttpxTransport  # takes long to import, and few need it

        return HttpxTransport(options)
    return Http11Transport(options)


class ProviderClient:
    """Connections to one provider, its credential and its dialect; counted by the :class:`Clients` that hold it."""

    __slots__ = ("_make", "_options", "_transports", "base", "credential", "dialect", "headers", "holders", "provider")

    def __init__(
        self,
        provider: Provider,
        dialect: Dialect,
        options: TransportOptions,
        environ: Mapping[str, str],
        make: TransportFactory,
    ) -> None:
        self.provider = provider
        self.dialect = dialect
        self.base = provider.base_url.rstrip("/")
        self.credential = Credential(provider.auth, environ)
        self.headers = tuple((name.lower(), value) for name, value in provider.headers)
        self.holders = 0
        self._options = options
        self._make = make
        # A client's connect timeout is fixed when it is made, while policies set it per route and target.
        self._transports: dict[float, Transport] = {}

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

    __slots__ = ("_clients", "in_flight")

    def __init__(self, state: State, clients: Clients) -> None:
        self.in_flight = state.in_flight
        self._clients = clients

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential is there."""
        return self._clients.credential(provider)


class Clients:
    """The clients of one graph. ``Clients.prepare`` makes them, :meth:`release` lets go of them, once."""

    __slots__ = ("_by_provider", "_keys", "_released", "_shapes", "_view")

    def __init__(self, by_provider: dict[str, ProviderClient], keys: dict[str, Any]) -> None:
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
        ca_pem = _read_ca(graph.settings)
        known = dialects()
        made: dict[str, ProviderClient] = {}
        keys: dict[str, Any] = {}
        for name, provider in graph.providers.items():
            key = _client_key(provider, graph.settings, ca_pem)
            keys[name] = key
            if previous is not None and previous._keys.get(name) == key:
                made[name] = previous._by_provider[name]
                continue
            if provider.dialect not in known:
                raise PrepareError(f"provider {name!r} names dialect {provider.dialect!r}, which is not installed")
            options = TransportOptions(Timeouts().connect, graph.settings.proxy, ca_pem)
            client = ProviderClient(provider, known[provider.dialect], options, environ, transport or default_transport)
            # A plain client cannot fail and costs milliseconds, so it waits for its first request.
            if transport is not None or options.proxy or options.ca_pem:
                client.transport(options.connect)
            made[name] = client
        return cls(made, keys)

    def view(self, state: State) -> LiveView:
        """The planner's view of these clients and the engine's one ``state``."""
        if self._view is None:
            self._view = LiveView(state, self)
        return self._view

    def of(self, provider: str) -> ProviderClient:
        """The client of this provider."""
        return self._by_provider[provider]

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential is there."""
        return self._by_provider[provider].credential.available(time.monotonic())

    def shape(self, step: TargetStep) -> Shape:
        """How requests for this use of a target are encoded; made at its first use."""
        shape = self._shapes.get(step)
        if shape is None:
            shape = self._shapes[step] = _shape(step)
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


def _shape(step: TargetStep) -> Shape:
    quirks = step.target.provider.quirks
    return Shape(
        model=Raw(json.encode(step.target.model)),
        set=tuple((name, Raw(value)) for name, value in step.params.set),
        default=tuple((name, Raw(value)) for name, value in step.params.default),
        rename=quirks.rename,
        drop=quirks.drop,
        always=tuple((name, Raw(value)) for name, value in quirks.set),
        stream_usage=quirks.stream_usage,
    )


def _client_key(provider: Provider, settings: Settings, ca_pem: bytes | None) -> tuple[Any, ...]:
    auth = provider.auth
    secret = (auth.secret.kind, auth.secret.name) if auth.secret else None
    credential = (auth.scheme, auth.header, secret)
    return (
        provider.base_url,
        provider.dialect,
        provider.transport,
        provider.headers,
        credential,
        settings.proxy,
        ca_pem,
    )


def _read_ca(settings: Settings) -> bytes | None:
    if settings.ca_file is None:
        return None
    try:
        return Path(settings.ca_file).read_bytes()
    except OSError as problem:
        raise PrepareError(f"upstream.ca_file {settings.ca_file!r} cannot be read: {problem.strerror}") from problem
