"""``kind: provider``: an account at a service, how to reach it, and the models it serves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from typing_extensions import TypeAliasType

from .common import (
    Argument,
    Count,
    Date,
    HeaderName,
    HeaderValue,
    Json,
    Labels,
    Link,
    Model,
    ModelName,
    Name,
    Opt,
    PositiveDuration,
    Price,
    Secret,
    Text,
    Url,
    UrlPath,
    Version,
    problem,
)
from .rates import Rate

Surface = Literal["chat", "completions", "embeddings", "rerank", "images", "audio", "moderations"]
Capability = Literal[
    "chat", "completions", "embeddings", "rerank", "images", "audio", "moderations",
    "stream", "tools", "vision", "json_schema", "logprobs", "reasoning",
]  # fmt: skip

#: Headers that carry credentials; a fixed header of one of these names would be a literal secret.
CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)


def _no_credentials(headers: dict[str, str]) -> dict[str, str]:
    for header in headers:
        if header.lower() in CREDENTIAL_HEADERS:
            message = f'the header "{header}" carries a secret and may not be written out'
            raise problem(
                "no_credential_headers",
                "S207",
                message,
                (header,),
                "use auth with a secret: {env: NAME} or {file: PATH}",
            )
    return headers


Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(_no_credentials)]


class AuthBase(Model):
    """How requests to the provider are authenticated."""

    @property
    def secret_refs(self) -> tuple[Secret, ...]:
        """The ``secret`` of schemes that have one, or all of ``secrets``."""
        one: Secret | None = getattr(self, "secret", None)
        several: list[Secret] | None = getattr(self, "secrets", None)
        return tuple(several or ()) if one is None else (one,)

    @property
    def header_name(self) -> str | None:
        """The header of the ``header`` scheme, else ``None``."""
        return getattr(self, "name", None)


class AuthNone(AuthBase):
    """No credential is sent."""

    scheme: Literal["none"] = Field(description="No credential is sent.")


class OneOrMore(AuthBase):
    """A secret, or several of which requests take one in turn."""

    model_config = ConfigDict(
        json_schema_extra={"if": {"not": {"required": ["secrets"]}}, "then": {"required": ["secret"]}}
    )

    secret: Opt[Secret] = Field(default=None, description="Where the secret is.")
    secrets: Opt[Annotated[list[Secret], Field(min_length=1, max_length=100)]] = Field(
        default=None,
        description="Instead of `secret`: where several secrets are, each of an account of its own. Requests take them "
        "in turn; each has the provider's limits to itself.",
        examples=[[{"env": "SERVICE_API_KEY"}, {"env": "SPARE_API_KEY"}]],
    )

    @model_validator(mode="after")
    def _one_or_more(self) -> OneOrMore:
        if self.secret is None and self.secrets is None:
            hint = "add `secret: {env: NAME}`, or `secrets:` with a list of such places"
            raise problem("secret_or_secrets", "S202", "a secret is needed", hint=hint)
        if self.secret is not None and self.secrets is not None:
            hint = "keep one of them; `secrets` takes a list"
            raise problem(
                "secret_or_secrets", "S208", "secret and secrets exclude each other", ("secrets",), hint, key=True
            )
        return self


class AuthBearer(OneOrMore):
    """`Authorization: Bearer` and the secret."""

    scheme: Literal["bearer"] = Field(description="The secret is sent as `Authorization: Bearer`.")


class AuthHeader(OneOrMore):
    """The secret in a header of its own."""

    scheme: Literal["header"] = Field(description="The secret is sent as the value of one header.")
    name: HeaderName = Field(
        description="Name of the header that carries the secret.", examples=["x-api-key", "api-key"]
    )


class AuthAws(AuthBase):
    """Requests are signed with AWS Signature Version 4."""

    scheme: Literal["aws"] = Field(description="Requests are signed with AWS Signature Version 4.")
    region: Opt[Name] = Field(
        default=None, description="Region to sign for; by default the one in `base_url`'s host, else the environment's."
    )
    service: Opt[Name] = Field(default=None, description="Service to sign for; by default told by `base_url`'s host.")
    access_key: Opt[Secret] = Field(
        default=None, description="The access key's id; by default the environment's credentials are used."
    )
    secret: Opt[Secret] = Field(default=None, description="The secret access key; goes with `access_key`.")
    session_token: Opt[Secret] = Field(default=None, description="The session token of temporary credentials.")

    @model_validator(mode="after")
    def _together(self) -> AuthAws:
        if (self.access_key is None) != (self.secret is None):
            missing = "secret" if self.secret is None else "access_key"
            raise problem(
                "aws_key_pair",
                "S208",
                f"access_key and secret go together, and {missing} is missing",
                hint=f"add {missing}, or remove both",
            )
        return self


class AuthGoogle(AuthBase):
    """OAuth tokens of a service account, or of the application's default credentials."""

    scheme: Literal["google"] = Field(
        description="OAuth tokens from application default credentials or a service account."
    )
    secret: Opt[Secret] = Field(
        default=None, description="A service account's JSON key; by default the application's default credentials."
    )
    audience: Opt[Text] = Field(
        default=None, description="Scope to ask tokens for; by default that of Google's cloud services."
    )


class AuthEntra(AuthBase):
    """Tokens from Microsoft Entra ID."""

    scheme: Literal["entra"] = Field(description="Tokens from Microsoft Entra ID.")
    tenant: Opt[Name] = Field(default=None, description="Directory (tenant) id; by default read from the environment.")
    client_id: Opt[Name] = Field(
        default=None, description="Application (client) id; by default the managed identity is used."
    )
    secret: Opt[Secret] = Field(
        default=None, description="The client's secret; by default the managed identity is used."
    )
    audience: Opt[Text] = Field(
        default=None, description="Scope to ask tokens for; by default that of Microsoft's AI services."
    )


class AuthCaller(AuthBase):
    """The caller's own key is passed on."""

    scheme: Literal["caller"] = Field(description="The caller's own key is passed on to the provider.")


def _scheme(value: Any) -> str | None:
    scheme = value.get("scheme") if isinstance(value, dict) else getattr(value, "scheme", None)
    return f"<{scheme}>" if isinstance(scheme, str) else None


Auth = TypeAliasType(
    "Auth",
    Annotated[
        Annotated[AuthNone, Tag("<none>")]
        | Annotated[AuthBearer, Tag("<bearer>")]
        | Annotated[AuthHeader, Tag("<header>")]
        | Annotated[AuthAws, Tag("<aws>")]
        | Annotated[AuthGoogle, Tag("<google>")]
        | Annotated[AuthEntra, Tag("<entra>")]
        | Annotated[AuthCaller, Tag("<caller>")],
        Discriminator(_scheme),
    ],
)


PathKind = Literal["chat", "stream", "completions", "embeddings", "rerank", "images", "audio", "moderations"]


class Quirks(Model):
    """How the service differs from its dialect; applied to the top-level fields of a request's body."""

    rename: dict[Text, Text] = Field(default={}, description="Fields to send under another name: `{from: to}`.")
    drop: list[Text] = Field(default=[], description="Fields that are not sent.")
    set: dict[Text, Json] = Field(default={}, description="Fields that are always sent, with their values.")
    stream_usage: bool = Field(
        default=True, description="Whether the service understands `stream_options: {include_usage: true}`."
    )
    paths: dict[PathKind, UrlPath] = Field(
        default={},
        description="Where requests go below `base_url`, instead of the dialect's own paths; `{model}` stands for the "
        "model's name. `stream` is for streamed chats.",
        examples=[{"chat": "/deployments/{model}/chat/completions?api-version=2024-10-21"}],
    )
    roles: dict[Literal["system", "developer"], Literal["system", "developer", "user"]] = Field(
        default={}, description="Roles of messages to send under another name: `{developer: system}`."
    )


class PriceTier(Model):
    """Prices above a size of context; what is left out here stays as in the base price."""

    above: Count = Field(description="Input tokens above which this tier applies.")
    input: Opt[Price] = Field(default=None, description="USD per million input tokens.")
    output: Opt[Price] = Field(default=None, description="USD per million output tokens.")
    cached_input: Opt[Price] = Field(default=None, description="USD per million input tokens read from the cache.")
    cache_write: Opt[Price] = Field(default=None, description="USD per million input tokens written to the cache.")
    reasoning: Opt[Price] = Field(
        default=None, description="USD per million reasoning tokens; by default they cost as output."
    )
    image: Opt[Price] = Field(default=None, description="USD per image.")
    request: Opt[Price] = Field(default=None, description="USD per request.")


class ModelPrice(Model):
    """What a model costs. A price left out is unknown, never zero."""

    input: Opt[Price] = Field(default=None, description="USD per million input tokens.", examples=[0.59])
    output: Opt[Price] = Field(default=None, description="USD per million output tokens.", examples=[0.79])
    cached_input: Opt[Price] = Field(default=None, description="USD per million input tokens read from the cache.")
    cache_write: Opt[Price] = Field(default=None, description="USD per million input tokens written to the cache.")
    reasoning: Opt[Price] = Field(
        default=None, description="USD per million reasoning tokens; by default they cost as output."
    )
    image: Opt[Price] = Field(default=None, description="USD per image.")
    request: Opt[Price] = Field(default=None, description="USD per request, on top of its tokens.")
    tiers: list[PriceTier] = Field(default=[], description="Prices that apply above a size of context.")
    source: Opt[Text] = Field(default=None, description="Where the prices were read: an address or a remark.")
    as_of: Opt[Date] = Field(default=None, description="The day they were read.")


class ModelEntry(Model):
    """One model of the provider; with the provider's name it makes the target `provider/model`."""

    model: Opt[Text] = Field(
        default=None, description="The upstream's own name for it; by default the key it stands under."
    )
    context_window: Opt[Count] = Field(
        default=None, description="Tokens of input and output together that it can take."
    )
    max_output: Opt[Count] = Field(default=None, description="Most tokens it can answer with.")
    supports: list[Capability] = Field(
        default=[], description="What it can do; absent means no. A model that names no surface is a chat model."
    )
    price: Opt[ModelPrice] = Field(default=None, description="What it costs, in USD.")
    labels: Labels = Field(default={}, description="Facts about this model, merged over the provider's labels.")


class PriceList(Model):
    """Which prices of the price list ``genai-prices`` are this provider's; ``interlock prices sync`` reads them."""

    provider: Name = Field(description="The provider's id in the price list `genai-prices`.")
    version: Opt[Name] = Field(default=None, description="The list's version that was read last; written by the sync.")
    as_of: Opt[Date] = Field(default=None, description="The day for which prices were read last; written by the sync.")


class HealthProbe(Model):
    """How the gateway asks the provider, of its own accord, whether it works; without it nobody is asked."""

    probe: Literal["models", "chat", "embeddings", "off"] = Field(
        default="models",
        description="What is sent: `models` asks for the list of models, which costs nothing; `chat` and `embeddings` "
        "send the smallest real request, which is paid for like any other; `off` sends nothing.",
    )
    every: PositiveDuration = Field(default="30s", description="How often, give or take a tenth.")
    timeout: PositiveDuration = Field(default="10s", description="How long an answer may take.")
    model: Opt[ModelName] = Field(
        default=None,
        description="The model that is asked, by its name here; by default the cheapest of its kind. With `models`: "
        "the one that has to be on the list.",
    )


class ProviderDoc(Model):
    """An account at a service: where it is, how to log in, what it serves."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"transport": {"enum": ["process", "queue"]}}, "required": ["transport"]},
                    "else": {"required": ["base_url"]},
                },
                {
                    "if": {"properties": {"transport": {"const": "process"}}, "required": ["transport"]},
                    "then": {"required": ["command"], "properties": {"command": {"minItems": 1}}},
                },
            ]
        }
    )

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["provider"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name: the part of a target before the first slash.", examples=["my-service"])
    category: Literal["cloud", "local", "gateway", "specialized"] = Field(
        default="cloud", description="What sort of service it is."
    )
    dialect: Name = Field(description="The wire protocol it speaks.", examples=["openai-chat"])
    also_speaks: list[Name] = Field(
        default=[],
        description="Further dialects it answers in at the same address: requests that clients send in one of these "
        "are passed on as they are.",
        examples=[["openai-responses"]],
    )
    base_url: Opt[Url] = Field(
        default=None,
        description="What the service's own documents call the base URL (with `/v1` where they do); the dialect adds "
        "the rest. Needed for the transports `http` and `poll`.",
        examples=["https://api.example.com/v1"],
    )
    transport: Literal["http", "process", "queue", "poll"] = Field(default="http", description="How requests reach it.")
    command: list[Argument] = Field(default=[], description="Program and arguments of the transport `process`.")
    queue_file: Opt[Text] = Field(
        default=None,
        description="File in which requests wait for the transport `queue`; by default one named after the provider, "
        "in the system's folder for state.",
    )
    auth: Auth = Field(
        default=AuthNone(scheme="none"), description="How requests are authenticated; by default not at all."
    )
    labels: Labels = Field(
        default={}, description="Facts about it that conditions and invariants may use.", examples=[{"region": "eu"}]
    )
    headers: Headers = Field(default={}, description="Headers sent with every request; never for secrets.")
    quirks: Quirks = Field(default=Quirks(), description="How the service differs from its dialect.")
    limits: list[Rate] = Field(default=[], description="What the service allows this account.")
    health: Opt[HealthProbe] = Field(
        default=None, description="Whether it is asked from time to time if it works; by default it is not."
    )
    models: dict[ModelName, ModelEntry] = Field(
        default={}, description="The models to be used, by the name used in targets."
    )
    tier: Opt[Literal["verified", "community"]] = Field(
        default=None, description="Whether the entry was checked against the living service."
    )
    docs: Opt[Link] = Field(default=None, description="Address of the service's API documents.")
    source: Opt[Text] = Field(
        default=None, description="Where the facts in this file were read: an address or a remark."
    )
    as_of: Opt[Date] = Field(default=None, description="The day they were read.")
    prices: Opt[PriceList] = Field(
        default=None,
        description="Where `interlock prices sync` takes the prices from; without it they are kept by hand.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> ProviderDoc:
        if self.transport in ("http", "poll") and self.base_url is None:
            raise problem("transport_address", "S202", f"the transport {self.transport} needs a base_url")
        if self.transport == "process" and not self.command:
            raise problem("transport_command", "S202", "the transport process needs a command")
        if self.transport != "process" and self.command:
            hint = "remove command, or set transport: process"
            raise problem(
                "transport_command", "S208", "command goes with transport: process only", ("command",), hint, key=True
            )
        return self
