"""``kind: key`` and ``kind: settings``: who may call, and how the server itself behaves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from .common import (
    ENV_PATTERN,
    SHA256_PATTERN,
    SIZE_PATTERN,
    Date,
    Duration,
    Glob,
    HeaderName,
    HeaderValue,
    Model,
    Name,
    Opt,
    Percent,
    PositiveDuration,
    Secret,
    Text,
    Url,
    Version,
)


class KeyDoc(Model):
    """A client's key: the hash of its secret, what it may do, and what is known of its holder."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["key"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name, as the attribute `key` and the logs show it.", examples=["team-a"])
    sha256: Annotated[str, Field(pattern=SHA256_PATTERN, max_length=64)] = Field(
        description='SHA-256 of the secret, 64 lower-case hexadecimal digits: `printf %s "$SECRET" | sha256sum`.'
    )
    scopes: Annotated[list[Literal["use", "read", "admin"]], Field(min_length=1)] = Field(
        default=["use"], description="What it may do: send requests, read status and graph, change the configuration."
    )
    routes: Opt[Annotated[list[Glob], Field(min_length=1)]] = Field(
        default=None, description="Names or globs of the routes it may use; by default all."
    )
    metadata: dict[Name, HeaderValue] = Field(
        default={},
        description="Metadata of every request made with it; wins over what the client sends.",
        examples=[{"team": "search"}],
    )
    expires: Opt[Date] = Field(default=None, description="The day (UTC) from which it is refused.")


class Listen(Model):
    """Where the server listens."""

    host: Opt[Text] = Field(
        default=None, description="Address to listen on; 127.0.0.1 by default. Others need a key document."
    )
    port: Opt[Annotated[int, Field(ge=0, le=65535)]] = Field(
        default=None, description="Port; 8080 by default, 0 takes a free one."
    )


def _size(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<bytes>"


Size = Annotated[
    Annotated[str, Field(pattern=SIZE_PATTERN, max_length=12, examples=["20MB", "512KB"]), Tag("<text>")]
    | Annotated[int, Field(ge=1, le=1_000_000_000_000), Tag("<bytes>")],
    Discriminator(_size),
]


class Queue(Model):
    """Requests that wait because the limits of the only providers that could serve them are used up."""

    length: Opt[Annotated[int, Field(ge=0, le=1_000_000)]] = Field(
        default=None, description="How many may wait for one provider; 1000 by default, 0 refuses at once."
    )
    wait: Opt[Duration] = Field(
        default=None, description="How long each may wait, its own deadline apart; 60s by default."
    )


class RequestLimits(Model):
    """Requests beyond these are refused at once."""

    body: Opt[Size] = Field(default=None, description="Largest body, as `20MB`, `512KB` or bytes; 20MB by default.")
    depth: Opt[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=None, description="Deepest nesting of JSON; 100 by default."
    )
    in_flight: Opt[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default=None,
        description="Model requests under way in one process beyond which others are refused with 503 and Retry-After; "
        "by default as many as it has file handles for (two each, of what the system allows), at most 10,000.",
    )
    queue: Queue = Field(default=Queue(), description="Requests that wait for a provider's limits.")


class Reload(Model):
    """How edits of the configuration are noticed."""

    debounce: Opt[Duration] = Field(default=None, description="Quiet time to wait for after an edit; 100ms by default.")
    poll: Opt[PositiveDuration] = Field(
        default=None, description="How often to look where the system does not tell; 500ms by default."
    )


class Upstream(Model):
    """How providers are reached."""

    proxy: Opt[Url] = Field(
        default=None, description="Proxy for requests to providers.", examples=["http://proxy.internal:3128"]
    )
    ca_file: Opt[Text] = Field(default=None, description="PEM file of certificates to trust besides the system's.")


class HeaderSecret(Model):
    """Where a header's value is found: exactly one of an environment variable or a file."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Opt[Annotated[str, Field(pattern=ENV_PATTERN, max_length=200)]] = Field(
        default=None, description="Name of an environment variable that holds the value.", examples=["OTLP_TOKEN"]
    )
    file: Opt[Text] = Field(default=None, description="Path of a file that holds the value.")

    def model_post_init(self, context: Any) -> None:
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError("header_secret", "exactly one of env and file is needed")


class Otlp(Model):
    """A collector of OpenTelemetry that traces and metrics are sent to, by OTLP over HTTP."""

    endpoint: Url = Field(
        description="Its address; `/v1/traces` and `/v1/metrics` are added.", examples=["http://localhost:4318"]
    )
    headers: dict[HeaderName, HeaderSecret] = Field(
        default={}, description="Headers sent with it, by where their values are.", examples=[{}]
    )
    traces: bool = Field(default=True, description="Whether spans of requests and attempts are sent.")
    metrics: bool = Field(default=True, description="Whether metrics are sent; `/metrics` shows the same.")
    interval: Opt[PositiveDuration] = Field(default=None, description="How often metrics are sent; 30s by default.")
    sample: Opt[Percent] = Field(
        default=None,
        description="Share of requests that are traced where the caller's `traceparent` does not say; 100% by default.",
    )
    pass_to: list[Glob] = Field(
        default=[], description="Names or globs of the providers that `traceparent` is passed on to; none by default."
    )


class DecisionRecords(Model):
    """A file that every routing decision is written to, with all that `interlock replay` needs to take it again."""

    file: Text = Field(
        description="Its path; one of several workers puts its name before the ending.",
        examples=["/var/log/interlock/decisions.jsonl"],
    )
    sample: Opt[Percent] = Field(default=None, description="Share of requests, chosen by their ids; 100% by default.")
    max_size: Opt[Size] = Field(
        default=None, description="Size from which on it is set aside and another one begun; 100MB by default."
    )
    keep: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=5, description="How many of those set aside are kept; `.1` is the latest."
    )


class Telemetry(Model):
    """What is told about requests; never their content."""

    access_log: Opt[bool] = Field(default=None, description="One JSON line a request; true by default.")
    otlp: Opt[Otlp] = Field(default=None, description="Where traces and metrics are sent; nowhere by default.")
    records: Opt[DecisionRecords] = Field(
        default=None, description="Where routing decisions are written, to be replayed; nowhere by default."
    )


def _address(value: Any) -> str:
    return "<url>" if isinstance(value, str) else "<secret>"


#: An address without a password in it, or the place where one with a password is kept.
STORE_URL_PATTERN = r"^[a-z][a-z0-9+]*://[^\x00-\x20\x7f@?#]*(\?[^\x00-\x20\x7f@#]*)?$"
StoreUrl = Annotated[
    Annotated[str, Field(pattern=STORE_URL_PATTERN, max_length=2000), Tag("<url>")]
    | Annotated[Secret, Tag("<secret>")],
    Discriminator(_address),
]


class StateDoc(Model):
    """Where live facts (breakers, limits, budgets) are kept."""

    store: Literal["memory", "redis"] = Field(
        default="memory",
        description="In this process, or in a Redis or Valkey that workers and replicas share. A change counts from "
        "the next start on.",
    )
    url: Opt[StoreUrl] = Field(
        default=None,
        description="Address of the store: `redis://HOST:PORT/DATABASE`, `rediss://` for TLS, `unix:///PATH`; one with "
        "a password in it goes in a secret. redis://localhost:6379/0 by default.",
        examples=["redis://localhost:6379/0"],
    )
    ca_file: Opt[Text] = Field(
        default=None, description="PEM file of certificates to trust instead of the system's, for `rediss://`."
    )
    prefix: Opt[Name] = Field(
        default=None,
        description="What its keys begin with; servers with the same prefix share everything. `interlock` by default.",
    )
    timeout: Opt[PositiveDuration] = Field(
        default=None,
        description="How long an answer of the store may take; 50ms by default. Past it the store counts as away.",
    )
    when_away: Literal["local", "admit", "reject"] = Field(
        default="local",
        description="What becomes of limits while the store is away: `local` counts in each process, which gets its "
        "equal share of a limit; `admit` counts nothing; `reject` refuses what would have to be counted.",
    )


def _database(value: Any) -> str:
    return "<url>" if isinstance(value, str) else "<secret>"


#: A file of SQLite, or a database of PostgreSQL, without a password in it.
_OPTION = r"(host|port|sslmode|sslrootcert|connect_timeout|application_name)=[^\x00-\x20\x7f@?#&]*"
LEDGER_URL_PATTERN = (
    r"^(sqlite:///[^\x00-\x20\x7f?#]+"
    r"|postgresql(\+psycopg)?://([^\x00-\x20\x7f:@/?#]+@)?[^\x00-\x20\x7f@?#]+"
    rf"(\?{_OPTION}(&{_OPTION})*)?)$"
)
LedgerUrl = Annotated[
    Annotated[str, Field(pattern=LEDGER_URL_PATTERN, max_length=2000), Tag("<url>")]
    | Annotated[Secret, Tag("<secret>")],
    Discriminator(_database),
]


class LedgerStore(Model):
    """Where is written what happened: checks of providers, changes by API, configurations that went live."""

    url: Opt[LedgerUrl] = Field(
        default=None,
        description="The database: a file of SQLite (`sqlite:///path`) or PostgreSQL (extra `postgres`); an address "
        "with a password in it goes in a secret. By default the server writes a file in the system's folder for "
        "state, and an engine in your program writes nothing.",
        examples=["sqlite:////var/lib/interlock/ledger.sqlite", "postgresql://db.internal/interlock"],
    )
    keep: PositiveDuration = Field(default="30d", description="How long checks of providers are kept.")
    enabled: bool = Field(default=True, description="Whether anything is written.")


class Readiness(Model):
    """What `/readyz` says, and when."""

    notice: Opt[Duration] = Field(
        default=None,
        description="How long `/readyz` says 503 after SIGTERM before new connections are refused; 0s by default.",
    )
    outage: Literal["ready", "not_ready"] = Field(
        default="ready",
        description="What it says while every provider that routes use fails its checks. `not_ready` needs `health` in "
        "each of them.",
    )
    after: Opt[Duration] = Field(
        default=None, description="With `not_ready`: how long that has to last first; 30s by default."
    )
    until: Opt[Duration] = Field(
        default=None, description="With `not_ready`: how long one has to be back before it says ready; 10s by default."
    )


class TokenKeys(Model):
    """Where an issuer's public keys are (a JSON Web Key Set, RFC 7517): exactly one of an address or a file."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    url: Opt[Url] = Field(
        default=None,
        description="Address of the key set.",
        examples=["https://login.example.com/.well-known/jwks.json"],
    )
    file: Opt[Text] = Field(default=None, description="Path of a file that holds the key set.")

    def model_post_init(self, context: Any) -> None:
        if (self.url is None) == (self.file is None):
            raise PydanticCustomError("token_keys", "exactly one of url and file is needed")


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class TokenIssuer(Model):
    """Whose signed tokens (JWT, OpenID Connect) clients may bring instead of a key, and what they may do with them."""

    name: Name = Field(
        description="Its name; a caller's attribute `key` is this, a colon and who it is.", examples=["sso"]
    )
    issuer: Text = Field(description="The claim `iss` of its tokens.", examples=["https://login.example.com/"])
    audience: Text = Field(description="The claim `aud` that tokens for this gateway have.", examples=["interlock"])
    keys: TokenKeys = Field(description="Where its public keys are.")
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = Field(
        default=["RS256", "ES256", "EdDSA"], description="Signature algorithms that are accepted."
    )
    user: Text = Field(default="sub", description="The claim that says who the caller is.")
    metadata: dict[Name, Text] = Field(
        default={}, description="Metadata taken from claims, trusted: `{team: department}`."
    )
    scopes: Annotated[list[Literal["use", "read", "admin"]], Field(min_length=1)] = Field(
        default=["use"], description="What its callers may do."
    )
    routes: Opt[Annotated[list[Glob], Field(min_length=1)]] = Field(
        default=None, description="Names or globs of the routes its callers may use; by default all."
    )


class Clients(Model):
    """How clients prove who they are, besides keys."""

    tokens: list[TokenIssuer] = Field(default=[], description="Issuers of signed tokens.")


class Management(Model):
    """What the management endpoints may do."""

    edits: Literal["files", "branch"] = Field(
        default="files",
        description="Where changes by API go: `files` writes them, and answers 409 with the patch where git owns the "
        "folder; `branch` then commits them to a new branch.",
    )


class PlanGates(Model):
    """What a change may not do; `interlock plan` exits 1 where it would."""

    max_cost_increase: Opt[Percent] = Field(
        default=None,
        description="By how much a request of 1,000 tokens and an answer of 500 may become dearer, for any kind of "
        "request, with every target healthy.",
        examples=["5%"],
    )
    max_seconds_increase: Opt[Percent] = Field(
        default=None, description="By how much the time that no request exceeds may grow."
    )
    max_moved_users: Opt[Percent] = Field(
        default=None, description="The share of a split's keys that may change their variant.", examples=["10%"]
    )
    no_new: list[Name] = Field(
        default=[],
        description="Labels, such as `region`: no kind of request may reach a target with a value that it could not "
        "reach before.",
    )
    no_lost: list[Literal["models", "capabilities"]] = Field(
        default=[], description="Names that clients may use, or what targets can do: nothing of it may be lost."
    )


class PlanDoc(Model):
    """How changes of this configuration are judged before they merge."""

    gates: PlanGates = Field(default=PlanGates(), description="What a change may not do.")


class SettingsDoc(Model):
    """How the server itself behaves; a configuration has at most one."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["settings"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name.", examples=["server"])
    listen: Listen = Field(default=Listen(), description="Where the server listens.")
    limits: RequestLimits = Field(default=RequestLimits(), description="Requests beyond these are refused.")
    drain: Opt[Duration] = Field(
        default=None, description="How long requests under way may take to end at shutdown; 30s by default."
    )
    clients: Clients = Field(default=Clients(), description="How clients prove who they are, besides keys.")
    management: Management = Field(default=Management(), description="What the management endpoints may do.")
    reload: Reload = Field(default=Reload(), description="How edits of the configuration are noticed.")
    upstream: Upstream = Field(default=Upstream(), description="How providers are reached.")
    telemetry: Telemetry = Field(default=Telemetry(), description="What is told about requests.")
    state: StateDoc = Field(default=StateDoc(), description="Where live facts are kept.")
    ledger: LedgerStore = Field(default=LedgerStore(), description="Where is written what happened.")
    readiness: Readiness = Field(default=Readiness(), description="What `/readyz` says, and when.")
    plan: PlanDoc = Field(default=PlanDoc(), description="How changes are judged before they merge.")
