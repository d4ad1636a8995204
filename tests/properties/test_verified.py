"""What a proof calls impossible never happens, whatever is asked and goes wrong; a refutation really happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.exchange import OutcomeClass
from engine.executor.intake import SURFACES
from engine.graph import Condition, Graph, Step, Test, evaluate
from engine.graph.conditions import All, Any_, Not
from engine.planner import Request
from engine.proof import Faults, World, drive
from engine.proof.verify import Verifier
from engine.proof.world import Fault
from engine.proof.worst import worst
from engine.schema import InvariantDoc
from engine.schema.proof import TestRequest
from engine.state import State

from .planner_strategies import FAILURES, TARGETS, graph, route, trees

NAMES = [target.id for target in TARGETS]
PROVIDERS = ["n", "s", "w"]
#: Tests as they may be written, over few values, so that they often agree and contradict each other.
_tests: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"user": "u"},
        {"user": {"not_in": ["u", "v"]}},
        {"user": {"glob": "u*"}},
        {"user": {"exists": False}},
        {"metadata.tier": "free"},
        {"metadata.tier": ["free", "paid"]},
        {"metadata.tier": {"ne": "free"}},
        {"metadata.size": {"gt": 3}},
        {"metadata.size": {"lte": 3}},
        {"input_tokens": {"gt": 1500}},
        {"input_tokens": {"lte": 1500}},
        {"tools": True},
        {"stream": False},
    ]
)
conditions = st.recursive(
    _tests,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts})
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=4,
)
#: The number stands for a target that the route uses, see :func:`stated`.
_of_targets: st.SearchStrategy[dict[str, Any]] = st.tuples(
    st.sampled_from(["target.id", "target.provider"]), st.integers(0, 5)
).map(lambda pair: {pair[0]: pair[1]})
statements = st.one_of(
    st.fixed_dictionaries({"never": _of_targets}, optional={"when": conditions}),
    st.fixed_dictionaries({"always": _of_targets.map(lambda part: {"not": part})}, optional={"when": conditions}),
    st.tuples(conditions, _of_targets).map(lambda both: {"never": {"all": list(both)}}),
)
fields = st.fixed_dictionaries(
    {"model": st.just("chat")},
    optional={
        "user": st.sampled_from(["u", "v", "w", "uu"]),
        "metadata": st.fixed_dictionaries(
            {}, optional={"tier": st.sampled_from(["free", "paid", ""]), "size": st.sampled_from([1, "3", 4.5, "x"])}
        ),
        "input_tokens": st.sampled_from([1500, 1501, 3000]),
        "tools": st.booleans(),
        "stream": st.booleans(),
        "request_id": st.integers(0, 99).map("r-{}".format),
    },
)
faults = st.lists(
    st.tuples(st.sampled_from([*NAMES, "*"]), st.sampled_from(FAILURES), st.sampled_from([None, 1, 2])), max_size=6
)
worlds = st.fixed_dictionaries(
    {
        "broken": st.lists(st.sampled_from(NAMES), max_size=4),
        "no_credential": st.lists(st.sampled_from(PROVIDERS), max_size=1),
        "in_flight": st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9), max_size=3),
    }
)


def asked(given_: TestRequest) -> Request:
    """The request of a test as the planner takes it, without bodies and keys."""
    flags = {name for name in ("stream", "tools") if getattr(given_, name)}
    return Request(
        model=given_.model, user=given_.user, metadata=dict(given_.metadata), stream=given_.stream, tools=given_.tools,
        input_tokens=given_.input_tokens or 0, request_id=given_.request_id or "", needs=frozenset({"chat", *flags}),
    )  # fmt: skip


def stated(made: Graph, tree: Any) -> Any:
    """The statement, about a target that the route uses: about others everything is true."""
    if isinstance(tree, list):
        return [stated(made, part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    used = made.routes["chat"].targets or made.targets.values()
    named = {"target.id": [one.id for one in used], "target.provider": [one.provider.name for one in used]}
    return {
        key: named[key][value % len(named[key])] if key in named else stated(made, value) for key, value in tree.items()
    }


def configured(step: Step) -> Graph:
    return graph(route(step, max_attempts=6))


def reached(made: Graph, request: Mapping[str, Any], moment: Mapping[str, Any], failures: Any) -> tuple[set[str], int]:
    """The targets that a request came to, copies too, and how many attempts it took."""
    state = State()
    state.retain(made)
    kinds = Faults(Fault(target, OutcomeClass(outcome), left=left) for target, outcome, left in failures)
    course = drive(made, asked(TestRequest.model_validate(request)), World(state, **moment), kinds, 1000.0)
    return {*course.attempts, *course.mirrors}, len(course.tries)


def broken_by(document: InvariantDoc, request: Request, target: str) -> bool:
    """Whether the statement forbids this request at this target: read from the document, by other means."""
    provider = target.partition("/")[0]
    values = {"target.id": target, "target.provider": provider}

    def get(name: str) -> Any:
        return values.get(name) if name.startswith("target.") else request.get(name)

    when = document.when is None or evaluate(_read(document.when), get)
    if document.never is not None:
        return when and evaluate(_read(document.never), get)
    return when and not evaluate(_read(document.always or {}), get)


def _read(tree: Mapping[str, Any]) -> Condition:
    parts: list[Condition] = []
    for key, value in tree.items():
        if key in ("all", "any"):
            below = tuple(map(_read, value))
            parts.append(All(below) if key == "all" else Any_(below))
        elif key == "not":
            parts.append(Not(_read(value)))
        elif isinstance(value, dict):
            parts += [Test(key, name, tuple(one) if isinstance(one, list) else one) for name, one in value.items()]
        else:
            parts.append(Test(key, "in", tuple(value)) if isinstance(value, list) else Test(key, "eq", value))
    return All(tuple(parts))


@settings(max_examples=300, deadline=None)
@given(trees, statements, st.lists(st.tuples(fields, worlds, faults), min_size=1, max_size=25))
def test_what_is_proved_never_happens_and_what_is_refuted_does(
    step: Step, statement: dict[str, Any], tries: list[tuple[Any, Any, Any]]
) -> None:
    made = configured(step)
    document = InvariantDoc.model_validate({"version": 1, "kind": "invariant", "name": "i", **stated(made, statement)})
    verdict = Verifier(made, SURFACES.values(), asked).invariant(document)
    if verdict.state == "refuted":
        assert verdict.example is not None
        test = verdict.example.document
        moment = {"broken": test.get("state", {}).get("open", []),
                  "no_credential": test.get("state", {}).get("no_credential", [])}  # fmt: skip
        failures = [(fault["target"], fault["outcome"], None) for fault in test.get("faults", [])]
        found = asked(TestRequest.model_validate(test["request"]))
        to, _ = reached(made, {"request_id": "i does not hold 1.1", **test["request"]}, moment, failures)
        assert verdict.example.target in to
        assert broken_by(document, found, verdict.example.target)
        return
    if verdict.state == "proved":
        for request, moment, failures in tries:
            to, _ = reached(made, request, moment, failures)
            attempted = asked(TestRequest.model_validate(request))
            assert not [target for target in to if broken_by(document, attempted, target)]


@settings(max_examples=200, deadline=None)
@given(trees, st.lists(st.tuples(fields, worlds, faults), min_size=1, max_size=25))
def test_bounds_hold_and_loose_ends_are_loose(step: Step, tries: list[tuple[Any, Any, Any]]) -> None:
    made = configured(step)
    loose = list(Verifier(made, SURFACES.values(), asked).loose_ends())
    most = worst(made.routes["chat"]).attempts
    nothing = any(one.name == "unreachable" and not one.path for one in loose)
    for request, moment, failures in tries:
        to, attempts = reached(made, request, moment, failures)
        assert attempts <= most
        assert not (nothing and to)
