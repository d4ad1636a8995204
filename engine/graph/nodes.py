"""The frozen nodes of a routing graph: what a configuration *means*, with every reference resolved.

Nodes are immutable all the way down (slotted dataclasses, tuples, frozensets, ``MappingProxyType``), hashable by
identity, and shared between requests without locks. Durations are seconds, shares are 0..1, money is ``Decimal`` USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from engine.exchange import OutcomeClass

from .beside import Hedge, Mirror
from .conditions import Condition
from .limits import Rate

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    """The default of mappings; a factory, because Python 3.11 takes a read-only mapping for a mutable default."""
    return EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class SecretRef:
    """Where a secret is, never what it is: an environment variable's name, a file's path, or a command's words."""

    kind: Literal["env", "file", "command"]
    name: str
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Auth:
    """How requests to a provider are authenticated; ``header`` names the header of the ``header`` scheme.

    ``access_key``, ``session_token``, ``region`` and ``service`` belong to the scheme ``aws``, ``tenant`` and
    ``client_id`` to ``entra``; ``audience`` is the scope that tokens are asked for. ``others`` are further secrets of
    the same kind, each of an account of its own, that requests take in turn.
    """

    scheme: str
    secret: SecretRef | None = None
    header: str | None = None
    access_key: SecretRef | None = None
    session_token: SecretRef | None = None
    region: str | None = None
    service: str | None = None
    tenant: str | None = None
    client_id: str | None = None
    audience: str | None = None
    others: tuple[SecretRef, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Quirks:
    """A provider's declared differences from its dialect, applied to the top-level fields of a request's body."""

    rename: tuple[tuple[str, str], ...] = ()
    drop: frozenset[str] = frozenset()
    set: tuple[tuple[str, bytes], ...] = ()
    """Fields always sent, as (name, JSON text)."""
    stream_usage: bool = True
    """Whether the provider understands ``stream_options: {include_usage: true}``."""
    paths: Mapping[str, str] = field(default_factory=_empty)
    """Templates with ``{model}`` by kind of request, instead of the dialect's paths."""
    roles: Mapping[str, str] = field(default_factory=_empty)
    """Roles of messages to send under another name."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How a provider is asked of the gateway's own accord whether it works. Seconds."""

    kind: Literal["models", "chat", "embeddings"] = "models"
    every: float = 30.0
    timeout: float = 10.0
    model: str | None = None
    """The name of a target of the provider; ``None``: the cheapest of its kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """An account at a service."""

    name: str
    category: str
    dialect: str
    base_url: str
    transport: str
    auth: Auth
    labels: Mapping[str, Any] = field(default_factory=_empty)
    headers: tuple[tuple[str, str], ...] = ()
    quirks: Quirks = Quirks()
    limits: tuple[Rate, ...] = ()
    also_speaks: tuple[str, ...] = ()
    """Further dialects it answers in, at the same address."""
    command: tuple[str, ...] = ()
    """Program and arguments of the transport ``process``."""
    queue_file: str | None = None
    """Where requests wait for the transport ``queue``."""
    health: Probe | None = None
    """How it is asked whether it works; ``None``: it is not."""
    accounts: tuple[str, ...] = field(init=False)
    """What its limits are counted under, for each of its secrets: a name that says which, and is no secret."""
    limited: bool = field(init=False)
    """Whether its limits, or its several secrets, have a part in who may be asked when."""

    def __post_init__(self) -> None:
        head, auth = f"provider/{self.name}", self.auth
        names = [ref and ref.name for ref in (auth.secret, *auth.others)] if auth.others else []
        several = tuple(f"{head}#{name if names.count(name) == 1 else at}" for at, name in enumerate(names, 1))
        object.__setattr__(self, "accounts", several or (head,))
        object.__setattr__(self, "limited", bool(self.limits or several))


@dataclass(frozen=True, slots=True, eq=False)
class Price:
    """USD per million tokens (``request`` and ``image``: USD each); ``None`` is unknown, never zero."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    image: Decimal | None = None
    request: Decimal | None = None
    tiers: tuple[tuple[int, "Price"], ...] = ()
    """(context size above which it applies, price), ascending."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One model at one provider. ``id`` is ``provider/model`` as written in YAML; ``model`` the upstream's name."""

    id: str
    provider: Provider
    name: str
    model: str
    context_window: int | None = None
    max_output: int | None = None
    supports: frozenset[str] = frozenset()
    price: Price | None = None
    labels: Mapping[str, Any] = field(default_factory=_empty)
    """The provider's labels with the model's own merged over them."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Retries of the same target, and the hard cap on attempts of a whole request."""

    max_attempts: int = 5
    per_target: int = 2
    """Attempts (first try included) of one target."""
    go_back: bool = True
    """Whether a target may be tried beyond ``per_target``, one more time after all others have failed too."""
    initial: float = 0.2
    max: float = 5.0
    budget: float = 0.2
    """Share of the route's recent requests that may be retries of the same target; failovers are not bounded by it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``first_token`` and ``idle`` bound streams, ``attempt`` one unstreamed try, ``total`` the request."""

    connect: float = 2.0
    first_token: float = 20.0
    idle: float = 30.0
    attempt: float = 90.0
    total: float = 180.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a failing target is left alone. Seconds and shares (0..1).

    It opens when, of at least ``min_requests`` attempts in ``window``, a share of ``error_rate`` failed or of
    ``slow_rate`` took longer than ``slow_longer_than``, or when ``consecutive`` attempts in a row failed.
    """

    window: float = 30.0
    min_requests: int = 20
    error_rate: float = 0.5
    consecutive: int = 5
    slow_longer_than: float | None = None
    """To the first output of a stream, or to the whole of an answer that is not streamed; ``None``: nothing is slow."""
    slow_rate: float = 0.5
    open_for: float = 10.0
    """How long it stays open at first; twice as long each time it opens again without having recovered."""
    max_open_for: float = 300.0
    probes: int = 1
    """Attempts at a time that find out whether an open one has recovered."""
    slow_start: float = 5.0
    """After it closed, how long a balance takes to give it its whole share again."""
    max_ejected: float = 1.0
    """Share of the members of a balance that may be left out at a time because their breakers are open."""
    when_all_open: Literal["least_bad", "reject"] = "least_bad"
    """Whether it is tried, at a bounded rate, although it is open, where nobody else is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Params:
    """Request fields a step or policy overrides: ``set`` always wins, ``default`` only where the client is silent."""

    set: tuple[tuple[str, bytes], ...] = ()
    default: tuple[tuple[str, bytes], ...] = ()
    """(name, JSON text), sorted by name."""


@dataclass(frozen=True, slots=True, eq=False)
class TargetStep:
    """A leaf: one target as it is used here, with the policy that applies to exactly this use."""

    target: Target
    params: Params = Params()
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    unsupported: Literal["drop", "error"] = "drop"
    path: str = ""
    """Where in the route's tree, for people: ``fallback[0].split(haiku-trial).control``."""
    breaker: Breaker = Breaker()
    circuit: str = ""
    """The stable id of its circuit: the target's, and a digest of the breaker's rules and of where the target is."""


@dataclass(frozen=True, slots=True, eq=False)
class Fallback:
    """Try the steps in order, moving on after the outcome classes in ``on``."""

    steps: tuple["Step", ...]
    on: frozenset[OutcomeClass]
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One branch of a split."""

    name: str
    weight: Decimal
    step: "Step"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A weighted choice that is sticky by ``key`` (an attribute's name; ``None`` is the request's id)."""

    name: str
    key: str | None
    variants: tuple[Variant, ...]
    pins: Mapping[str, str] = field(default_factory=_empty)
    """Key value -> variant name."""
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """Spread over equals: ``by`` says how they are ordered (``hash`` by ``key``); all are tried."""

    by: str
    members: tuple[tuple[Decimal, "Step"], ...]
    key: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Switch:
    """The first case whose condition holds; ``default`` may be absent (then nothing here serves the request)."""

    cases: tuple[tuple[Condition, "Step"], ...]
    default: "Step | None" = None
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Reject:
    """Refuse the request on purpose, with this HTTP status and message."""

    status: int
    message: str
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RouteStep:
    """Another route's tree, used in place. ``step`` is that tree, lowered again for this route's policies."""

    route: str
    step: "Step"
    path: str = ""


Step = TargetStep | Fallback | Split | Balance | Switch | Hedge | Mirror | Reject | RouteStep


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """What a client names in ``model``: patterns, an optional condition, and the root of a step tree."""

    name: str
    models: tuple[str, ...]
    when: Condition | None
    priority: int
    step: Step
    retry: Retry = Retry()
    """Of these, ``max_attempts`` and ``budget`` bound the whole request; ``timeouts.total`` likewise."""
    timeouts: Timeouts = Timeouts()
    reads: frozenset[str] = frozenset()
    """Attributes that any condition, split key or hash key below reads (``metadata.x``, ``input_tokens``, ...)."""
    targets: tuple[Target, ...] = ()
    """Every target below, in tree order, each once."""
    metered: frozenset[str] = frozenset()
    """Ids of the targets in balances by ``usage``: what their replies say of rate limits is read."""
    circuits: tuple[str, ...] = ()
    """The ids of the circuits of every use of a target below, each once."""
    digest: str = ""
    """Content hash of everything that decides this route's behaviour."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A client's credential, by the SHA-256 of its secret."""

    name: str
    sha256: str
    scopes: frozenset[str]
    routes: tuple[str, ...] = ()
    """Names or globs of the routes it may use; empty is all."""
    metadata: Mapping[str, str] = field(default_factory=_empty)
    expires: float | None = None
    """Unix time from which it is refused."""
