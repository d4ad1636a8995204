"""How much may be asked: of a provider by us, and of us by callers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypeAliasType

from .common import Count, Model, PositiveDuration, by_key


class RequestRate(Model):
    """So many requests in a window."""

    requests: Count = Field(description="Requests allowed in the window.")
    per: PositiveDuration = Field(description="Length of the window.")


class TokenRate(Model):
    """So many tokens, input and output together, in a window."""

    tokens: Count = Field(description="Tokens (input and output) allowed in the window.")
    per: PositiveDuration = Field(description="Length of the window.")


class Concurrency(Model):
    """So many requests at a time."""

    concurrency: Count = Field(description="Requests allowed to be under way at the same time.")


Rate = TypeAliasType(
    "Rate",
    Annotated[
        Annotated[RequestRate, Tag("<requests>")]
        | Annotated[TokenRate, Tag("<tokens>")]
        | Annotated[Concurrency, Tag("<concurrency>")],
        Discriminator(by_key("requests", "tokens", "concurrency")),
    ],
)
