"""Codes R3xx, names that refer to other documents."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "R301",
        "error",
        "a target that no provider declares",
        "A target is written `provider/model`, where `provider` is the name of a provider document and `model` one "
        "of the keys under its `models`. The one named here does not exist, so requests could never be sent to it. "
        "Example: `step: acme/large-chat` where providers.d/acme.yaml only declares `large`. Correct the spelling, "
        "or add the model to that provider's document. Note that it is the key under `models` that counts here, not "
        "the upstream's own name behind it.",
    ),
    Code(
        "R302",
        "error",
        "a provider that is not declared",
        "A policy's `applies_to.providers`, or a test, names a provider for which there is no document of `kind: "
        "provider`. Example: `applies_to: {providers: [acmee]}` where the document says `name: acme`. Correct the "
        "spelling, or add a file with that provider to providers.d/.",
    ),
    Code(
        "R303",
        "error",
        "a route that is not declared",
        "A `route` step, a policy, a key, a limit or a budget names a route for which there is no document of "
        "`kind: route`. It is the route's `name` that counts, not the models it matches. Example: `{route: "
        "cheap-chat}` where the document says `name: chat-cheap`. Correct the spelling, or add the route.",
    ),
    Code(
        "R304",
        "error",
        "routes that refer to each other in a circle",
        "A `route` step uses another route's tree in place. These routes lead back to where they began, so the tree "
        "would never end. Example: `a` says `step: {route: b}` and `b` says `step: {route: a}`. The message lists "
        "the whole circle; replace one of its links with targets, or with a route outside the circle.",
    ),
    Code(
        "R305",
        "error",
        "a dialect that does not exist",
        "`dialect` says which wire protocol a provider speaks, from a closed list. The name given here is not on "
        "it, so no request could be put into words. Example: `dialect: openai_chat`, where `openai-chat` is meant. "
        "Correct the spelling; a service that is compatible with OpenAI's API speaks `openai-chat`.",
    ),
    Code(
        "R306",
        "error",
        "a key that is not declared",
        "A test sends its request with a key for which there is no document of `kind: key`. It is the document's "
        "`name` that counts, not the secret. Example: `request: {model: chat, key: team-b}` where the document says "
        "`name: team-a`. Correct the name, or add the key.",
    ),
)
