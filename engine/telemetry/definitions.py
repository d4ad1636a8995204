"""Every metric there is: its name, kind, labels and meaning. What is not here is not exported."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

#: Upper bounds of buckets, in seconds or tokens. Those of ``gen_ai_*`` are the ones that OpenTelemetry's semantic
#: conventions for generative AI advise; https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
ADDED = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)

#: The value of ``route`` and ``target`` once there are more label sets than are kept apart.
OVERFLOW = "_overflow"


class Definition(Struct, frozen=True):
    """One metric. ``otel`` is its name in OpenTelemetry's own notation, ``unit`` in UCUM's."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str
    otel: str
    unit: str = "1"
    bounds: tuple[float, ...] = ()


_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


def _ours(
    name: str, kind: Literal["counter", "gauge", "histogram"], labels: str, text: str, unit: str = "1"
) -> Definition:
    bounds = {"interlock_added_latency_seconds": ADDED, "interlock_event_loop_delay_seconds": LAG}.get(name, ())
    short = name.removeprefix("interlock_").removesuffix("_total").removesuffix("_seconds")
    return Definition(name, kind, tuple(labels.split()), text, f"interlock.{short}", unit, bounds)


REQUESTS = _ours(
    "interlock_requests_total",
    "counter",
    "route target outcome status surface",
    "Requests that were routed, by how they ended; `target` is the last one attempted.",
)
DURATION = Definition(
    "gen_ai_server_request_duration_seconds",
    "histogram",
    ("gen_ai_operation_name", "route", "error_type"),
    "Seconds from a request's arrival to the end of its reply, streams included; `error_type` is empty if served.",
    "gen_ai.server.request.duration",
    "s",
    DURATIONS,
)
FIRST_TOKEN = Definition(
    "gen_ai_server_time_to_first_token_seconds",
    "histogram",
    ("gen_ai_operation_name", "route", "target"),
    "Seconds from a streamed request's arrival to its first output, failovers before that included.",
    "gen_ai.server.time_to_first_token",
    "s",
    FIRST,
)
ADDED_LATENCY = _ours(
    "interlock_added_latency_seconds",
    "histogram",
    "surface outcome",
    "Seconds that a request spent in the gateway itself: from its arrival to its reply (of a stream: to the first "
    "output) without the time in which an upstream was waited for.",
    "s",
)
ATTEMPTS = _ours(
    "interlock_attempts_total",
    "counter",
    "target outcome",
    "Attempts at a target, by how they ended.",
)
OPERATION = Definition(
    "gen_ai_client_operation_duration_seconds",
    "histogram",
    (*_GEN_AI, "error_type"),
    "Seconds that an attempt at a target took, to the end of the reply; `error_type` is its outcome, empty if served.",
    "gen_ai.client.operation.duration",
    "s",
    DURATIONS,
)
FIRST_CHUNK = Definition(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "histogram",
    _GEN_AI,
    "Seconds from the start of a streamed attempt to its first output.",
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    FIRST,
)
TOKEN_USAGE = Definition(
    "gen_ai_client_token_usage",
    "histogram",
    (*_GEN_AI, "gen_ai_token_type"),
    "Tokens of an attempt, as the upstream reported them: `input` (cached ones included) and `output`.",
    "gen_ai.client.token.usage",
    "{token}",
    TOKENS,
)
TOKEN_COUNT = _ours(
    "interlock_tokens_total",
    "counter",
    "target type",
    "Tokens that upstreams reported: `input`, `output`, and those of them that were `cached`, `cache_write` or "
    "`reasoning`.",
    "{token}",
)
UNREPORTED = _ours(
    "interlock_usage_unreported_total",
    "counter",
    "target",
    "Served attempts whose upstream reported no usage: their tokens are unknown, and counted nowhere.",
)
RETRIES = _ours(
    "interlock_retries_total",
    "counter",
    "route target outcome",
    "Attempts that repeated the target of the one before, by the outcome that called for it.",
)
FAILOVERS = _ours(
    "interlock_failovers_total",
    "counter",
    "route target outcome",
    "Moves to another target, by the one that was left and its outcome.",
)
FALLBACKS = _ours(
    "interlock_fallbacks_served_total",
    "counter",
    "route target",
    "Requests served by another target than the first that was attempted.",
)
HEDGES = _ours(
    "interlock_hedges_total",
    "counter",
    "route target outcome",
    "Attempts made beside another one of the same request, by how they ended; `cancelled` are those that lost.",
)
MIRRORED = _ours(
    "interlock_mirrored_total",
    "counter",
    "route target outcome",
    "Copies of requests that a `mirror` sent to a target, by how they ended; no client gets their answers.",
)
UNMIRRORED = _ours(
    "interlock_mirrors_dropped_total",
    "counter",
    "route target reason",
    "Copies of requests that a `mirror` was meant to send and did not, by the reason.",
)
REFUSED = _ours(
    "interlock_refused_total",
    "counter",
    "code",
    "Model requests and management requests refused before routing, by the error's code.",
)
UNDER_WAY = _ours("interlock_requests_under_way", "gauge", "", "Requests that have not ended.")
BUSY = _ours("interlock_attempts_under_way", "gauge", "target", "Attempts that have not ended.")
LOOP_DELAY = _ours(
    "interlock_event_loop_delay_seconds",
    "histogram",
    "",
    "How late a timer that is due every 100 ms was called: what every step of a request waits for on a busy process.",
    "s",
)
RELOADS = _ours(
    "interlock_config_reloads_total",
    "counter",
    "result",
    "Edits of the configuration that were seen: `applied`, `rejected`, or `unchanged` in meaning.",
)
CONFIG = _ours(
    "interlock_config_info",
    "gauge",
    "fingerprint git_commit",
    "1, with the fingerprint of the graph that serves and the commit of its files.",
)
LOADED = _ours(
    "interlock_config_last_reload_success_timestamp_seconds",
    "gauge",
    "",
    "Unix time at which the running configuration went live.",
    "s",
)
PENDING = _ours(
    "interlock_config_candidate_pending",
    "gauge",
    "",
    "1 while the files on disk are not what serves (rejected, or not ready yet), else 0.",
)
ON_LAST_GOOD = _ours(
    "interlock_config_on_last_good",
    "gauge",
    "",
    "1 while the last good configuration serves because the files were broken at the start, else 0.",
)
HEALTH = _ours(
    "interlock_provider_failures_in_a_row",
    "gauge",
    "provider",
    "Failed attempts at a provider since the last that served.",
)
CLOSED = _ours(
    "interlock_target_closed_seconds",
    "gauge",
    "target reason",
    "Seconds until a target that is passed over is tried again, by the reason why it is not.",
    "s",
)
CIRCUITS = _ours(
    "interlock_circuits",
    "gauge",
    "target state",
    "Circuit breakers of a target that are `closed`, `open` or `half_open`; a target has one for each set of rules.",
)
OPENED = _ours(
    "interlock_circuit_opened_total",
    "counter",
    "target",
    "How often circuit breakers of a target opened, or stayed open after an attempt to find out.",
)
EXPECTED = _ours(
    "interlock_expected_latency_seconds",
    "gauge",
    "target phase",
    "What a balance by `latency` expects of a target: seconds to its `first_token`, or in `total` if unstreamed.",
    "s",
)
UPSTREAM_LIMIT = _ours(
    "interlock_upstream_limit",
    "gauge",
    "target limit",
    "A limit of a provider, as the rate-limit headers of its replies state it.",
)
UPSTREAM_LEFT = _ours(
    "interlock_upstream_limit_remaining",
    "gauge",
    "target limit",
    "What is left of a provider's limit, as the rate-limit headers of its replies state it.",
)
WAITING = _ours(
    "interlock_provider_waiting", "gauge", "provider", "Requests that wait in line for room under a provider's limits."
)
STORE_UP = _ours("interlock_store_up", "gauge", "", "1 while the store of shared state answers, 0 while it is away.")
STORE_DECISIONS = _ours(
    "interlock_store_decisions_total",
    "counter",
    "result",
    "Decisions about limits: `asked` of the shared store, of these `refused`, and `alone` where the store was away.",
)
STORE_AWAY = _ours(
    "interlock_store_away_seconds_total",
    "counter",
    "",
    "Seconds for which the store of shared state was away.",
    "s",
)
LEDGER_UP = _ours("interlock_ledger_up", "gauge", "", "1 while the ledger is written, 0 while that fails.")
LEDGER_ROWS = _ours(
    "interlock_ledger_rows_total",
    "counter",
    "result",
    "Rows for the ledger: `written`, `refused` by its database, and `dropped` for want of room or time.",
)
LEDGER_WAITING = _ours("interlock_ledger_waiting", "gauge", "", "Rows that wait to be written to the ledger.")
BUILD = _ours("interlock_build_info", "gauge", "version", "1, with the version that runs.")
SERIES = _ours("interlock_metrics_label_sets", "gauge", "", "Label sets of requests and attempts that are kept apart.")
OVERFLOWN = _ours(
    "interlock_metrics_overflow_total",
    "counter",
    "",
    "Requests counted under `_overflow`, because there were too many label sets.",
)

METRICS: tuple[Definition, ...] = tuple(d for d in list(globals().values()) if isinstance(d, Definition))
