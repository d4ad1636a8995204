"""``kind: budget`` and ``kind: limit``: how much may be spent, and how much may be asked, in a window of time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from engine.units import DURATION_PATTERN

from .common import POSITIVE_DURATION_PATTERN, Count, Model, Name, Opt, Percent, Usd, Version, by_key
from .condition import EachAttribute, When
from .rates import Rate

_CALENDAR = ("hour", "day", "week", "month")
_WORDS = "|".join(_CALENDAR)
PERIOD_PATTERN = f"^({_WORDS}|{POSITIVE_DURATION_PATTERN[1:-1]})$"


def _period(text: str) -> str:
    if text not in _CALENDAR and not any(c in text for c in "123456789"):
        raise PydanticCustomError("duration", "a duration above zero is needed")
    return text


Period = Annotated[
    str,
    Field(pattern=f"^({_WORDS}|{DURATION_PATTERN[1:-1]})$", max_length=32),
    AfterValidator(_period),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": PERIOD_PATTERN,
            "maxLength": 32,
            "examples": ["hour", "day", "week", "month", "24h"],
        }
    ),
]
ZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+/-]*$"
Zone = Annotated[str, Field(pattern=ZONE_PATTERN, max_length=64, examples=["UTC", "Europe/Berlin"])]


class UsdLimit(Model):
    """An amount of money in a window."""

    usd: Usd = Field(description="US dollars.", examples=[500])
    per: Period = Field(description="The window: `hour`, `day`, `week` or `month` of the calendar, or a duration.")
    zone: Zone = Field(default="UTC", description="Time zone of calendar windows.")


class TokenLimit(Model):
    """A number of tokens in a window."""

    tokens: Count = Field(description="Tokens, input and output together.", examples=[2_000_000])
    per: Period = Field(description="The window: `hour`, `day`, `week` or `month` of the calendar, or a duration.")
    zone: Zone = Field(default="UTC", description="Time zone of calendar windows.")


BudgetLimit = TypeAliasType(
    "BudgetLimit",
    Annotated[
        Annotated[UsdLimit, Tag("<usd>")] | Annotated[TokenLimit, Tag("<tokens>")],
        Discriminator(by_key("usd", "tokens")),
    ],
)


class Downgrade(Model):
    """Serve by a cheaper route instead."""

    downgrade: Name = Field(description="Name of the route that serves instead.", examples=["cheap-chat"])


def _action(value: Any) -> str:
    return "<word>" if isinstance(value, str) else "<downgrade>"


class Threshold(Model):
    """What happens when so much of the budget is used."""

    used: Percent = Field(description="Share of the budget.", examples=["80%"])
    do: Annotated[
        Annotated[Literal["warn", "reject"], Tag("<word>")] | Annotated[Downgrade, Tag("<downgrade>")],
        Discriminator(_action),
    ] = Field(description="`warn`, `reject`, or `{downgrade: route}`.")


class BudgetDoc(Model):
    """Money or tokens that may be used in a window of time."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["budget"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name.", examples=["team-monthly"])
    each: Opt[EachAttribute] = Field(
        default=None, description="One budget for each distinct value of this attribute; by default one for all."
    )
    when: Opt[When] = Field(default=None, description="Which requests count; by default all.")
    limit: BudgetLimit = Field(description="How much: `{usd, per, zone}` or `{tokens, per, zone}`.")
    at: Annotated[list[Threshold], Field(min_length=1)] = Field(
        default=[Threshold(used="100%", do="reject")],
        description="What happens at which share; by default requests are rejected at 100%.",
    )


class LimitDoc(Model):
    """Requests, tokens or concurrency that callers may use."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["limit"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name.", examples=["per-key"])
    each: Opt[EachAttribute] = Field(
        default=None, description="One limit for each distinct value of this attribute; by default one for all."
    )
    when: Opt[When] = Field(default=None, description="Which requests count; by default all.")
    limits: Annotated[list[Rate], Field(min_length=1)] = Field(
        description="How much: `{requests, per}`, `{tokens, per}` or `{concurrency}`.",
        examples=[[{"requests": 60, "per": "1m"}]],
    )
