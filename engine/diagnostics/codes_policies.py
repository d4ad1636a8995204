"""Codes P4xx, what routes and policies may and may not say."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "P401",
        "error",
        "something that applies to nothing",
        "A policy, key or test selects by name or glob, or a budget or limit by a condition, and nothing that is "
        "declared is selected. It would have no effect, which is never what its author meant: usually something was "
        "renamed. Examples: `applies_to: {targets: ['acme/*']}` without a provider `acme`, and a budget with "
        "`when: {model: chta}` where no route takes that model. Correct the selection, or remove it.",
    ),
    Code(
        "P402",
        "error",
        "two policies that contradict each other",
        "The nearest policy wins, field by field: target, then route, then provider, then all; and of two at the "
        "same level one that spells the name out is nearer than one with a glob. Two policies that are equally near "
        "set the same field of the same thing to different values, and nothing but the order of files could decide "
        "between them. Example: two policies with `applies_to: {all: true}`, one with `retry: {per_target: 2}` and "
        "one with `retry: {per_target: 3}`. Narrow one of them with `applies_to`, or keep the field in only one.",
    ),
    Code(
        "P403",
        "error",
        "more than one settings document",
        "There is one process with one address and one log, hence at most one document of `kind: settings`. Merge "
        "the two; to use other settings in one environment, put a document of the same name into an overlay folder.",
    ),
    Code(
        "P404",
        "error",
        "two keys of the same secret",
        "A client is recognised by the SHA-256 of its secret. Two `key` documents carry the same hash, so a request "
        "could belong to either, with different scopes and metadata. Give each client a secret of its own, or "
        "remove one document.",
    ),
    Code(
        "P405",
        "error",
        "routes between which nothing decides",
        "The highest `priority` wins, then an exact model name, then the glob with the longest literal prefix, then "
        "a route with `when` before one without. These two routes still tie for some model, and their conditions "
        "cannot be shown to exclude each other; renaming a file must not decide. Example: two routes with `match: "
        "{model: chat}` and no `when`. Give one of them a higher `priority`, or make their conditions exclude each "
        "other in one attribute.",
    ),
    Code(
        "P406",
        "error",
        "a route that can never be chosen",
        "Every request that would match this route is taken by another one that is considered first and holds "
        "whenever this one does. Example: a route with `match: {model: 'gpt-*'}` beside one with `match: {model: "
        "'*'}`, `priority: 10` and no `when`. Raise this route's `priority`, narrow the other one, or remove this "
        "one.",
    ),
    Code(
        "P407",
        "error",
        "a split of total weight zero",
        "A split chooses in proportion to its variants' weights. All of them are zero, so there is nothing to "
        "choose. Give at least one variant a positive weight; a variant of weight zero is only reached by a pin.",
    ),
    Code(
        "P408",
        "error",
        "a balance of total weight zero",
        "A weighted balance orders its members in proportion to their weights. All of them are zero, so there is no "
        "order. Give at least one member a positive weight.",
    ),
    Code(
        "P409",
        "error",
        "a condition that cannot hold",
        "No request can satisfy this condition, so what it guards is dead. Usually two lines of it contradict each "
        "other, or it asks for a model that the route's own `match.model` excludes. Example: `when: {input_tokens: "
        "{lt: 10, gt: 20}}`. Correct the values; if either may hold, join them with `any`.",
    ),
    Code(
        "P410",
        "error",
        "limits that do not fit into each other",
        "A shorter phase must fit into the longer one that contains it: connecting into an attempt, the first token "
        "and an attempt into the request's total, attempts of one target into the attempts of a request, the first "
        "pause into the longest. With the resulting values the inner limit could never take effect. Example: "
        "`timeouts: {attempt: 90s, total: 60s}`. Lower the inner value or raise the outer one. The values may come "
        "from different policies, or be the defaults; the message says where each comes from.",
    ),
    Code(
        "P411",
        "error",
        "fewer attempts than targets",
        "`retry.max_attempts` caps the attempts of a whole request. On this route's longest path of failovers there "
        "are more targets than that, so the last ones could never be tried. Example: `max_attempts: 2` over a "
        "fallback of three. Raise `max_attempts`, or shorten the path. Where no policy says `max_attempts`, every "
        "target has its turn.",
    ),
    Code(
        "P412",
        "error",
        "a target without a price under a budget in money",
        "A budget in USD reserves the worst case of every attempt before it is made. The price of these targets is "
        "not known, so their cost would be counted as nothing and the budget would not hold. Example: a budget with "
        "`limit: {usd: 500}` over a model without `price`. Add the price (`{input: 0, output: 0}` for a model of "
        "your own), or let the budget's `when` leave out the routes that use it.",
    ),
    Code(
        "P413",
        "error",
        "a tree of steps that is too large",
        "A route's steps, together with those of the routes it uses in place, are more than can be planned for each "
        "request. This comes from routes that use other routes several times, which use others again. Example: ten "
        "routes of which each falls back ten times on the next one. Use the common part once, or split the route.",
    ),
    Code(
        "P414",
        "error",
        "something that is not available in this version",
        "The configuration language describes this feature, but this version of Interlock cannot carry it out, and "
        "a route that quietly did something else would be worse than none. The hint names what to use instead.",
    ),
    Code(
        "P415",
        "error",
        "a case that is never reached",
        "A switch takes the first case whose condition holds. Whenever this one holds, an earlier one (or the "
        "route's own `when`) has decided already. Example: `cases: [{when: {tools: true}, step: a/x}, {when: "
        "{tools: true, stream: true}, step: a/y}]`. Move the narrower case up, or remove it.",
    ),
    Code(
        "P419",
        "error",
        "a provider that cannot be asked whether it works",
        "`health` asks a provider from time to time whether it works, and this one cannot be asked in this way: its "
        "protocol has no list of models, or no model of the kind is declared, or there are people behind it, who would "
        "be disturbed, or only its callers have keys. Example: `health: {probe: embeddings}` for a provider without a "
        "model that supports `embeddings`. Name another probe, or remove `health`.",
    ),
)
