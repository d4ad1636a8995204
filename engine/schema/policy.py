"""``kind: policy``: rules that hold for many routes, providers or targets at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .common import Duration, Glob, Model, Name, OnlyTrue, Opt, Percent, PositiveDuration, Usd, Version, problem
from .route import Params

Globs = Annotated[list[Glob], Field(min_length=1)]
Attempts = Annotated[int, Field(ge=1, le=1_000_000)]


class AppliesTo(Model):
    """What a policy is for. The nearest wins, field by field: target, then route, then provider, then all."""

    all: Opt[OnlyTrue] = Field(default=None, description="Everything; stands alone.")
    routes: Opt[Globs] = Field(default=None, description="Names or globs of routes.", examples=[["chat", "gpt-4o*"]])
    providers: Opt[Globs] = Field(default=None, description="Names or globs of providers.")
    targets: Opt[Globs] = Field(default=None, description="Names or globs of targets, `provider/model`.")

    @model_validator(mode="after")
    def _something(self) -> AppliesTo:
        named = [field for field in ("routes", "providers", "targets") if getattr(self, field) is not None]
        if self.all and named:
            raise problem(
                "all_stands_alone",
                "S208",
                f"all: true already includes {named[0]}",
                (named[0],),
                f"remove all, or remove {named[0]}",
                key=True,
            )
        if not self.all and not named:
            raise problem(
                "policy_applies", "S206", "nothing is named", (), "write all: true, or routes, providers or targets"
            )
        return self


class Backoff(Model):
    """The pause before a retry; it doubles each time and is drawn at random up to that length."""

    initial: Opt[Duration] = Field(default=None, description="Longest pause before the first retry; 200ms by default.")
    max: Opt[Duration] = Field(default=None, description="Longest pause of all; 5s by default.")


class RetryRules(Model):
    """How often and how fast to try again."""

    max_attempts: Opt[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=None,
        description="Most attempts of one request in all; by default 5, or as many as the route has targets in a row.",
    )
    per_target: Opt[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=None,
        description="Most attempts of one target, the first included; by default 2, and more after all others have "
        "failed too, up to `max_attempts`.",
    )
    backoff: Backoff = Field(default=Backoff(), description="The pause before a retry of the same target.")
    budget: Opt[Percent] = Field(
        default=None,
        description="Most retries of the same target, as a share of the route's recent requests; 20% by default.",
    )


class TimeoutRules(Model):
    """How long to wait."""

    connect: Opt[PositiveDuration] = Field(default=None, description="To connect, TLS included; 2s by default.")
    first_token: Opt[PositiveDuration] = Field(
        default=None, description="To the first output event of a stream; 20s by default."
    )
    idle: Opt[PositiveDuration] = Field(default=None, description="Between two bytes of a stream; 30s by default.")
    attempt: Opt[PositiveDuration] = Field(default=None, description="One try that is not streamed; 90s by default.")
    total: Opt[PositiveDuration] = Field(
        default=None, description="The whole request, all attempts included; 180s by default."
    )


class SlowRules(Model):
    """When attempts that succeed count against a target because they take long."""

    longer_than: Opt[PositiveDuration] = Field(
        default=None,
        description="To the first output of a stream, or to the whole of another answer; by default nothing is slow.",
    )
    rate: Opt[Percent] = Field(
        default=None, description="Share of slow attempts in the window that opens it; 50% by default."
    )


class BreakerRules(Model):
    """When a failing target is left alone for a while."""

    window: Opt[PositiveDuration] = Field(
        default=None, description="How far back failures are counted; 30s by default."
    )
    min_requests: Opt[Attempts] = Field(
        default=None, description="Fewer attempts than this in the window open it by no share; 20 by default."
    )
    error_rate: Opt[Percent] = Field(
        default=None, description="Share of failures in the window that opens it; 50% by default."
    )
    consecutive: Opt[Attempts] = Field(
        default=None,
        description="Failures in a row that open it, unless so many are usual for the target; 5 by default.",
    )
    slow: SlowRules = Field(default=SlowRules(), description="When attempts that succeed count against it as slow.")
    open_for: Opt[PositiveDuration] = Field(
        default=None, description="How long it stays open at first, and twice as long each time; 10s by default."
    )
    max_open_for: Opt[PositiveDuration] = Field(
        default=None, description="How long at most, when it opens again and again; 5m by default."
    )
    probes: Opt[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=None, description="Attempts at a time that may find out whether it has recovered; 1 by default."
    )
    slow_start: Opt[Duration] = Field(
        default=None,
        description="After it closed, how long a balance takes to give it its whole share again; 5s by default.",
    )
    max_ejected: Opt[Percent] = Field(
        default=None,
        description="Share of a balance's members that may be left out at a time; 100% by default.",
    )
    when_all_open: Opt[Literal["least_bad", "reject"]] = Field(
        default=None,
        description="When every target is open: `least_bad` (the default) tries the one that recovers first, now and"
        " then; `reject` refuses.",
    )


class CostRules(Model):
    """What one request may cost."""

    max_usd_per_request: Opt[Usd] = Field(default=None, description="Most a request may cost, in USD.", examples=[0.1])
    estimate: Opt[Literal["worst", "expected"]] = Field(
        default=None, description="Whether the worst case or the expected case must fit."
    )
    unpriced: Opt[Literal["reject", "allow"]] = Field(
        default=None, description="What to do with targets whose price is unknown."
    )


class ParamRules(Params):
    """Fields of the request's body that are overridden, and what to do with those a target cannot take."""

    unsupported: Opt[Literal["drop", "error"]] = Field(
        default=None,
        description="Parameters a target cannot take: left out and named in a header, or an error; drop by default.",
    )


class PolicyDoc(Model):
    """Rules for retries, timeouts, breakers, cost and parameters, and what they apply to."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["policy"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name.", examples=["everywhere"])
    applies_to: AppliesTo = Field(description="What it is for.", examples=[{"all": True}])
    retry: Opt[RetryRules] = Field(default=None, description="How often and how fast to try again.")
    timeouts: Opt[TimeoutRules] = Field(default=None, description="How long to wait.")
    breaker: Opt[BreakerRules] = Field(default=None, description="When a failing target is left alone for a while.")
    cost: Opt[CostRules] = Field(default=None, description="What one request may cost.")
    params: Opt[ParamRules] = Field(default=None, description="Fields of the request's body to override.")

    @model_validator(mode="after")
    def _says_something(self) -> PolicyDoc:
        if all(getattr(self, field) is None for field in ("retry", "timeouts", "breaker", "cost", "params")):
            raise problem(
                "policy_sets", "S206", "the policy sets nothing", (), "add retry, timeouts, breaker, cost or params"
            )
        return self
