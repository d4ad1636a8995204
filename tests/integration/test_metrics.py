"""What a scrape says of real requests, asked by a real Prometheus too; the rules and the dashboard as shipped."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from engine.telemetry.definitions import METRICS

from .gateway import Gateway, chat, play
from .prometheus import fetch, needs_prometheus, scraping
from .upstream import Answer, Seen, Upstream, error, served, until

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "interlock.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
#: Panels of live state that this run has none of: a unit test has their metrics.
NOT_IN_THIS_RUN = {
    "Targets passed over",
    "Circuit breakers that are not closed",
    "Left of providers' limits",
    "Expected latency",
    "Shared store",
    "Hedges",
    "Mirrors",
}
STEP = {"fallback": ["one/m", "two/m"]}


async def scrape(gateway: Gateway, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    _, body = await fetch(gateway.port, "/metrics", **headers)
    gateway.said += body
    families = text_string_to_metric_families(body.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    return sum(v for (n, found), v in samples.items() if n == name and labels.items() <= dict(found).items())


def test_requests_attempts_and_tokens_add_up(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(3):
            assert (await gateway.ask()).status == 200
        assert (await gateway.ask(chat(True))).status == 200
        assert (await gateway.ask(chat(model="a-name-of-the-clients"))).status == 404
        assert (await gateway.ask(b"{")).status == 400
        got = await scrape(gateway)
        assert b"a-name-of-the-clients" not in (await fetch(gateway.port, "/metrics"))[1]
        assert value(got, "interlock_requests_total", outcome="served", route="chat", status="200") == 4
        assert value(got, "interlock_requests_total", outcome="unroutable", route="", target="", status="404") == 1
        assert value(got, "interlock_requests_total") == len(gateway.outcomes) == 5
        assert value(got, "interlock_attempts_total", target="one/m", outcome="overloaded") == 2
        assert value(got, "interlock_attempts_total") == len(upstream.seen)
        assert value(got, "interlock_retries_total", target="one/m", outcome="overloaded") == 1
        assert value(got, "interlock_failovers_total", target="one/m", outcome="overloaded") == 1
        assert value(got, "interlock_fallbacks_served_total", route="chat", target="two/m") == 1
        assert value(got, "interlock_refused_total", code="invalid_request") == 1
        assert value(got, "interlock_tokens_total", type="input") == 4 * 7
        assert value(got, "gen_ai_client_token_usage_sum", gen_ai_token_type="output") == 4 * 3
        assert value(got, "gen_ai_server_request_duration_seconds_count", error_type="") == 4
        assert value(got, "gen_ai_server_time_to_first_token_seconds_count", target="one/m") == 1
        assert value(got, "interlock_added_latency_seconds_count") == 5
        assert value(got, "interlock_requests_under_way") == 0
        assert value(got, "interlock_config_info", fingerprint=gateway.engine.graph.fingerprint) == 1

    def answers(seen: Seen) -> Answer:
        return served(b'"stream":true' in seen.raw.replace(b" ", b""))

    failing = iter([error(503), error(503)])
    scripts = {"one": lambda seen: next(failing, None) or answers(seen), "two": answers}
    play(
        tmp_path,
        scenario,
        scripts=scripts,
        step=STEP,
        policy={"retry": {"per_target": 2, "backoff": {"initial": "0ms"}}},
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_added_latency_is_the_gateways_own_part(tmp_path: Path, streamed: bool) -> None:
    """An upstream that takes its time, a pause before a retry, and a stream that drips add nothing to it."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask(chat(streamed))).status == 200
        assert gateway.outcome.duration > 0.45
        assert 0 < gateway.outcome.added < 0.1
        got = await scrape(gateway)
        assert value(got, "interlock_added_latency_seconds_bucket", le="0.1", outcome="served") == 1
        assert value(got, "gen_ai_server_request_duration_seconds_bucket", le="0.32", route="chat") == 0

    slow = (0.2, *served(streamed)[:2], 0.15, *served(streamed)[2:])
    retry = {"per_target": 2, "backoff": {"initial": "300ms", "max": "1s"}}
    scripts = {"one": [(0.2, *error(503, retry_after="0.15")), slow]}
    play(tmp_path, scenario, scripts=scripts, policy={"retry": retry})


def test_what_is_passed_over_is_seen_with_its_reason(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(30):
            await gateway.ask()
        assert upstream.calls("one") < 30
        got = await scrape(gateway)
        closed = "interlock_target_closed_seconds"
        assert value(got, closed, target="one/m", reason="breaker") > 5
        assert 1 < value(got, closed, target="two/m", reason="held") <= 3
        assert value(got, closed, target="three/*", reason="credential") > 5
        assert value(got, "interlock_circuits", target="one/m", state="open") == 1
        assert value(got, "interlock_circuits", target="two/m", state="closed") == 1
        assert value(got, "interlock_circuit_opened_total", target="one/m") == 1

    scripts = {
        "one": error(500),
        "two": [error(429, retry_after="3"), served(False)],
        "three": [error(401), served(False)],
    }
    play(tmp_path, scenario, scripts=scripts, step={"fallback": ["one/m", "two/m", "three/m"]})


def test_requests_under_way_are_seen(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        asking = asyncio.create_task(gateway.ask())
        await until(lambda: upstream.seen)
        got = await scrape(gateway)
        assert value(got, "interlock_requests_under_way") == 1
        assert value(got, "interlock_attempts_under_way", target="one/m") == 1
        assert (await asking).status == 200

    play(tmp_path, scenario, scripts={"one": (0.3, *served(False))})


def test_edits_are_seen(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        file = tmp_path / "policies" / "all.yaml"
        text = file.read_text()
        before = await scrape(gateway)
        file.write_text(text + "---\nkind: nonsense\n")
        await gateway.engine.reload()
        got = await scrape(gateway)
        assert value(got, "interlock_config_candidate_pending") == 1
        assert value(got, "interlock_config_reloads_total", result="rejected") == 1
        file.write_text(text.replace('"two/m"', '"three/m"'))
        await gateway.engine.reload()
        got = await scrape(gateway)
        assert value(got, "interlock_config_candidate_pending") == 0
        assert value(got, "interlock_config_reloads_total", result="applied") == 1
        name = "interlock_config_last_reload_success_timestamp_seconds"
        assert value(got, name) > value(before, name)

    play(tmp_path, scenario, scripts={}, step=STEP)


def test_both_formats_are_as_their_parsers_want_them(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask()
        headers, body = await fetch(gateway.port, "/metrics", accept=OPENMETRICS)
        assert headers["content-type"].startswith("application/openmetrics-text")
        families = {family.name: family for family in openmetrics.text_string_to_metric_families(body.decode())}
        headers, body = await fetch(gateway.port, "/metrics")
        assert headers["content-type"].startswith("text/plain")
        classic = {family.name for family in text_string_to_metric_families(body.decode())}
        kinds = {d.name.removesuffix("_total"): d.kind for d in METRICS}
        ours = {name for name in families if name.startswith(("interlock_", "gen_ai_"))}
        assert len(ours) > 15
        assert {name: families[name].type for name in ours} == {name: kinds[name] for name in ours}
        assert ours <= classic
        assert {"process_resident_memory_bytes", "python_gc_collections", "python_info"} <= families.keys()

    play(tmp_path, scenario, scripts={"one": served(False)})


def test_keys_are_asked_for_where_there_are_any(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        with pytest.raises(AssertionError, match="401"):
            await fetch(gateway.port, "/metrics")
        with pytest.raises(AssertionError, match="403"):
            await fetch(gateway.port, "/metrics", authorization="Bearer app")
        got = await scrape(gateway, authorization="Bearer reader")
        assert value(got, "interlock_refused_total", code="missing_api_key") == 1
        assert value(got, "interlock_refused_total", code="insufficient_scope") == 1

    more = [key("app", "use"), key("reader", "read")]
    play(tmp_path, scenario, scripts={}, more=more)


def key(name: str, scope: str) -> dict[str, Any]:
    from hashlib import sha256

    digest = sha256(name.encode()).hexdigest()
    return {"version": 1, "kind": "key", "name": name, "sha256": digest, "scopes": [scope]}


# -- what is shipped -------------------------------------------------------------------------------------------------


def queries() -> list[tuple[str, str]]:
    """(panel's title, query with its variables filled in) of the dashboard."""
    found = []
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$__interval", "1m")
            found.append((panel["title"], re.sub(r"\$(job|instance|route|target)\b", ".*", query)))
    return found


@needs_prometheus
def test_every_query_of_the_dashboard_has_an_answer(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        (tmp_path / "prometheus").mkdir()
        async with scraping(tmp_path / "prometheus", gateway.port, RULES) as prometheus:
            asking = asyncio.create_task(traffic(gateway))
            await gateway.engine.reload()
            unanswered = queries()
            for _ in range(60):
                await asyncio.sleep(0.2)
                unanswered = [(title, query) for title, query in unanswered if not await prometheus.ask(query)]
                if {title for title, _ in unanswered} <= NOT_IN_THIS_RUN:
                    break
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert {title for title, _ in unanswered} <= NOT_IN_THIS_RUN, unanswered
            data = await prometheus.get("rules")
            rules = [rule for group in data["groups"] for rule in group["rules"]]
            assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []

    async def traffic(gateway: Gateway) -> None:
        turn = 0
        while True:
            turn += 1
            await gateway.ask(chat(turn % 2 == 0) if turn % 5 else b"{")

    def flaky(seen: Seen) -> Answer:
        # At one/m every third attempt is served; at two/m every second of those that come to it.
        calls[seen.account] += 1
        served_now = calls[seen.account] % (3 if seen.account == "one" else 2) == 0
        return (0.03, *served(b'"stream":true' in seen.raw.replace(b" ", b""))) if served_now else error(503)

    calls: Counter[str] = Counter()
    policy = {"retry": {"per_target": 2, "max_attempts": 3, "backoff": {"initial": "0ms", "max": "1s"}}}
    play(tmp_path / "config", scenario, scripts={"one": flaky, "two": flaky}, step=STEP, policy=policy)


@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    rules, tests = RULES.read_text(encoding="utf-8"), (RULES.parent / "rules.test.yml").read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == len(set(alerts)) > 10
    tested = set(re.findall(r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n", tests))
    assert set(alerts) == tested
    assert rules.count("remedy:") == rules.count("summary:") == len(alerts)


def test_the_table_of_alerts_is_that_of_the_rules() -> None:
    rules = RULES.read_text(encoding="utf-8")
    found = dict(re.findall(r"- alert: (\w+)\n.*?severity: (\w+)", rules, re.DOTALL))
    manual = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", manual, re.MULTILINE)) == found


def test_the_dashboard_is_in_order() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
        assert {target["datasource"]["uid"] for target in panel.get("targets", ())} <= {"${datasource}"}


def test_dashboard_and_rules_name_only_metrics_that_exist() -> None:
    known = {d.name for d in METRICS}
    known |= {f"{d.name}_{part}" for d in METRICS if d.kind == "histogram" for part in ("bucket", "sum", "count")}
    recorded = re.findall(r"record: (\S+)", RULES.read_text(encoding="utf-8"))
    text = RULES.read_text(encoding="utf-8") + "".join(query for _, query in queries())
    named = set(re.findall(r"(?<![\w:])(?:interlock|gen_ai)_\w+(?=[{\[) ])", text))
    assert len(named) > 20
    assert named - known == {w for w in named if w.startswith("gen_ai_") and w in labels()}
    assert all(":" in name for name in recorded)


def labels() -> set[str]:
    return {label for d in METRICS for label in d.labels}


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    text = "".join(query for _, query in queries()) + RULES.read_text(encoding="utf-8")
    text += DASHBOARD.read_text(encoding="utf-8")
    assert [d.name for d in METRICS if d.name not in text] == []
