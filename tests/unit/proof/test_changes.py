"""What ``plan`` says of single changes: shares, orders, bounds, money, capabilities, labels, movers, gates, traffic."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from engine.cli.planned_words import rows
from engine.compiler import compile_folder
from engine.graph import Gates, Graph
from engine.planner import Request, plan
from engine.proof import World
from engine.proof.behaviour import Behaviour, Observer
from engine.proof.change import Comparison, compare
from engine.proof.gates import broken
from engine.proof.traffic import BadRecordError, read, weigh
from engine.state import State

PROVIDERS = """
version: 1
kind: provider
name: a
dialect: openai-chat
base_url: http://a.example/v1
labels: {region: eu}
models:
  m: {supports: [tools, stream], context_window: 8000, price: {input: 1, output: 4}}
  big: {supports: [tools, stream], context_window: 64000, price: {input: 2, output: 8}}
---
version: 1
kind: provider
name: b
dialect: openai-chat
base_url: http://b.example/v1
labels: {region: us}
models:
  m: {supports: [stream], price: {input: 2, output: 2}}
  free: {supports: [stream]}
"""
POLICY = "version: 1\nkind: policy\nname: all\napplies_to: {all: true}\nretry: {max_attempts: 3, per_target: 2}\n"


@pytest.fixture
def graph(tmp_path: Path) -> "Make":
    return Make(tmp_path)


class Make:
    """Compiles a configuration of one route ``chat`` with the given step, and whatever else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __call__(self, step: str, *more: str, providers: str = PROVIDERS) -> Graph:
        self.count += 1
        folder = self.folder / str(self.count)
        (folder / "providers.d").mkdir(parents=True)
        (folder / "policies").mkdir()
        (folder / "providers.d" / "all.yaml").write_text(providers)
        route = f"version: 1\nkind: route\nname: chat\nstep: {step}\n"
        (folder / "policies" / "all.yaml").write_text("---\n".join([route, POLICY, *more]))
        compilation = compile_folder(folder, ())
        assert compilation.graph is not None, compilation.diagnostics
        return compilation.graph


def words(compared: Comparison) -> dict[str, tuple[str, str]]:
    """The rows of the plainest change."""
    return {row.what: (row.before, row.after) for row in rows(compared.changes[0])}


SPLIT = "{{split: {{name: s, key: user, variants: {{x: {{weight: {}, step: a/m}}, y: {{weight: {}, step: b/m}}}}}}}}"
CHANGES = {
    "a weight": (
        SPLIT.format(9, 1), SPLIT.format(3, 1), {"first": ("a/m 90%, b/m 10%", "a/m 75%, b/m 25%")},
    ),
    "a fallback": (
        "{fallback: [a/m, b/m]}", "{fallback: [a/m, a/big]}",
        {
            "tried in turn": ("a/m > b/m", "a/m > a/big"), "labels": ("region us", "-"),
            "cost at the dearest": ("0.003 USD", "0.006 USD"), "everybody can": ("-", "tools"),
        },
    ),
    "what it goes on after": (
        "{fallback: {steps: [a/m, b/m]}}", "{fallback: {steps: [a/m, b/m], also_on: [content_refused]}}",
        {"after content_refused": ("ends", "in turn")},
    ),
    "an order": (
        "{fallback: [a/m, b/m]}", "{fallback: [b/m, a/m]}",
        {"first": ("a/m 100%", "b/m 100%"), "tried in turn": ("a/m > b/m", "b/m > a/m")},
    ),
    "a mirror": (
        "a/m", "{mirror: {to: b/m, percent: 5%, step: a/m}}",
        {"copies": ("-", "5% to b/m"), "labels": ("-", "region us")},
    ),
    "a hedge": (
        "{fallback: [a/m, a/big]}", "{hedge: {delay: 2s, steps: [a/m, a/big]}}",
        {"hedges": ("-", "a/big beside a/m after 2s")},
    ),
    "params": ("a/m", "{target: a/m, params: {set: {temperature: 0}}}", {"sent to a/m": ("as before", "otherwise")}),
    "timeouts": (
        "a/m", "{target: a/m, timeouts: {attempt: 10s}}",
        {"retries, timeouts, breaker, limits of a/m": ("as before", "otherwise")},
    ),
    "refused": (
        "a/m", "{reject: {status: 410, message: gone}}",
        {
            "first": ("a/m 100%", "nobody 100%"), "without any attempt": ("-", "rejected 410"),
            "cost": ("0.003 USD", "-"),
        },
    ),
    "no price": ("a/m", "b/free", {"cost": ("0.003 USD", "unknown")}),
    "what a balance goes by": (
        "{balance: {by: weighted, steps: [a/m, b/m]}}", "{balance: {by: hash, key: user, steps: [a/m, b/m]}}",
        {"chosen by": ("balance by weighted (a/m 50%, b/m 50%)", "balance by hash of user (a/m 50%, b/m 50%)")},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "wanted"), CHANGES.values(), ids=list(CHANGES))
def test_a_change_is_told(graph: Make, old: str, new: str, wanted: dict[str, tuple[str, str]]) -> None:
    compared = compare(graph(old), graph(new))
    assert not compared.empty
    found = words(compared)
    assert {name: found.get(name) for name in wanted} == wanted


def test_a_case_is_shown_by_a_request_that_takes_it(graph: Make) -> None:
    when = "{{metadata.tier: free, input_tokens: {{lt: 500}}}}"
    switch = f"{{{{switch: {{{{cases: [{{{{when: {when}, step: {{}}}}}}], default: a/big}}}}}}}}"
    compared = compare(graph(switch.format("a/m")), graph(switch.format("b/m")))
    (change, *_) = compared.changes
    assert change.request.metadata == {"tier": "free"}
    assert change.request.input_tokens < 500
    assert {c.before.route for c in compared.changes} == {"chat"}


def test_models_that_come_and_go_and_are_answered_by_another_route(graph: Make) -> None:
    other = "version: 1\nkind: route\nname: {}\nmatch: {{model: {}}}\nstep: b/m\n"
    compared = compare(
        graph("a/m", other.format("wide", '"*"'), other.format("old", "old-name")),
        graph("a/m", other.format("wide", '"*"'), other.format("new", "[x-1, new-name]")),
    )
    assert compared.models_gained == ("new-name", "x-1")
    assert compared.models_lost == ("old-name",)
    assert set(compared.rerouted) == {
        ("old-name", "old", "wide"), ("new-name", "wide", "new"), ("x-1", "wide", "new"),
    }  # fmt: skip


def test_a_bound_of_attempts_and_seconds(graph: Make) -> None:
    once = (
        POLICY.replace("name: all", "name: a")
        .replace("{all: true}", "{targets: [a/m]}")
        .replace("per_target: 2", "per_target: 1")
    )
    strict = once.replace("max_attempts: 3, ", "").replace("\n", "\n", 1) + "timeouts: {attempt: 7s}\n"
    said = Observer(graph("a/m", strict)).of(Request(model="chat"))
    assert (said.attempts, said.seconds) == (1, 7.0)
    said = Observer(graph("{fallback: [a/m, b/m]}")).of(Request(model="chat"))
    assert (said.attempts, said.seconds) == (3, 180.0)


def test_shares_are_those_of_many_requests(graph: Make) -> None:
    step = (
        "{fallback: [{split: {name: s, key: user, variants: {x: {weight: 3, step: {balance: {by: weighted, steps: "
        "[{weight: 2, step: a/m}, {weight: 1, step: b/m}, b/free]}}}, y: {weight: 1, step: a/big}}}}, a/m]}"
    )
    made = graph(step)
    said = Observer(made).of(Request(model="chat"))
    assert said.first() == {
        "a/m": Fraction(3, 8), "b/m": Fraction(3, 16), "b/free": Fraction(3, 16), "a/big": Fraction(1, 4),
    }  # fmt: skip
    state = State()
    state.retain(made)
    view = World(state)
    seen = Counter(
        plan(made, Request(model="chat", user=f"u{n}", request_id=f"r{n}"), view, 0.0).attempts[0] for n in range(4_000)
    )
    for name, share in said.first().items():
        assert abs(seen[name] / 4_000 - share) < 0.04


def test_members_that_cannot_serve_leave_their_share_to_the_others(graph: Make) -> None:
    made = graph("{balance: {by: weighted, steps: [{weight: 2, step: a/m}, {weight: 1, step: a/big}, b/m]}}")
    said = Observer(made).of(Request(model="chat", tools=True, needs=frozenset({"chat", "tools"})))
    assert said.first() == {"a/m": Fraction(2, 3), "a/big": Fraction(1, 3)}


def test_cheapest_goes_by_the_price_of_the_request(graph: Make) -> None:
    made = graph("{balance: {by: cheapest, steps: [a/m, b/m]}}")
    assert Observer(made).of(Request(model="chat", input_tokens=10)).first() == {"b/m": 1}
    assert Observer(made).of(Request(model="chat", input_tokens=50_000, max_tokens=1)).first() == {"b/m": 1}
    assert Observer(made).of(Request(model="chat", input_tokens=5_000, max_tokens=1)).first() == {"a/m": 1}


def test_too_many_ways_are_said_to_be_too_many(graph: Make) -> None:
    variants = ", ".join(
        f"v{n}: {{weight: 1, step: {{target: a/m, params: {{set: {{seed: {n}}}}}}}}}" for n in range(30)
    )
    split = "{{split: {{name: s{}, key: user, variants: {{" + variants.replace("{", "{{").replace("}", "}}") + "}}}}}}"
    said = Observer(graph(f"{{fallback: [{split.format(1)}, {split.format(2)}]}}")).of(Request(model="chat"))
    assert not said.exact
    assert sum(way.share for way in said.ways) == 1
    assert said.first() == {"a/m": 1}


def test_who_moves(graph: Make) -> None:
    (move,) = compare(graph(SPLIT.format(9, 1)), graph(SPLIT.format(3, 1))).moves
    assert (move.route, move.split, move.key) == ("chat", "s", "user")
    assert move.moved == pytest.approx(0.15)
    assert not compare(graph(SPLIT.format(9, 1)), graph(SPLIT.format(90, 10))).moves
    (renamed,) = compare(graph(SPLIT.format(1, 1)), graph(SPLIT.format(1, 1).replace("name: s", "name: t"))).moves
    assert renamed.moved == pytest.approx(0.5)
    pinned = SPLIT.format(1, 1).replace("key: user", "key: user, pins: {u-1: x}")
    (pins,) = compare(graph(SPLIT.format(1, 1)), graph(pinned)).moves
    assert pins.moved == pytest.approx(0)
    assert pins.pins == (("u-1", None, "x"),)


GATES = {
    "cost": (Gates(max_cost_increase=0.1), "a/m", "a/big", ["max_cost_increase"]),
    "cost within": (Gates(max_cost_increase=1.0), "a/m", "a/big", []),
    "cost unknown": (Gates(max_cost_increase=1.0), "a/m", "b/free", ["max_cost_increase"]),
    "label": (Gates(no_new=frozenset({"region"})), "a/m", "{fallback: [a/m, b/m]}", ["no_new: region"]),
    "label of a mirror": (
        Gates(no_new=frozenset({"region"})), "a/m", "{mirror: {to: b/m, percent: 1%, step: a/m}}", ["no_new: region"],
    ),
    "label lost": (Gates(no_new=frozenset({"region"})), "{fallback: [a/m, b/m]}", "a/m", []),
    "other label": (Gates(no_new=frozenset({"zone"})), "a/m", "b/m", []),
    "capability": (Gates(no_lost=frozenset({"capabilities"})), "a/m", "b/m", ["no_lost: capabilities"]),
    "moved": (Gates(max_moved_users=0.1), SPLIT.format(9, 1), SPLIT.format(3, 1), ["max_moved_users"]),
    "moved within": (Gates(max_moved_users=0.2), SPLIT.format(9, 1), SPLIT.format(3, 1), []),
    "seconds": (Gates(max_seconds_increase=0.0), "a/m", "a/m", []),
}  # fmt: skip


@pytest.mark.parametrize(("gates", "old", "new", "wanted"), GATES.values(), ids=list(GATES))
def test_gates(graph: Make, gates: Gates, old: str, new: str, wanted: list[str]) -> None:
    found = {one.gate for one in broken(compare(graph(old), graph(new)), gates)}
    assert sorted(found) == wanted


def test_a_longer_worst_case_and_a_lost_name_break_gates(graph: Make) -> None:
    longer = "version: 1\nkind: policy\nname: more\napplies_to: {routes: [chat]}\ntimeouts: {total: 300s}\n"
    extra = "version: 1\nkind: route\nname: extra\nstep: a/m\n"
    compared = compare(graph("a/m", extra), graph("a/m", longer))
    gates = Gates(max_seconds_increase=0.5, no_lost=frozenset({"models"}))
    assert [(one.gate, one.where) for one in broken(compared, gates)] == [
        ("max_seconds_increase", "model chat"), ("no_lost: models", "model extra"),
    ]  # fmt: skip


def test_a_key_that_changes_is_no_silent_change(graph: Make) -> None:
    key = "version: 1\nkind: key\nname: web\nsha256: " + '"' + "0" * 64 + '"\nscopes: [{}]\n'
    compared = compare(graph("a/m", key.format("use")), graph("a/m", key.format("admin")))
    assert compared.keys == ("web",)
    assert not compared.empty
    assert not compared.changes


def test_client_limits_are_part_of_behaviour(graph: Make) -> None:
    limit = "version: 1\nkind: limit\nname: few\nlimits: [{{requests: {}, per: 1m}}]\n"
    compared = compare(graph("a/m", limit.format(5)), graph("a/m", limit.format(6)))
    assert "client limits" in words(compared)


def test_a_price_alone_is_a_change(graph: Make) -> None:
    dearer = PROVIDERS.replace("price: {input: 1, output: 4}", "price: {input: 1, output: 6}")
    assert words(compare(graph("a/m"), graph("a/m", providers=dearer))) == {
        "cost": ("0.003 USD", "0.004 USD"), "cost at the dearest": ("0.003 USD", "0.004 USD"),
    }  # fmt: skip


def test_an_embedding_costs_its_input(graph: Make) -> None:
    more = "  e: {supports: [embeddings], price: {input: 3}}\n  f: {supports: [embeddings], price: {input: 6}}\n"
    providers = PROVIDERS.rstrip("\n") + "\n" + more
    compared = compare(graph("b/e", providers=providers), graph("b/f", providers=providers))
    assert words(compared)["cost"] == ("0.003 USD", "0.006 USD")
    assert compared.changes[0].request.surface == "embeddings"


def test_recorded_requests(graph: Make) -> None:
    switch = "{{switch: {{cases: [{{when: {{metadata.tier: free}}, step: {}}}], default: a/m}}}}"
    lines = [
        b'{"model": "chat", "metadata": {"tier": "free"}, "usage": {"input": 2000, "output": 1000}}',
        b'{"model": "chat", "input_tokens": 1000, "output_tokens": 500, "duration": 1.5}',
        b"", b'{"method": "GET", "path": "/healthz"}',
        b'{"model": "nothing"}',
    ]  # fmt: skip
    seen = weigh(graph(switch.format("a/m")), graph(switch.format("b/m")), read(lines))
    assert (seen.requests, seen.moved, seen.rerouted, seen.lost, seen.priced) == (3, 1, 0, 0, 2)
    assert seen.ways == {("a/m", "b/m"): 1}
    assert (seen.usd_before, seen.usd_after) == (Decimal("0.009"), Decimal("0.009"))


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"model": 7}', b'{"user": "u"}', b"\xff"])
def test_a_line_that_is_no_record_is_named(line: bytes) -> None:
    with pytest.raises(BadRecordError, match="line 2"):
        list(read([b'{"model": "chat"}', line]))


def test_the_same_behaviour_is_equal_and_another_is_not(graph: Make) -> None:
    one, two = (Observer(graph("{fallback: [a/m, b/m]}")).of(Request(model="chat")) for _ in range(2))
    assert one == two
    assert one != Behaviour("chat")
