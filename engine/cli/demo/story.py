"""The demo's story: every step does something real, shows what came back, and fails loudly if a claim does not hold."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .client import Answer, Client
from .narrator import Narrator, claim
from .stage import Stage

_QUESTION = "In one sentence: what does a railway interlocking do?"
_SHORT = "Say hello."
_USERS = ("ada", "alan", "barbara", "dennis", "edsger", "grace", "john", "margaret")
_RELOAD_LIMIT = 10.0
_POLL = 0.02
_ROUTE_FILE = "policies/moving.yaml"
_BEFORE, _AFTER, _TYPO = "step: embedded/smollm2", "step: embedded/smollm2-brief", "step: embedded/smollm2-breif"


def tell(stage: Stage, client: Client, say: Narrator) -> None:
    """Play every step in order. Raises :class:`ClaimError` at the first claim that does not hold."""
    for step in (_chat, _stream, _failover, _split, _edit, _broken_edit):
        step(stage, client, say)


def _chat(stage: Stage, client: Client, say: Narrator) -> None:
    say.step("A chat through the official openai SDK", f'OpenAI(base_url="{stage.url}/v1"), and no other change.')
    answer = client.ask("chat", _QUESTION, temperature=0, max_tokens=60)
    say.fact("asked", f'model "chat": {_QUESTION}')
    say.fact("answered", answer.text)
    say.proof(answer.headers, "x-interlock-route", "x-interlock-target")
    claim(bool(answer.text.strip()), "the model answers with text", repr(answer.text))
    claim(answer.route == "chat", "the route is chat", answer.route)
    claim(answer.target == "embedded/smollm2", "embedded/smollm2 answers", answer.target)
    claim(answer.graph == stage.status()["running"]["fingerprint"], "the reply names the running graph", answer.graph)
    say.ok(f"{answer.tokens} tokens in {answer.seconds:.2f} s, routed by graph {answer.graph}")


def _stream(stage: Stage, client: Client, say: Narrator) -> None:
    say.step("The same as a stream", "Pieces are relayed the moment they come from the model, not collected first.")
    say.begin("streamed")
    answer = client.stream("chat", "Tell me about trains and signals.", say.piece, temperature=0, max_tokens=60)
    say.end()
    say.proof(answer.headers, "x-interlock-route", "x-interlock-target")
    arrivals = answer.arrivals
    claim(len(arrivals) >= 10, "the stream comes in many pieces", f"{len(arrivals)} pieces")
    spread = arrivals[-1] - arrivals[0]
    apart = sum(later - earlier > 0.0005 for earlier, later in pairwise(arrivals))
    claim(spread > 0.3 * answer.seconds, "the pieces are spread over the answer's time", f"{spread:.3f} s")
    claim(apart >= 10, "the pieces come one by one", f"{apart} of {len(arrivals)} came apart")
    claim(bool(answer.tokens), "a stream reports its usage when asked", answer.tokens)
    say.ok(f"{len(arrivals)} pieces, the first after {arrivals[0]:.3f} s, the last after {arrivals[-1]:.3f} s")


def _failover(stage: Stage, client: Client, say: Narrator) -> None:
    say.step(
        "A dead provider, and nobody notices",
        'Route "resilient" tries asleep/smollm2 first; nothing listens on that provider\'s port.',
    )
    for answer in (
        client.ask("resilient", _QUESTION, temperature=0, max_tokens=60),
        client.stream("resilient", _QUESTION, lambda _: None, temperature=0, max_tokens=60),
    ):
        how = "streamed" if answer.arrivals else "answered"
        say.fact(how, answer.text)
        say.proof(answer.headers, "x-interlock-target", "x-interlock-attempts")
        claim(bool(answer.text.strip()), "the client gets an answer all the same", repr(answer.text))
        claim(answer.target == "embedded/smollm2", "the living model answers", answer.target)
        attempts = answer.headers.get("x-interlock-attempts", "")
        claim(attempts == "2", "two attempts: the dead one, then the living one", attempts)
    say.ok("one request, two attempts, status 200; streams too")


def _split(stage: Stage, client: Client, say: Narrator) -> None:
    say.step(
        "An A/B split that sticks to its users",
        'Route "experiment": half of the users get the usual answers, half at most 8 tokens. Each asks twice; '
        "x-interlock-target says which side answered.",
    )
    variants = {"embedded/smollm2": "usual", "embedded/smollm2-brief": "brief"}
    seen: Counter[str] = Counter()
    for user in _USERS:
        first, second = (client.ask("experiment", _SHORT, user=user, temperature=0, max_tokens=24) for _ in range(2))
        claim(first.target in variants, "the split picks one of its variants", first.target)
        claim(first.target == second.target, f"{user} stays in one variant", f"{first.target}, then {second.target}")
        variant = variants[first.target]
        seen[variant] += 1
        limit = 8 if variant == "brief" else 24
        claim((first.tokens or 0) <= limit, f"{variant} answers have at most {limit} tokens", first.tokens)
        say.fact(user, f"{variant:7}{first.target}, {first.tokens} tokens; then {second.target} again")
    claim(len(seen) == 2, "both variants have users", dict(seen))
    say.ok(", ".join(f"{count} users {variant}" for variant, count in sorted(seen.items())) + "; none changed sides")


def _edit(stage: Stage, client: Client, say: Narrator) -> None:
    say.step("An edit of a YAML file changes the route, live", f"In {stage.config}, no restart, no call of an API.")
    before = client.ask("moving", _SHORT, temperature=0, max_tokens=24)
    claim(before.target == "embedded/smollm2", "the route begins at embedded/smollm2", before.target)
    say.block([_ROUTE_FILE])
    say.block([f"- {_BEFORE}"], "red")
    say.block([f"+ {_AFTER}"], "green")
    began = time.monotonic()
    stage.edit(_ROUTE_FILE, f"{_BEFORE}\n", f"{_AFTER}\n")
    status = _poll(stage, "the edit is live", lambda status: status["running"]["fingerprint"] != before.graph)
    seconds = time.monotonic() - began
    after = client.ask("moving", _SHORT, temperature=0, max_tokens=24)
    for when, answer in (("before", before), ("after", after)):
        say.fact(when, f"x-interlock-graph: {answer.graph}   x-interlock-target: {answer.target}")
    claim(after.target == "embedded/smollm2-brief", "the route leads to the new target", after.target)
    claim(after.graph == status["running"]["fingerprint"], "the reply names the new graph", after.graph)
    say.ok(f"live {seconds:.2f} s after the file was saved")


def _broken_edit(stage: Stage, client: Client, say: Narrator) -> None:
    say.step("A broken edit is refused, and answers keep coming", "The same file, saved with a typo.")
    running = stage.status()["running"]["fingerprint"]
    stage.edit(_ROUTE_FILE, f"{_AFTER}\n", f"{_TYPO}\n")
    answers: list[Answer] = []

    def refused(status: dict[str, Any]) -> bool:
        answers.append(client.ask("moving", _SHORT, temperature=0, max_tokens=4))
        return bool(status["diagnostics"])

    status = _poll(stage, "the status names the broken edit", refused)
    say.fact("checked", "$ interlock check, what a pull request would say")
    say.block(_check(stage))
    finding = status["diagnostics"][0]
    place = f"{finding['file']}:{finding['line']}:{finding['column']}"
    say.fact("status", f"GET /api/v1/status says {finding['code']} at {place}")
    answers.extend(client.ask("moving", _SHORT, temperature=0, max_tokens=4) for _ in range(5))
    graphs = {answer.graph for answer in answers}
    claim(graphs == {running}, "every answer comes from the last good graph", graphs)
    claim(stage.status()["running"]["fingerprint"] == running, "the running graph is unchanged")
    say.fact("meanwhile", f"{len(answers)} requests, {len(answers)} answers, all from graph {running}")
    stage.edit(_ROUTE_FILE, f"{_TYPO}\n", f"{_AFTER}\n")
    _poll(stage, "mending the file clears the status", lambda status: not status["diagnostics"])
    claim(client.ask("moving", _SHORT, max_tokens=4).graph == running, "the mended file is the same graph")
    say.ok("refused with file, line and remedy; mended, the finding is gone")


def _check(stage: Stage) -> list[str]:
    """What ``interlock check`` prints on the broken folder."""
    command = [sys.executable, "-m", "engine.cli", "check", str(stage.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own command
    claim(done.returncode == 1, "`interlock check` exits 1", done.returncode)
    claim("^^^" in done.stdout and _ROUTE_FILE in done.stdout, "`interlock check` points at the typo", done.stdout)
    return done.stdout.rstrip().splitlines()


def _poll(stage: Stage, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The server's status once ``holds`` says so; a claim that fails after some seconds."""
    deadline = time.monotonic() + _RELOAD_LIMIT
    while True:
        status = stage.status()
        if holds(status):
            return status
        claim(time.monotonic() < deadline, f"{what} within {_RELOAD_LIMIT:g} s", status)
        time.sleep(_POLL)
