"""The small notations that every kind of document shares: names, patterns, durations, shares, sizes, money, secrets.

Each notation is one annotated type, so that pydantic, the JSON Schema and the field tables cannot tell different
stories about it. Notations stay text in the models; the compiler turns them into numbers with ``engine.units``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, JsonValue, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.documents import NAME_LENGTH, NAME_PATTERN
from engine.units import DURATION_PATTERN, PERCENT_PATTERN

MODEL_PATTERN = r"^[A-Za-z0-9@][A-Za-z0-9._:/@+-]*$"
TARGET_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9@][A-Za-z0-9._:/@+-]*$"
GLOB_PATTERN = r"^[^\x00-\x20\x7f]+$"
TITLE_PATTERN = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"
POSITIVE_DURATION_PATTERN = "^(?=.*[1-9])" + DURATION_PATTERN[1:]
SIZE_PATTERN = r"^[1-9][0-9]{0,8}(B|KB|MB|GB)$"
URL_PATTERN = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\x00-\x20\x7f?#\\]*)?$"
LINK_PATTERN = r"^https?://[^\x00-\x20\x7f]+$"
PATH_PATTERN = r"^/[^\x00-\x20\x7f#\\]*$"
DATE_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
ENV_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
HEADER_PATTERN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
VALUE_PATTERN = r"^[^\x00-\x1f\x7f]*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"

#: No number in a document needs to be larger; a bound keeps every one of them exact as a float.
LARGEST = 1_000_000_000_000

_SIZE = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


class Model(BaseModel):
    """Base of every declaration: frozen, strict, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True, hide_input_in_errors=True)


#: The rules over several fields that the JSON Schemas do not state, or not in full: name to what it demands.
RULES: Mapping[str, str] = MappingProxyType(
    {
        "all_stands_alone": "`applies_to` says `all: true` or names routes, providers or targets, not both.",
        "aws_key_pair": "`access_key` and `secret` of the auth scheme `aws` are given together or not at all.",
        "hash_by_key": "A balance has a `key` exactly when it is `by: hash`.",
        "no_credential_headers": "Fixed headers are none of those that carry credentials.",
        "one_failover_rule": "A fallback has `only_on` or `also_on`, not both.",
        "one_or_several": "A test has `request` and `expect`, or a `scenario` in which a step says what is expected.",
        "one_statement": "An invariant says one of `never`, `always`, or `finding` with `routes` and `waive`.",
        "policy_applies": "`applies_to` names something.",
        "policy_sets": "A policy sets at least one of retry, timeouts, breaker, cost and params.",
        "something_expected": "`expect` names at least one thing.",
        "split_by_key": "Pins and holdouts need the split to have a `key`.",
        "transport_address": "A provider reached by `http` or `poll` has a `base_url`.",
        "transport_command": "A provider has a `command` exactly when its transport is `process`.",
        "variant_exists": "Pins and holdouts name variants of their split.",
    }
)


def problem(
    rule: str, code: str, message: str, at: tuple[str | int, ...] = (), hint: str = "", key: bool = False
) -> Exception:
    """The exception by which a rule over several fields, one of ``RULES``, refuses a document.

    ``code`` is the diagnostic's, ``at`` the place below the model that raises it, ``key`` whether the key there is to
    blame and not its value. ``message`` must hold no secret.
    """
    context = {"rule": rule, "message": message, "code": code, "at": at, "hint": hint, "key": key}
    return PydanticCustomError("interlock", "{message}", context)


T = TypeVar("T")


class _Absent:
    """A key that may be left out, but not be written and left empty: ``retry:`` alone is a slip, not a wish."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


Opt = Annotated[T | None, _Absent()]


class _Number:
    """A decimal read from a YAML number, never from a string; ``0.1`` means exactly one tenth."""

    def __init__(self, *, positive: bool = False, maximum: int = 1_000_000) -> None:
        self.positive, self.maximum = positive, maximum

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        low: dict[str, Any] = {"gt": 0} if self.positive else {"ge": 0}
        number = core_schema.float_schema(strict=True, allow_inf_nan=False, le=self.maximum, **low)
        return core_schema.no_info_after_validator_function(_decimal, number)


def _decimal(value: float) -> Decimal:
    return Decimal(int(value)) if value == int(value) else Decimal(repr(value))


def _positive(text: str) -> str:
    if not any(c in text for c in "123456789"):
        raise PydanticCustomError("duration", "a duration above zero is needed")
    return text


def by_key(*keys: str) -> Callable[[Any], str | None]:
    """A discriminator that goes by which of ``keys`` is there; the tag of a key is the key in angle brackets.

    No key of a document that is followed by a tagged choice may hold ``<``, so a tag in an error's path is never
    mistaken for a key.
    """

    def choose(value: Any) -> str | None:
        if isinstance(value, dict):
            return next((f"<{key}>" for key in keys if key in value), None)
        return next((f"<{key}>" for key in keys if hasattr(value, key)), None)

    return choose


def _true(value: bool) -> bool:
    if not value:
        raise PydanticCustomError("true", "only true makes sense here")
    return value


def text(pattern: str, longest: int, *examples: str) -> Any:
    """The ``Field`` of a string that must match ``pattern`` in full."""
    return Field(pattern=pattern, max_length=longest, examples=list(examples) or None)


# Literal[1] would take true for 1, and Literal[True] would take 1 for true.
Version = Annotated[int, Field(ge=1, le=1), WithJsonSchema({"type": "integer", "const": 1})]
OnlyTrue = Annotated[bool, AfterValidator(_true), WithJsonSchema({"type": "boolean", "const": True})]
Name = Annotated[str, text(NAME_PATTERN, NAME_LENGTH)]
ModelName = Annotated[str, text(MODEL_PATTERN, 200)]
TargetName = Annotated[str, text(TARGET_PATTERN, 300)]
Glob = Annotated[str, text(GLOB_PATTERN, 300)]
Title = Annotated[str, text(TITLE_PATTERN, NAME_LENGTH)]
Text = Annotated[str, text(VALUE_PATTERN, 2000), Field(min_length=1)]
Argument = Annotated[str, text(VALUE_PATTERN, 2000)]
Duration = Annotated[str, text(DURATION_PATTERN, 32, "200ms", "5s", "1m30s")]
PositiveDuration = Annotated[
    str,
    text(DURATION_PATTERN, 32),
    AfterValidator(_positive),
    WithJsonSchema(
        {"type": "string", "pattern": POSITIVE_DURATION_PATTERN, "maxLength": 32, "examples": ["200ms", "5s", "1m30s"]}
    ),
]
Percent = Annotated[str, text(PERCENT_PATTERN, 16, "20%")]
Url = Annotated[str, text(URL_PATTERN, 2000)]
Link = Annotated[str, text(LINK_PATTERN, 2000)]
UrlPath = Annotated[str, text(PATH_PATTERN, 500)]
Date = Annotated[str, text(DATE_PATTERN, 10, "2026-11-30")]
HeaderName = Annotated[str, text(HEADER_PATTERN, 100)]
HeaderValue = Annotated[str, text(VALUE_PATTERN, 4000)]
Price = Annotated[Decimal, _Number()]
Usd = Annotated[Decimal, _Number(positive=True, maximum=1_000_000_000)]
Weight = Annotated[Decimal, _Number()]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Scalar = Annotated[str | int | float | bool, WithJsonSchema({"type": ["string", "number", "boolean"]})]
Labels = dict[Name, Scalar]
Json = Annotated[JsonValue, WithJsonSchema({})]


class Secret(Model):
    """Where a secret is found: exactly one of an environment variable, a file, or a command that prints it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Opt[Annotated[str, text(ENV_PATTERN, 200)]] = Field(
        default=None, description="Name of an environment variable that holds the secret.", examples=["SERVICE_API_KEY"]
    )
    file: Opt[Text] = Field(
        default=None,
        description="Path of a file that holds the secret; white space at its ends is ignored.",
        examples=["/run/secrets/service"],
    )

    command: Opt[Annotated[list[Text], Field(min_length=1)]] = Field(
        default=None,
        description="Program and arguments that print the secret: run at the first request and every five minutes "
        "from then on, not through a shell.",
        examples=[["vault", "read", "-field=key", "secret/service"]],
    )

    def model_post_init(self, context: Any) -> None:
        if sum(place is not None for place in (self.env, self.file, self.command)) != 1:
            raise PydanticCustomError("secret", "exactly one of env, file and command is needed")


def parse_size(size: str | int) -> int:
    """Bytes for ``20MB``, ``512KB`` or a plain number of bytes; a KB is 1024 bytes. Raises ``ValueError`` otherwise."""
    if isinstance(size, int):
        return size
    match = re.fullmatch(r"([0-9]+)(B|KB|MB|GB)", size)
    if match is None:
        raise ValueError(f"{size!r} is not a size; write for example 20MB, 512KB or a number of bytes")
    return int(match[1]) * _SIZE[match[2]]
