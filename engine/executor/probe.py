"""Asking a provider whether it works: the smallest real request, or its own list of models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Raw, Struct, json

from engine.dialects import dialects
from engine.dialects.discovery import Discovery, FoundModel
from engine.exchange import Call, OutcomeClass, UncarriedError, Verdict
from engine.graph import Probe, Provider, Target, TargetStep

from .attempt import NO_CREDENTIAL, outgoing_headers, unreachable, without
from .clients import ProviderClient, shape_of
from .intake import request_id
from .transport import TransportError

Mode = Literal["text", "embedding"]
#: Seconds a probe, and a look at the list of models, may take.
PATIENCE = 20.0
#: Where a key stands that came with a test, beside the environment; no variable can have this name.
GIVEN = "config.api_key"
_FRONT = "openai-chat"
_BODIES: dict[Mode, tuple[str, dict[str, Any]]] = {
    "text": ("chat", {"messages": [{"role": "user", "content": "Answer with the word ok."}], "max_tokens": 16}),
    "embedding": ("embeddings", {"input": "ok"}),
}


class Probed(Struct, frozen=True):
    """How a probe ended: ``latency`` is seconds, ``detail`` and ``remedy`` are for the operator, empty if it served.

    ``target`` is ``None`` where the list of models was asked for. ``answered`` says whether there was a reply.
    """

    target: str | None
    outcome_class: OutcomeClass
    latency: float
    detail: str = ""
    remedy: str = ""
    retry_after: float | None = None
    answered: bool = False

    @property
    def served(self) -> bool:
        """Whether the provider answered as it should."""
        return self.outcome_class is OutcomeClass.SERVED


async def probe(client: ProviderClient, target: Target, mode: Mode, patience: float = PATIENCE) -> Probed:
    """Send the smallest request of this kind to the target. Never raises for what comes back.

    ``patience`` is how many seconds an answer may take.
    """
    kind, body = _BODIES[mode]
    began, answered = time.monotonic(), False
    try:
        async with asyncio.timeout(patience):
            verdict, answered = await _probe(client, target, kind, body)
    except TimeoutError:
        verdict = Verdict(OutcomeClass.TIMEOUT, detail=f"no answer within {patience:g} s")
    except (TransportError, UncarriedError) as problem:
        verdict = _unsent(problem)
    latency = time.monotonic() - began
    if verdict.outcome_class is OutcomeClass.SERVED:
        return Probed(target.id, verdict.outcome_class, latency, answered=answered)
    verdict = without(verdict, client.credential.headers(None, time.monotonic()) or ())
    told = (verdict.detail, remedy(client, target, verdict), verdict.retry_after, answered)
    return Probed(target.id, verdict.outcome_class, latency, *told)


async def check(client: ProviderClient, asked: Probe, targets: Iterable[Target]) -> Probed:
    """Ask as a provider's document says; ``targets`` are the provider's. Never raises for what comes back."""
    named = wanted(asked, targets)
    if asked.kind != "models":
        if named is None:
            return Probed(None, OutcomeClass.INVALID_REQUEST, 0.0, f"no {asked.kind} model is declared")
        return await probe(client, named, "embedding" if asked.kind == "embeddings" else "text", asked.timeout)
    began = time.monotonic()
    found = await discover(client, asked.timeout)
    latency = time.monotonic() - began
    if isinstance(found, Verdict):
        return Probed(None, found.outcome_class, latency, found.detail, remedy(client, None, found), found.retry_after)
    if named is not None and named.model not in {model.id for model in found}:
        gone = Verdict(OutcomeClass.MODEL_GONE, detail=f"{named.model!r} is not among the {len(found)} models it lists")
        return Probed(None, gone.outcome_class, latency, gone.detail, remedy(client, named, gone))
    return Probed(None, OutcomeClass.SERVED, latency)


def wanted(asked: Probe, targets: Iterable[Target]) -> Target | None:
    """The target that is asked; with ``models`` the one that has to be on the list, if any."""
    if asked.model is not None or asked.kind == "models":
        return next((target for target in targets if target.name == asked.model), None)
    return cheapest(targets, asked.kind)


def cheapest(targets: Iterable[Target], kind: str) -> Target | None:
    """The target that costs the least of those that support ``kind``, a price not known being the highest."""
    fit = [target for target in targets if kind in target.supports]
    return min(fit, key=lambda target: (*_price(target), target.id), default=None)


def _price(target: Target) -> tuple[bool, float]:
    output = None if target.price is None else target.price.output
    return output is None, float(output or 0)


def _unsent(problem: TransportError | UncarriedError) -> Verdict:
    if isinstance(problem, TransportError):
        return unreachable(problem)
    return Verdict(OutcomeClass.INVALID_REQUEST, detail=problem.message)


async def _probe(client: ProviderClient, target: Target, kind: str, body: dict[str, Any]) -> tuple[Verdict, bool]:
    way = client.way(_FRONT, kind)
    if way is None:
        said = f"the dialect {client.provider.dialect} has no {kind}"
        return Verdict(OutcomeClass.INVALID_REQUEST, detail=said), False
    path = "/chat/completions" if kind == "chat" else "/embeddings"
    fields = {name: Raw(json.encode(value)) for name, value in {"model": target.name, **body}.items()}
    call = Call(request_id(), kind, path, target.name, kind, _FRONT, body=fields)
    request = way.link.encode(call, shape_of(TargetStep(target)))
    url = way.base + request.path
    headers = await _headers(client, request.method, url, request.headers, request.body)
    if headers is None:
        return NO_CREDENTIAL, False
    answer = await client.transport(5.0).send(request.method, url, headers, request.body)
    if 200 <= answer.status < 300:
        return way.link.decode(call, answer.header, answer.body)[0], True
    return client.dialect.classify(answer.status, answer.header, answer.body, time.time()), True


async def _headers(
    client: ProviderClient, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> list[tuple[str, str]] | None:
    now = time.monotonic()
    if client.credential.due(now):
        await client.credential.refresh(now)
    return outgoing_headers(client, headers, None, now, lambda sent: client.credential.sign(method, url, sent, body))


def _discovery(client: ProviderClient) -> Discovery | None:
    """Where its list of models is; programs and people are asked for answers only, whatever their dialect."""
    return None if client.provider.transport in ("process", "queue") else dialects()[client.provider.dialect].discovery


async def discover(client: ProviderClient, patience: float = PATIENCE) -> list[FoundModel] | Verdict:
    """The models that the provider says it offers, or the verdict on why it does not say in ``patience`` seconds."""
    discovery = _discovery(client)
    if discovery is None:
        who = "a person" if client.provider.transport == "queue" else client.provider.dialect
        return Verdict(OutcomeClass.INVALID_REQUEST, detail=f"{who} has no list of models")
    url = client.base_of(client.provider.dialect) + discovery.path
    try:
        async with asyncio.timeout(patience):
            headers = await _headers(client, "GET", url, client.dialect.headers, b"")
            if headers is None:
                return NO_CREDENTIAL
            answer = await client.transport(5.0).send("GET", url, headers, b"")
    except TimeoutError:
        return Verdict(OutcomeClass.TIMEOUT, detail=f"no answer within {patience:g} s")
    except TransportError as problem:
        return unreachable(problem)
    if not 200 <= answer.status < 300:
        verdict = client.dialect.classify(answer.status, answer.header, answer.body, time.time())
        return without(verdict, client.credential.headers(None, time.monotonic()) or ())
    try:
        return discovery.models(answer.body)
    except ValueError as problem:
        return Verdict(OutcomeClass.GARBLED, detail=str(problem))


def remedy(client: ProviderClient, target: Target | None, verdict: Verdict) -> str:
    """What the operator can do about it."""
    provider = client.provider
    name = target.model if target is not None else ""
    wording: dict[OutcomeClass, Callable[[], str]] = {
        OutcomeClass.UNAUTHORIZED: lambda: _about_sign_in(provider),
        OutcomeClass.QUOTA_EXHAUSTED: lambda: "add credit to the account, or raise its spending limit",
        OutcomeClass.MODEL_GONE: lambda: f"is {name!r} still offered, and to this account? List its models",
        OutcomeClass.RATE_LIMITED: lambda: "wait, or ask the provider for higher limits",
        OutcomeClass.OVERLOADED: lambda: "the provider is overloaded: try again later",
        OutcomeClass.SERVER_ERROR: lambda: "the provider failed: see its status page, and try again later",
        OutcomeClass.CONNECTION: lambda: (
            f"is {provider.base_url} the right address, is the service up, and may this machine reach it?"
        ),
        OutcomeClass.TIMEOUT: lambda: _about_time(provider),
        OutcomeClass.GARBLED: lambda: (
            f"does {provider.base_url} speak {provider.dialect}? The path of base_url may be wrong"
        ),
        OutcomeClass.CONTENT_REFUSED: lambda: "the provider's filter refused a harmless text: look at its settings",
    }
    say = wording.get(verdict.outcome_class)
    if say is None and target is None and _discovery(client) is None:
        return "its models are those that you declare under `models`"
    return say() if say is not None else "see the provider's own words above, and its documents"


def _about_sign_in(provider: Provider) -> str:
    if provider.transport == "process":
        return f"install the program {provider.command[0]!r} where PATH finds it, and sign in as its documents say"
    if provider.auth.scheme == "caller":
        return "its callers bring their own keys: send a request with one through the server instead"
    if provider.auth.scheme in ("aws", "google", "entra"):
        return f"sign in as `auth.scheme: {provider.auth.scheme}` expects it; the log says what was missing"
    secret = provider.auth.secret
    if secret is None:
        return "declare `auth` with the secret that the provider expects"
    if secret.kind == "env":
        if secret.name == GIVEN:
            return f"the provider refuses the key in {GIVEN}: send a valid one"
        return f"set the environment variable {secret.name} to a valid key, and start again"
    if secret.kind == "file":
        return f"put a valid key into the file {secret.name}"
    return f"does the command {secret.name!r} print a valid key?"


def _about_time(provider: Provider) -> str:
    if provider.transport == "queue":
        return f"nobody answered on the page /relay within {PATIENCE:g} s: is somebody there?"
    return "is the service loading its model, or a firewall in between? Try again"
