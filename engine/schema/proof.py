"""``kind: invariant`` and ``kind: test``: what must hold for every request, and examples of what is expected."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .common import (
    LARGEST,
    Count,
    Date,
    Duration,
    Glob,
    HeaderName,
    HeaderValue,
    Json,
    Model,
    Name,
    Opt,
    Price,
    Scalar,
    TargetName,
    Text,
    Title,
    Version,
    problem,
)
from .condition import TargetWhen, When
from .route import FailureClass

BuiltIn = Literal["one_provider", "unreachable"]
OutcomeName = Literal[
    "served", "invalid_request", "context_exceeded", "content_refused", "unauthorized", "quota_exhausted", "model_gone",
    "rate_limited", "overloaded", "server_error", "connection", "timeout", "garbled", "deadline", "cancelled",
    "unroutable", "over_budget", "over_limit", "rejected",
]  # fmt: skip


class Waiver(Model):
    """What is known and put up with for a while."""

    until: Date = Field(description="The last day (UTC) on which it is put up with; after it the proof fails.")
    because: Text = Field(description="Why.")


class InvariantDoc(Model):
    """A statement about all requests and all failures; or what `interlock verify` finds by itself, put up with."""

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["invariant"] = Field(description="What this document declares.")
    name: Name = Field(description="Its name.", examples=["eu-stays-in-eu"])
    when: Opt[When] = Field(default=None, description="Which requests it is about; by default all.")
    never: Opt[TargetWhen] = Field(default=None, description="What no attempt of such a request may meet.")
    always: Opt[TargetWhen] = Field(default=None, description="What every attempt of such a request must meet.")
    because: Opt[Text] = Field(default=None, description="The reason, for whoever breaks it.")
    finding: Opt[BuiltIn] = Field(
        default=None, description="Instead of a statement: a finding that needs no invariant, for `waive` to excuse."
    )
    routes: Opt[Annotated[list[Glob], Field(min_length=1)]] = Field(
        default=None, description="Names or globs of the routes whose `finding` is excused.", examples=[["demo"]]
    )
    waive: Opt[Waiver] = Field(default=None, description="Put up with it for a while, if it does not hold.")

    @model_validator(mode="after")
    def _one_statement(self) -> InvariantDoc:
        if self.finding is not None:
            return self._excuse()
        if self.routes is not None:
            raise problem("one_statement", "S208", "routes says nothing without finding", ("routes",), "remove it")
        if self.never is None and self.always is None:
            raise problem(
                "one_statement", "S202", 'neither "never" nor "always" says what holds', (), "add never: or always:"
            )
        if self.never is not None and self.always is not None:
            raise problem(
                "one_statement",
                "S208",
                "never and always exclude each other",
                ("always",),
                "write two invariants",
                key=True,
            )
        return self

    def _excuse(self) -> InvariantDoc:
        for name in ("when", "never", "always"):
            if getattr(self, name) is not None:
                raise problem(
                    "one_statement", "S208", f"{name} and finding exclude each other", (name,), "remove one", key=True
                )
        for name in ("routes", "waive"):
            if getattr(self, name) is None:
                raise problem("one_statement", "S202", f'"finding" wants "{name}" beside it', (), f"add {name}:")
        return self


class TestRequest(Model):
    """The attributes of the request that is tried."""

    __test__ = False

    model: Text = Field(description="What the client asks for.")
    surface: Opt[Name] = Field(default=None, description="Which kind of endpoint; `chat` by default.")
    stream: bool = Field(default=False, description="Whether a stream is asked for.")
    user: Opt[Text] = Field(default=None, description="The end user.")
    key: Opt[Name] = Field(default=None, description="Name of the key document it is sent with.")
    team: Opt[Text] = Field(default=None, description="The team.")
    metadata: dict[Name, Scalar] = Field(default={}, description="Its metadata.")
    headers: dict[HeaderName, HeaderValue] = Field(default={}, description="Its headers.")
    input_tokens: Opt[Annotated[int, Field(ge=0, le=LARGEST)]] = Field(
        default=None, description="Size of the input; by default estimated from `messages`."
    )
    max_tokens: Opt[Count] = Field(default=None, description="Most tokens of output asked for.")
    tools: bool = Field(default=False, description="Whether it brings tools.")
    vision: bool = Field(default=False, description="Whether it brings images.")
    json_schema: bool = Field(default=False, description="Whether it demands an answer that follows a JSON Schema.")
    messages: list[dict[str, Json]] = Field(default=[], description="Its messages, in the shape the endpoint takes.")
    request_id: Opt[Text] = Field(default=None, description="Its id, which seeds choices that stick to nothing else.")
    output_tokens: Opt[Count] = Field(
        default=None,
        description="How long the answer is, for `max_usd`; by default `max_tokens`, else 1000 or what the model can.",
    )


class Fault(Model):
    """What goes wrong at which targets."""

    target: Glob = Field(description="Name or glob of targets, `provider/model`.", examples=["my-service/*"])
    outcome: FailureClass = Field(description="How attempts there end.")
    retry_after: Opt[Duration] = Field(default=None, description="What the provider says about when to come back.")
    times: Opt[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=None, description="For so many attempts only; by default for all."
    )
    after: Opt[Duration] = Field(
        default=None, description="How long the attempt takes; at once by default, a timeout as long as its limit."
    )
    after_output: bool = Field(
        default=False, description="Only after a stream has given output: then nothing can be tried again."
    )


class TestState(Model):
    """Live facts at the time of the request."""

    __test__ = False

    open: list[Glob] = Field(default=[], description="Names or globs of targets whose breaker is open.")
    no_credential: list[Glob] = Field(default=[], description="Names or globs of providers whose secret is not set.")
    in_flight: dict[TargetName, Annotated[int, Field(ge=0, le=LARGEST)]] = Field(
        default={}, description="Requests under way, by target."
    )
    latency: dict[TargetName, Duration] = Field(
        default={}, description="How long answers take, by target, as far as is known; balances by latency go by it."
    )


class Expect(Model):
    """What must come out of it; at least one of these."""

    attempts: Opt[list[TargetName]] = Field(
        default=None, description="The targets tried, in this order, and no others."
    )
    mirrors: Opt[list[TargetName]] = Field(
        default=None, description="The targets that get a copy of it, in order; none do unless it is served."
    )
    outcome: Opt[OutcomeName] = Field(default=None, description="How the request ends.")
    status: Opt[Annotated[int, Field(ge=100, le=599)]] = Field(
        default=None, description="The HTTP status the client sees."
    )
    route: Opt[Name] = Field(default=None, description="The route that takes it.")
    target: Opt[TargetName] = Field(default=None, description="The target that answers.")
    variants: Opt[dict[Name, Name]] = Field(
        default=None, description="The variant it gets, by split.", examples=[{"haiku-trial": "control"}]
    )
    max_usd: Opt[Price] = Field(default=None, description="Most it may cost, in USD.")

    @model_validator(mode="after")
    def _something(self) -> Expect:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise problem(
                "something_expected",
                "S206",
                "nothing is named",
                (),
                "add attempts, mirrors, outcome, status, route, target, variants or max_usd",
            )
        return self


class ScenarioStep(Model):
    """One request of a scenario; breakers, holds and limits remember the ones before it."""

    after: Opt[Duration] = Field(default=None, description="How much time passes before it.", examples=["10s"])
    repeat: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="How often it is sent, one after the other; what is expected holds for the last one."
    )
    request: TestRequest = Field(description="The request that is tried.")
    faults: list[Fault] = Field(default=[], description="What goes wrong where; the first that fits an attempt counts.")
    state: TestState = Field(default=TestState(), description="Live facts at the time.")
    expect: Opt[Expect] = Field(default=None, description="What must come out of it; by default nothing is asked.")


class TestDoc(Model):
    """An example: a request, what goes wrong, and what is expected; or several requests, with time between them."""

    __test__ = False

    version: Version = Field(description="Version of the configuration language.")
    kind: Literal["test"] = Field(description="What this document declares.")
    name: Title = Field(description="What it shows.", examples=["chat falls over to the local model"])
    request: Opt[TestRequest] = Field(default=None, description="The request that is tried.")
    faults: list[Fault] = Field(default=[], description="What goes wrong where; the first that fits an attempt counts.")
    state: TestState = Field(default=TestState(), description="Live facts at the time.")
    expect: Opt[Expect] = Field(default=None, description="What must come out of it.")
    scenario: Opt[Annotated[list[ScenarioStep], Field(min_length=1, max_length=1000)]] = Field(
        default=None, description="Requests one after the other, instead of the one."
    )

    @model_validator(mode="after")
    def _one_or_several(self) -> TestDoc:
        if self.scenario is not None:
            for name in ("request", "faults", "state", "expect"):
                if name in self.model_fields_set:
                    hint = f"move {name} into a step of the scenario"
                    raise problem(
                        "one_or_several", "S208", f"{name} and scenario exclude each other", (name,), hint, key=True
                    )
            if all(step.expect is None for step in self.scenario):
                raise problem(
                    "one_or_several", "S202", "no step says what is expected", ("scenario",), "add expect to a step"
                )
        elif self.request is None or self.expect is None:
            missing = "request" if self.request is None else "expect"
            raise problem(
                "one_or_several", "S202", f"{missing} is missing", (), "add request and expect, or a scenario"
            )
        return self

    @property
    def steps(self) -> list[ScenarioStep]:
        """The requests, one after the other; a single one is a scenario of one step."""
        if self.scenario is not None:
            return self.scenario
        assert self.request is not None  # noqa: S101  - validated
        return [ScenarioStep(request=self.request, faults=self.faults, state=self.state, expect=self.expect)]
