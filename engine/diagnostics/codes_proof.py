"""Codes T7xx, what tests of a configuration expect and does not come."""

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
)
