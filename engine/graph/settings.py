"""The one ``settings`` document, as a frozen node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .nodes import SecretRef


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose signed tokens are accepted from clients, and what they may do with them."""

    name: str
    issuer: str
    audience: str
    keys_url: str | None = None
    keys_file: str | None = None
    algorithms: tuple[str, ...] = ()
    user: str = "sub"
    """The claim that names the caller."""
    metadata: tuple[tuple[str, str], ...] = ()
    """(metadata name, claim), sorted."""
    scopes: frozenset[str] = frozenset()
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Otlp:
    """A collector of OpenTelemetry; ``interval`` is seconds, ``sample`` a share, ``pass_to`` names of providers."""

    endpoint: str
    headers: tuple[tuple[str, SecretRef], ...] = ()
    """(header, where its value is), sorted."""
    traces: bool = True
    metrics: bool = True
    interval: float = 30.0
    sample: float = 1.0
    pass_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRecords:
    """A file of routing decisions; ``sample`` is a share, ``max_size`` bytes, ``keep`` how many older files stay."""

    file: str
    sample: float = 1.0
    max_size: int = 100 * 1024 * 1024
    keep: int = 5


@dataclass(frozen=True, slots=True)
class StateStore:
    """Where live facts are kept. ``url`` is an address without a password, ``secret`` the place of one that has it."""

    store: Literal["memory", "redis"] = "memory"
    url: str = "redis://localhost:6379/0"
    secret: SecretRef | None = None
    ca_file: str | None = None
    prefix: str = "interlock"
    timeout: float = 0.05
    """Seconds that an answer of the store may take."""
    when_away: Literal["local", "admit", "reject"] = "local"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the endpoint of readiness says, and when. Seconds."""

    notice: float = 0.0
    """From SIGTERM until new connections are refused."""
    outage: Literal["ready", "not_ready"] = "ready"
    after: float = 30.0
    """How long every provider has failed its checks before ``outage`` counts."""
    until: float = 10.0
    """How long one of them has been back before it counts no more."""


@dataclass(frozen=True, slots=True)
class Gates:
    """What a change of this configuration may not do, as ``interlock plan`` finds it. Shares (0..1); ``None``: any."""

    max_cost_increase: float | None = None
    max_seconds_increase: float | None = None
    max_moved_users: float | None = None
    no_new: frozenset[str] = frozenset()
    """Labels of which no request may reach a value that it could not reach before."""
    no_lost: frozenset[str] = frozenset()
    """``models`` and ``capabilities`` that must not be lost."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The one ``settings`` document, with its defaults filled in. Sizes are bytes."""

    host: str = "127.0.0.1"
    port: int = 8080
    max_body: int = 20 * 1024 * 1024
    max_depth: int = 100
    drain: float = 30.0
    reload_debounce: float = 0.1
    reload_poll: float = 0.5
    proxy: str | None = None
    ca_file: str | None = None
    access_log: bool = True
    issuers: tuple[Issuer, ...] = ()
    in_flight: int | None = None
    """Model requests under way beyond which others are refused; ``None`` is what the process has file handles for."""
    queue_length: int = 1000
    """Requests that may wait for one provider's limits, and for how many seconds at most."""
    queue_wait: float = 60.0
    otlp: Otlp | None = None
    decisions: DecisionRecords | None = None
    edits: Literal["files", "branch"] = "files"
    """Where changes by API go: into the files (unless git owns them), or onto a branch of git."""
    state: StateStore = field(default_factory=StateStore)
    ledger_url: str | SecretRef | None = None
    """The ledger's database, or the secret that is its address; ``None``: whoever opens the engine decides."""
    ledger_keep: float = 30 * 86400.0
    """Seconds for which checks of providers are kept."""
    ledger_enabled: bool = True
    readiness: Readiness = Readiness()
    gates: Gates = Gates()
