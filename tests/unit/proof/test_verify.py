"""What is proved of a configuration, and what is not: mistakes of policy, each caught; what is right, left alone."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from engine.cli import cli
from engine.cli.tested import play_all
from engine.cli.verified import Proved, prove, render

DAY = date(2026, 12, 1)
#: Providers by region; `eu2` is there for a second one that is right.
REGIONS = {"eu": "eu", "eu2": "eu", "us": "us", "asia": "asia"}
ALL = ["tools", "stream", "vision", "json_schema"]
STAYS: dict[str, Any] = {
    "kind": "invariant",
    "name": "stays",
    "when": {"metadata.residency": "eu"},
    "never": {"target.labels.region": {"ne": "eu"}},
}
IS_EU = {"metadata.residency": "eu"}


def route(step: Any, name: str = "chat", **more: Any) -> dict[str, Any]:
    return {"kind": "route", "name": name, "step": full(step), **more}


def full(step: Any) -> Any:
    """Lists of steps are fallbacks."""
    if isinstance(step, list):
        return {"fallback": [full(one) for one in step]}
    if isinstance(step, dict) and "switch" in step:
        cases = [{**case, "step": full(case["step"])} for case in step["switch"]["cases"]]
        return {"switch": {"cases": cases, "default": full(step["switch"]["default"])}}
    return step


def switch(then: Any, default: Any, when: Any = None) -> dict[str, Any]:
    return {"switch": {"cases": [{"when": when or IS_EU, "step": then}], "default": default}}


def written(folder: Path, *documents: dict[str, Any]) -> Path:
    (folder / "providers.d").mkdir(exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = [
        {
            "kind": "provider", "name": name, "category": "cloud", "dialect": "openai-chat",
            "base_url": f"https://{name}.example/v1", "labels": {"region": region},
            "models": {"m": {"supports": ALL, "context_window": 100_000}, "plain": {"context_window": 8000}},
        }
        for name, region in REGIONS.items()
    ]  # fmt: skip
    text = yaml.safe_dump_all([{"version": 1, **row} for row in (*rows, *documents)])
    (folder / "policies" / "all.yaml").write_text(text, encoding="utf-8")
    return folder


def proved(folder: Path, *documents: dict[str, Any], day: date = DAY) -> Proved:
    return prove(written(folder, *documents), (), (), day)


def codes(found: Proved) -> list[str]:
    return sorted(one.code for one in found.findings if one.code != "W805")


def two(name: str, weights: tuple[int, int], steps: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    variants = {v: {"weight": w, "step": s} for v, w, s in zip("ab", weights, steps, strict=True)}
    return {"split": {"name": name, "variants": variants, **more}}


def balance(by: str, *steps: Any) -> dict[str, Any]:
    return {"balance": {"by": by, "steps": [{"weight": 1, "step": step} for step in steps]}}


KEYS = [
    {"kind": "key", "name": "berlin", "sha256": "a" * 64, "metadata": {"residency": "eu"}},
    {"kind": "key", "name": "boston", "sha256": "b" * 64, "metadata": {"residency": "us"}},
]
#: What each mistake is, the documents that make it, and where the counter-example ends.
MISTAKES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "the second fallback leaves the region": ([route(switch({"fallback": ["eu/m", "us/m"]}, "us/m"))], "us/m"),
    "the third fallback does": ([route({"fallback": ["eu/m", "eu2/m", "asia/m"]})], "asia/m"),
    "a used route does": ([route(switch({"route": "other"}, "us/m")), route(["eu/m", "us/m"], "other")], "us/m"),
    "a mirror copies to the wrong region": (
        [route({"mirror": {"to": "us/m", "percent": "10%", "step": "eu/m"}})], "us/m"),
    "a hedge races in the wrong region": ([route({"hedge": {"delay": "1s", "steps": ["eu/m", "us/m"]}})], "us/m"),
    "a member of a balance is in the wrong region": ([route(balance("weighted", "eu/m", "us/m"))], "us/m"),
    "the cheapest may be": ([route(balance("cheapest", "eu/m", "eu2/m", "asia/m"))], "asia/m"),
    "a variant of one in a hundred is": ([route(two("s", (99, 1), ("eu/m", "us/m"), key="user"))], "us/m"),
    "a pinned user of a variant without weight is": (
        [route(two("s", (1, 0), ("eu/m", "us/m"), key="user", pins={"u-17": "b"}))], "us/m"),
    "the rule is spelled otherwise for one value": (
        [route(switch("eu/m", "us/m", {"metadata.residency": "EU"}))], "us/m"),
    "the rule holds for small requests only": (
        [route(switch("eu/m", "us/m", {**IS_EU, "input_tokens": {"lt": 30_000}}))], "us/m"),
    "the rule holds without tools only": ([route(switch("eu/m", "us/m", {**IS_EU, "tools": False}))], "us/m"),
    "another case comes first": (
        [route({"switch": {"cases": [{"when": {"stream": True}, "step": "us/m"}, {"when": IS_EU, "step": "eu/m"}],
                           "default": "us/m"}})], "us/m"),
    "a glob takes requests that the careful route misses": (
        [route(switch("eu/m", "us/m"), match={"model": ["chat"]}), route("asia/m", "rest", match={"model": ["ch*"]})],
        "asia/m"),
    "a route with a condition takes them first": (
        [route("eu/m"), route("us/m", "vip", match={"model": ["chat"], "when": {"user": {"glob": "vip-*"}}})], "us/m"),
    "the keys are mixed up": ([*KEYS, route(switch("eu/m", "us/m", {"key": "boston"}))], "us/m"),
    "a key is left out of the rule": ([*KEYS, route(switch("us/m", "eu/m", {"key": "berlin"}))], "us/m"),
    "only_on is not enough to stay": (
        [route({"fallback": {"steps": ["eu/m", "us/m"], "only_on": ["rate_limited"]}})], "us/m"),
    "a long text overflows into the other region": ([route(["eu/plain", "us/m"])], "us/m"),
    "what has tools does": ([route(["eu/plain", "asia/m"])], "asia/m"),
    "a flag is taken for a number": (
        [{**STAYS, "name": "flagged", "when": {"metadata.eu": True}},
         route(switch("eu/m", "us/m", {"metadata.eu": 1}))], "us/m"),
    "a refusal is for one failure only": (
        [route([{"fallback": {"steps": ["eu/m", {"reject": {"status": 451, "message": "no"}}],
                              "only_on": ["rate_limited"]}}, "us/m"])], "us/m"),
    "a header takes them away": ([route(switch("asia/m", "eu/m", {"header.x-far": "yes"}))], "asia/m"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_and_its_test_shows_it(mistake: str, tmp_path: Path) -> None:
    documents, target = MISTAKES[mistake]
    stated = [] if documents[0]["kind"] == "invariant" else [STAYS]
    found = proved(tmp_path, *stated, *documents)
    (verdict,) = found.verdicts
    assert (verdict.state, verdict.example and verdict.example.target) == ("refuted", target)
    assert codes(found) == ["V801"]
    assert not found.holds
    assert verdict.example is not None
    # What is printed is pasted, and played by the test runner: the target is attempted.
    shown = render(found, "human", root=tmp_path, color=False, worst=False)
    pasted = "version: 1" + shown.partition("\nversion: 1")[2].partition("\n\n")[0] + "\n"
    (tmp_path / "policies" / "pasted.yaml").write_text(pasted, encoding="utf-8")
    (example,) = play_all(tmp_path, (), (), None).examples
    assert example.holds
    (step,) = example.steps
    assert target in (*step.course.attempts, *step.course.mirrors)


RIGHT: dict[str, list[dict[str, Any]]] = {
    "everything stays": [route(["eu/m", "eu2/m"])],
    "a switch in front": [route(switch({"fallback": ["eu/m", "eu2/m"]}, {"fallback": ["us/m", "asia/m"]}))],
    "the rule in the other words": [route(switch("eu/m", "us/m", {"metadata.residency": ["uk", "eu"]}))],
    "a glob that covers it": [route(switch("eu/m", "us/m", {"metadata.residency": {"glob": "e?"}}))],
    "others are sent away first": [route(switch("us/m", "eu/m", {"metadata.residency": {"ne": "eu"}}))],
    "a refusal stands before": [
        route(["eu/m", switch({"reject": {"status": 451, "message": "no"}}, "eu2/m"), switch("eu2/m", "us/m")])
    ],
    "a route's own condition": [
        route("eu/m", match={"model": ["chat"], "when": IS_EU}),
        route("us/m", "others", match={"model": ["chat"]}),
    ],
    "a name before a glob": [
        route("eu/m", match={"model": ["chat"]}),
        route("us/m", "rest", match={"model": ["*"], "when": {"metadata.residency": {"not_in": ["eu"]}}}),
    ],
    "keys fix it": [*KEYS, route(switch("eu/m", "us/m", {"key": "berlin"}))],
    "the variant has no weight": [route(two("s", (1, 0), ("eu/m", "us/m")))],
    "pins keep them": [route(two("s", (1, 1), ("eu/m", "eu2/m"), key="user", pins={"u": "a"}))],
    "copies stay": [route({"mirror": {"to": "eu2/m", "percent": "10%", "step": "eu/m"}})],
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_proved(name: str, tmp_path: Path) -> None:
    found = proved(tmp_path, STAYS, *RIGHT[name])
    assert [verdict.state for verdict in found.verdicts] == ["proved"]
    assert set(codes(found)) <= {"W804"}


LOOSE: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "a variant without weight": ([route(two("s", (1, 0), ("eu/m", "us/m")))], ["W804"]),
    "a default that the cases leave nothing": (
        [route({"switch": {"cases": [{"when": {"user": {"exists": True}}, "step": ["eu/m", "us/m"]},
                                     {"when": {"user": {"exists": False}}, "step": ["us/m", "eu/m"]}],
                           "default": "asia/m"}})],
        ["W804"]),
    "what stands behind a refusal for some": (
        [route([switch({"reject": {"status": 400, "message": "no"}}, "eu/m"), switch("asia/m", "us/m")])], ["W804"]),
    "a target that lacks what all its requests need": (
        [route(["eu/plain", "us/m"], match={"model": ["chat"], "when": {"tools": True}})], ["W804"]),
    "a target too small for all its requests": (
        [route(["eu/m", "us/m"], match={"model": ["chat"], "when": {"input_tokens": {"gt": 100_000}}})], ["V803"]),
    "nothing serves what the route is for": (
        [route(["eu/m", "us/m"], match={"model": ["chat"], "when": {"surface": "embeddings"}})], ["V803"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOSE)
def test_what_no_request_reaches_is_found(name: str, tmp_path: Path) -> None:
    documents, wanted = LOOSE[name]
    assert codes(proved(tmp_path, *documents)) == wanted


def alone(found: Proved) -> list[tuple[str, str]]:
    return [(one.provider, one.words) for one in found.loose if one.name == "one_provider"]


def test_requests_that_depend_on_one_provider(tmp_path: Path) -> None:
    assert alone(proved(tmp_path, route(["eu/m", "us/m"]))) == []
    assert alone(proved(tmp_path, route(["eu/m", "eu/plain"]))) == [("eu", "model chat")]
    step = switch("asia/m", {"fallback": ["eu/m", "us/m"]}, {"input_tokens": {"gt": 50_000}})
    assert alone(proved(tmp_path, route(step))) == [("asia", "model chat, input tokens 50001")]


def waived(until: str) -> dict[str, Any]:
    return {"waive": {"until": until, "because": "the contract ends then"}}


def test_a_waiver_holds_until_its_day(tmp_path: Path) -> None:
    leak = route(["eu/m", "us/m"])
    document = {**STAYS, **waived("2026-12-01")}
    kept = proved(tmp_path, leak, document)
    assert (kept.holds, codes(kept), set(kept.waived)) == (True, [], {"stays"})
    ended = proved(tmp_path, leak, document, day=date(2026, 12, 2))
    assert (ended.holds, codes(ended)) == (False, ["V801", "V806"])
    assert codes(proved(tmp_path, route(["eu/m", "eu2/m"]), document)) == ["W807"]


def test_findings_of_its_own_are_waived_by_route(tmp_path: Path) -> None:
    excuse = {"kind": "invariant", "name": "one", "finding": "one_provider", "routes": ["ch*"], **waived("2027-01-31")}
    kept = proved(tmp_path, route("eu/m"), excuse)
    assert (kept.findings, set(kept.waived)) == ((), {"one"})
    ended = proved(tmp_path, route("eu/m"), excuse, day=date(2027, 2, 1))
    assert [one.code for one in ended.findings] == ["W805", "V806"]
    assert codes(proved(tmp_path, route(["eu/m", "us/m"]), excuse)) == ["W807"]


def test_what_hangs_on_one_lot_is_unknown(tmp_path: Path) -> None:
    """One tier is one key, and one key has one variant, whatever is tried: neither proved nor refuted."""
    split = two("s", (1_000_000, 1), ("eu/m", "us/m"), key="metadata.residency")
    found = proved(tmp_path, STAYS, route(split))
    assert ([verdict.state for verdict in found.verdicts], codes(found)) == (["unknown"], ["V802"])


def test_the_most_that_a_request_comes_to(tmp_path: Path) -> None:
    policy = {"kind": "policy", "name": "p", "applies_to": {"all": True}, "retry": {"max_attempts": 4, "per_target": 3},
              "timeouts": {"attempt": "20s", "total": "60s"}}  # fmt: skip
    found = proved(tmp_path, policy, route("eu/m", "one"), route(["eu/m", "us/m"], "two"))
    assert [(one.route, one.attempts, one.seconds) for one in found.worst] == [("one", 3, 60.0), ("two", 4, 60.0)]


@pytest.mark.parametrize("format_", ["human", "json", "github", "sarif", "junit", "markdown"])
def test_every_format_names_the_invariant(format_: str, tmp_path: Path) -> None:
    found = proved(tmp_path, STAYS, route(["eu/m", "us/m"]))
    text = render(found, format_, root=tmp_path, color=False, worst=True)
    assert "stays" in text
    if format_ in ("json", "sarif"):
        assert json.loads(text)


def test_without_the_solver_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cli.verify.find_spec", lambda name: None)
    result = CliRunner().invoke(cli, ["verify", str(written(tmp_path, route("eu/m")))])
    assert result.exit_code == 2
    assert "pip install 'interlock[verify]'" in result.output


def test_the_shipped_configuration_has_no_finding() -> None:
    found = prove(Path(__file__).resolve().parents[3], (), (), DAY)
    assert [one.summary for one in found.findings] == []
    assert found.waived
