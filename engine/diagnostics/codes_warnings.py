"""Codes W9xx and N9xx, findings that do not stop the compiler."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "W901",
        "warning",
        "a fallback to a target that can do less",
        "The first step of this fallback can serve requests (with tools, images, a JSON schema, or of a certain "
        "length) that a later target cannot. Such requests skip that target, so for them the route has less to fall "
        "back on than it seems. Use a target of the same abilities, declare the ability under the model's "
        "`supports` if it is only missing there, or keep such requests away from the route with `when`.",
    ),
    Code(
        "W902",
        "warning",
        "a target twice on one path",
        "The same target stands twice on one path of failovers. What made it fail the first time is still the case "
        "moments later, so the second place seldom helps and delays the answer. Retries of the same target are the "
        "business of `retry.per_target`. Remove one of the two.",
    ),
    Code(
        "W903",
        "warning",
        "a secret that is not set here",
        "A provider's `auth.secret`, or the address of the state store, names an environment variable that is unset "
        "or empty, or a file that is not there. The server starts all the same, and skips this provider's targets (or "
        "does without the store) until the secret exists. Set it, or ignore the warning on a machine that only checks "
        "configurations.",
    ),
    Code(
        "W904",
        "warning",
        "a field of the whole request in a narrower policy",
        "`retry.max_attempts`, `retry.budget` and `timeouts.total` bound a whole request, which may visit several "
        "targets and providers. They are read from policies for routes or for all; in a policy that only names "
        "targets or providers, or on a target step, they have no effect. Move the field to a policy with `routes` "
        "or `all`.",
    ),
    Code(
        "W905",
        "warning",
        "something that is checked but not acted on yet",
        "This part of the configuration is read and validated, so that it can be written and reviewed, but this "
        "version of Interlock does not act on it: nothing is counted by it. Do not rely on it.",
    ),
    Code(
        "W906",
        "warning",
        "a budget or limit over metadata that clients choose",
        "Metadata may come from the client itself, in a header or in the body. A client that varies its value gets "
        "a fresh budget or limit each time. Only values that are fixed in a `key` document can be trusted. Give "
        "every key that value under `metadata`, or count by `key` instead.",
    ),
    Code(
        "W907",
        "warning",
        "targets without a price under `unpriced: reject`",
        "A policy's `cost` refuses targets whose cost it cannot know, and these targets declare no price. Under "
        "this policy they would never be used. Declare their price (`{input: 0, output: 0}` for a model of your "
        "own), or let the policy apply to others.",
    ),
    Code(
        "W908",
        "warning",
        "a configuration without routes",
        "There is no document of `kind: route`, so every request would be answered with 404. Add one; the shortest "
        "is three lines and a step, for example `version: 1`, `kind: route`, `name: chat`, `step: acme/large`.",
    ),
    Code(
        "W909",
        "warning",
        "an address with a placeholder in it",
        "A provider that a route reaches has a word in capitals in its `base_url`, such as RESOURCE or PROJECT: the "
        "shipped catalogue's way to say that every account has an address of its own. Requests would go to a host or "
        "path that does not exist. Replace the word in the file, or in an overlay with the same kind and name.",
    ),
    Code(
        "N911",
        "note",
        "providers that no route uses",
        "None of these providers' models is reached by any route. That is fine for a catalogue; if it is a surprise, "
        "a route names another provider than you meant.",
    ),
    Code(
        "N912",
        "note",
        "models that no route uses",
        "Some of this provider's models are reached by no route. That is fine for a catalogue; if it is a surprise, "
        "a route names another model than you meant.",
    ),
)
