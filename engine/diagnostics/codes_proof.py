"""Codes T7xx, what tests expect and does not come; V8xx and W8xx, what is proved of a configuration or not."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "T701",
        "error",
        "a test that does not hold",
        "A document of `kind: test` says what must come of a request, and the planner does something else. "
        "`interlock test` shows both, attempt by attempt. Either the change to the configuration is wrong, or the test "
        "says what is no longer meant. Example: `expect: {attempts: [a/m, b/m]}` where the route has lost its second "
        "step. Correct the route, or the test.",
    ),
    Code(
        "T702",
        "error",
        "less is tested than asked for",
        "`interlock test --min-coverage SHARE` asks that tests reach a share of the routes, uses of targets, variants, "
        "failovers and cases of the configuration, and they reach less. `--coverage` lists what no test reaches. Add "
        "tests for it, or ask for less.",
    ),
    Code(
        "V801",
        "error",
        "an invariant that does not hold",
        "`interlock verify` has found a request and a moment (failures, open breakers, secrets that are missing) in "
        "which the planner sends the request, or a copy of it, where the invariant forbids it. The counter-example "
        "was played, so it really happens; pasted into policies/tests/ as it is printed, `interlock test` plays it "
        "again. Example: `when: {metadata.residency: eu}` and `never: {target.labels.region: us}`, where the second "
        "step of a fallback is in the US. Put a `switch` before it, or give such requests a route of their own.",
    ),
    Code(
        "V802",
        "error",
        "an invariant that could not be decided",
        "Some way through the configuration might break the invariant, and no request was found that really does: it "
        "is neither proved nor refuted. It depends on what the proof leaves open, for instance on where one certain "
        "value of a split's key falls. Make what it depends on explicit, by a condition or by pins, or put up with it "
        'for a while: `waive: {until: "2027-01-31", because: ...}`.',
    ),
    Code(
        "V803",
        "error",
        "a route that reaches no target",
        "Whatever a request of this route is and whatever happens, no target is ever attempted: its targets stand "
        "behind conditions or capabilities that no request which the route takes can meet. Example: a route that only "
        "serves `surface: embeddings` and whose targets only support chat. Correct the conditions, or declare what "
        "the targets support.",
    ),
    Code(
        "W804",
        "warning",
        "a use of a target that no request comes to",
        "The step stands in the route, and no request can ever reach it: an earlier case of a switch takes everything "
        "that it would, a step that refuses stands before it, its variant has no weight and no pins, or the target "
        "lacks what all these requests need. Example: a variant of `weight: 0`. Remove the step, or correct what "
        "keeps requests from it. An invariant with `finding: unreachable` puts up with it.",
    ),
    Code(
        "W805",
        "warning",
        "requests that one provider alone can serve",
        "When this provider fails, these requests are not answered, whatever else works: no other provider's target "
        "stands on any way they can take. Example: `step: acme/small` as the whole route, or a case of a switch "
        "without a second provider. Add a step at another provider; or say that it is meant, by an invariant with "
        "`finding: one_provider` and `waive`.",
    ),
    Code(
        "V806",
        "error",
        "a waiver that has ended",
        "An invariant, or a finding of `interlock verify`, was put up with until a certain day, and that day is over. "
        "Mend what was waived; or decide again, with a new `until` and what is known now under `because`.",
    ),
    Code(
        "W807",
        "warning",
        "a waiver that is not needed",
        "What it puts up with does not happen any more: the invariant is proved, or no route has the finding. Remove "
        "the waiver, so that it does not hide the next mistake.",
    ),
)
