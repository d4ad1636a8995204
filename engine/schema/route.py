"""``kind: route``: what a client names in ``model``, and the tree of steps that answers it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from .common import (
    Duration,
    Glob,
    Json,
    Model,
    Name,
    Opt,
    Percent,
    PositiveDuration,
    TargetName,
    Text,
    Version,
    Weight,
    by_key,
    problem,
)
from .condition import KeyAttribute, When

#: The outcome classes one attempt can end in, ``served`` apart: what a failover rule may name.
FailureClass = Literal[
    "invalid_request", "context_exceeded", "content_refused", "unauthorized", "quota_exhausted", "model_gone",
    "rate_limited", "overloaded", "server_error", "connection", "timeout", "garbled",
]  # fmt: skip

#: Fields of a request that decide where and how it is sent, and are therefore not a parameter to override.
RESERVED_PARAMS = ("model", "stream")


def _overridable(values: dict[str, Any]) -> dict[str, Any]:
    if any(name in RESERVED_PARAMS for name in values):
        raise PydanticCustomError("reserved", "model and stream cannot be overridden")
    return values


ParamValues = Annotated[
    dict[Text, Json],
    AfterValidator(_overridable),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {
                "type": "string",
                "minLength": 1,
                "maxLength": 2000,
                "not": {"enum": list(RESERVED_PARAMS)},
            },
            "additionalProperties": {},
        }
    ),
]


class Params(Model):
    """Fields of the request's body that are overridden on the way to one target."""

    set: ParamValues = Field(default={}, description="Sent with these values whatever the client says.")
    default: ParamValues = Field(default={}, description="Sent with these values where the client says nothing.")


class StepTimeouts(Model):
    """Timeouts of one use of a target; they win over every policy's."""

    connect: Opt[PositiveDuration] = Field(default=None, description="To connect, TLS included.")
    first_token: Opt[PositiveDuration] = Field(default=None, description="To the first output event of a stream.")
    idle: Opt[PositiveDuration] = Field(default=None, description="Between two bytes of a stream.")
    attempt: Opt[PositiveDuration] = Field(default=None, description="One try that is not streamed.")


class TargetStep(Model):
    """One model at one provider, with overrides."""

    target: TargetName = Field(description="The target, written `provider/model`.")
    params: Params = Field(default=Params(), description="Fields of the request's body to override.")
    timeouts: StepTimeouts = Field(default=StepTimeouts(), description="Timeouts of this use of the target.")


class FallbackBody(Model):
    """Steps to try in order, and after which failures to go on."""

    steps: Annotated[list[Step], Field(min_length=1)] = Field(description="Tried in this order.")
    only_on: Opt[Annotated[list[FailureClass], Field(min_length=1)]] = Field(
        default=None, description="Go on after these outcome classes only, instead of the default ones."
    )
    also_on: list[FailureClass] = Field(
        default=[],
        description="Go on after these outcome classes besides the default ones.",
        examples=[["content_refused"]],
    )

    @model_validator(mode="after")
    def _one_rule(self) -> FallbackBody:
        if self.only_on is not None and self.also_on:
            raise problem(
                "one_failover_rule",
                "S208",
                "only_on and also_on exclude each other",
                ("also_on",),
                "list every class in only_on",
                key=True,
            )
        return self


def _fallback(value: Any) -> str:
    return "<steps>" if isinstance(value, list) else "<body>"


class FallbackStep(Model):
    """Try the next step when one fails."""

    fallback: Annotated[
        Annotated[Annotated[list[Step], Field(min_length=1)], Tag("<steps>")] | Annotated[FallbackBody, Tag("<body>")],
        Discriminator(_fallback),
    ] = Field(description="A list of steps, or `{steps, only_on, also_on}`.")

    @property
    def body(self) -> FallbackBody:
        """The long form, whichever was written."""
        return FallbackBody.model_construct(steps=self.fallback) if isinstance(self.fallback, list) else self.fallback


class Variant(Model):
    """One branch of a split."""

    weight: Weight = Field(
        description="Its share of the sum of all weights; 0 takes no new traffic.", examples=[90, 10]
    )
    step: Step = Field(description="What serves the requests of this branch.")


class Holdout(Model):
    """A share of the keys that stays out of an experiment."""

    percent: Percent = Field(description="Share of the keys.")
    variant: Name = Field(description="The variant they always get.")


class SplitBody(Model):
    """A weighted choice that sticks: the same key gets the same variant, on every machine and across reloads."""

    name: Name = Field(description="Name of the experiment; renaming it deals the cards anew.")
    key: Opt[KeyAttribute] = Field(
        default=None, description="Attribute the choice sticks to; by default each request is on its own."
    )
    variants: Annotated[dict[Name, Variant], Field(min_length=1)] = Field(description="The branches, by name.")
    pins: dict[Text, Name] = Field(
        default={}, description="Values of the key that always get this variant: `{u-17: haiku}`."
    )
    holdout: Opt[Holdout] = Field(default=None, description="A share of the keys that always gets one variant.")

    @model_validator(mode="after")
    def _names_exist(self) -> SplitBody:
        known = ", ".join(self.variants)
        for value, variant in self.pins.items():
            if variant not in self.variants:
                raise problem(
                    "variant_exists",
                    "S209",
                    f'the split "{self.name}" has no variant "{variant}"',
                    ("pins", value),
                    f"its variants are {known}",
                )
        if self.holdout is not None and self.holdout.variant not in self.variants:
            message = f'the split "{self.name}" has no variant "{self.holdout.variant}"'
            raise problem("variant_exists", "S209", message, ("holdout", "variant"), f"its variants are {known}")
        if self.key is None and (self.pins or self.holdout):
            which = "pins" if self.pins else "holdout"
            raise problem(
                "split_by_key",
                "S208",
                f"{which} needs a key to go by",
                (which,),
                "add key: user, or another attribute",
                key=True,
            )
        return self


class SplitStep(Model):
    """A sticky weighted choice between variants."""

    split: SplitBody = Field(description="`{name, key, variants, pins, holdout}`.")


class WeightedStep(Model):
    """A member of a balance with its weight."""

    weight: Weight = Field(default=Decimal(1), description="Its share of the sum of all weights.")
    step: Step = Field(description="The member.")


class BalanceBody(Model):
    """Spread requests over members that can stand for each other; all of them are tried before giving up."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"by": {"const": "hash"}}, "required": ["by"]},
            "then": {"required": ["key"]},
        }
    )

    by: Literal["weighted", "hash", "least_busy", "latency", "cheapest", "usage"] = Field(
        description="How the first member is chosen, and the order of the rest: by draw (`weighted`), the same for the "
        "same key (`hash`), fewest under way (`least_busy`), soonest done (`latency`), most left of the provider's "
        "limits (`usage`), least cost (`cheapest`)."
    )
    key: Opt[KeyAttribute] = Field(
        default=None, description="Attribute to hash, with `by: hash`; `prompt` is how the request begins."
    )
    steps: Annotated[list[Member], Field(min_length=1)] = Field(description="The members: steps, or `{weight, step}`.")

    @model_validator(mode="after")
    def _key_with_hash(self) -> BalanceBody:
        if self.by == "hash" and self.key is None:
            raise problem("hash_by_key", "S202", "by: hash needs a key to hash")
        if self.by != "hash" and self.key is not None:
            raise problem(
                "hash_by_key",
                "S208",
                "key goes with by: hash only",
                ("key",),
                "remove key, or balance by: hash",
                key=True,
            )
        return self


class BalanceStep(Model):
    """Spread over equals."""

    balance: BalanceBody = Field(description="`{by, key, steps}`.")


class Case(Model):
    """One branch of a switch."""

    when: When = Field(description="The condition.")
    step: Step = Field(description="What serves the requests that meet it.")


class SwitchBody(Model):
    """The first case whose condition holds."""

    cases: Annotated[list[Case], Field(min_length=1)] = Field(description="Looked at in this order.")
    default: Opt[Step] = Field(
        default=None, description="Where no case holds; without it nothing here serves such a request."
    )


class SwitchStep(Model):
    """Choose by condition."""

    switch: SwitchBody = Field(description="`{cases: [{when, step}], default}`.")


class MirrorBody(Model):
    """Send a copy of some requests elsewhere and compare the answers; the client never sees that reply."""

    to: TargetName = Field(description="The target that gets the copies.")
    percent: Percent = Field(description="Share of the requests that is copied.")
    tools: bool = Field(default=False, description="Whether requests with tools are copied too.")
    step: Step = Field(description="What serves the client.")


class MirrorStep(Model):
    """Copy traffic to another target."""

    mirror: MirrorBody = Field(description="`{to, percent, tools, step}`.")


class HedgeBody(Model):
    """Start the next step too when the one before has not answered in time; the first answer wins."""

    delay: Duration = Field(description="How long each step is given before the next one starts.")
    extra: Percent = Field(
        default="10%", description="Share of the requests that come here that may be sent to one more target so."
    )
    tools: bool = Field(default=False, description="Whether requests with tools are hedged too.")
    steps: Annotated[list[Step], Field(min_length=2)] = Field(description="Started in this order.")


class HedgeStep(Model):
    """Race a slow step against the next."""

    hedge: HedgeBody = Field(description="`{delay, extra, tools, steps}`.")


class RejectBody(Model):
    """Refuse the request on purpose."""

    status: Annotated[int, Field(ge=400, le=599)] = Field(default=403, description="HTTP status of the answer.")
    message: Text = Field(default="this request is refused by policy", description="What the client is told.")


class RejectStep(Model):
    """Refuse the request."""

    reject: RejectBody = Field(description="`{status, message}`.")


class RouteStep(Model):
    """Another route's tree, used in place."""

    route: Name = Field(description="Name of the route whose steps are used here.")


STEP_KEYS = ("target", "fallback", "split", "balance", "switch", "mirror", "hedge", "reject", "route")


_by_step = by_key(*STEP_KEYS)


def _step(value: Any) -> str | None:
    return "<name>" if isinstance(value, str) else _by_step(value)


def _member(value: Any) -> str | None:
    if isinstance(value, WeightedStep) or (isinstance(value, dict) and "step" in value):
        return "<member>"
    return "<step>"


Step = TypeAliasType(
    "Step",
    Annotated[
        Annotated[TargetName, Tag("<name>")]
        | Annotated[TargetStep, Tag("<target>")]
        | Annotated[FallbackStep, Tag("<fallback>")]
        | Annotated[SplitStep, Tag("<split>")]
        | Annotated[BalanceStep, Tag("<balance>")]
        | Annotated[SwitchStep, Tag("<switch>")]
        | Annotated[MirrorStep, Tag("<mirror>")]
        | Annotated[HedgeStep, Tag("<hedge>")]
        | Annotated[RejectStep, Tag("<reject>")]
        | Annotated[RouteStep, Tag("<route>")],
        Discriminator(_step),
    ],
)
Member = TypeAliasType(
    "Member",
    Annotated[Annotated[WeightedStep, Tag("<member>")] | Annotated[Step, Tag("<step>")], Discriminator(_member)],
)


def _models(value: Any) -> str:
    return "<many>" if isinstance(value, list) else "<one>"


class Match(Model):
    """Which requests the route is for; both parts must hold."""

    model: Opt[
        Annotated[
            Annotated[Glob, Tag("<one>")] | Annotated[Annotated[list[Glob], Field(min_length=1)], Tag("<many>")],
            Discriminator(_models),
        ]
    ] = Field(
        default=None,
        description="Exact names or globs of `model`; by default the route's own name.",
        examples=["chat", ["gpt-4o*"]],
    )
    when: Opt[When] = Field(default=None, description="A condition on the request.")

    @property
    def models(self) -> list[str]:
        """The patterns as a list, empty where none was written."""
        return [self.model] if isinstance(self.model, str) else list(self.model or [])


class RouteDoc(Model):
    """What a client names in `model`, and the tree of steps that answers it."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["route"] = Field(description="What this document declares.")
    name: Name = Field(
        description="Its name; the `model` it answers to where `match.model` is left out.", examples=["chat"]
    )
    match: Match = Field(
        default=Match(), description="Which requests it is for; by default those whose `model` is its name."
    )
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(
        default=0, description="The highest wins where several routes match."
    )
    step: Step = Field(description="The root of its tree of steps.")
