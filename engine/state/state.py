"""Live facts that outlive graphs, keyed by stable ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.exchange import RULES, Effect, Header, OutcomeClass, Verdict
from engine.graph import Graph, TargetStep

from .circuit import Circuit
from .closure import Closure
from .conversations import Conversations
from .gate import Gate
from .health import Health
from .holds import Hold
from .retry_budget import RetryBudget

#: What a balance gives at first to a target whose breaker has just closed.
FIRST_SHARE = 0.1

_SERVED = OutcomeClass.SERVED


class State:
    """What the engine knows of the moment: requests under way by target id, breakers by circuit id, holds by target id,
    refused credentials by provider, retry budgets by route name, who keeps which conversation, and how the latest
    attempts at each provider went.

    It belongs to one event loop. It survives reloads: a typo's correction must not forget what is under way. Moments
    are arguments, in Unix seconds.
    """

    __slots__ = (
        "_budgets",
        "_circuits",
        "_graphs",
        "_health",
        "_in_flight",
        "_lapses",
        "_recovered",
        "_renewed",
        "_rising",
        "_shut",
        "conversations",
    )

    def __init__(self) -> None:
        self.conversations = Conversations()
        self._health: dict[str, Health] = {}
        self._in_flight: dict[str, int] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._graphs: list[Graph] = []
        """The graphs that serve, the latest last; what none of them has is forgotten."""
        self._circuits: dict[str, Circuit] = {}
        self._shut: dict[str, Gate] = {}
        """Everything that is not open: circuits by their ids, holds by target, refused credentials by provider."""
        self._recovered = 0.0
        """When a circuit was last closed by an attempt that was served."""
        self._rising: dict[str, tuple[float, float]] = {}
        """Target id -> (when its circuit closed, for how long it gets less than its share)."""
        self._lapses: dict[str, float] = {}
        """Target id -> when it last refused our credential."""
        self._renewed: dict[str, float] = {}
        """Provider -> when it got another credential."""

    # -- who is under way ----------------------------------------------------------------------------------------

    def in_flight(self, target: str) -> int:
        """Attempts under way at this target."""
        return self._in_flight.get(target, 0)

    def enter(self, step: TargetStep, now: float) -> None:
        """An attempt at this target begins; :meth:`leave` must follow, and :meth:`note` with the same ``began``."""
        target = step.target.id
        self._in_flight[target] = self._in_flight.get(target, 0) + 1
        if self._shut:
            longest = max(step.timeouts.attempt, step.timeouts.first_token)
            for gate in self._gates(step):
                gate.enter(now, longest, self._recovered)

    def leave(self, target: str) -> None:
        """An attempt at this target ended."""
        left = self._in_flight[target] - 1
        if left:
            self._in_flight[target] = left
        else:
            del self._in_flight[target]

    # -- who is passed over --------------------------------------------------------------------------------------

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target is to be passed over at ``now``, ``None`` if it is not.

        Of several reasons it is the one that lasts longest; it is free only if all are.
        """
        if not self._shut:  # nearly always
            return None
        found: Closure | None = None
        free = True
        for gate in self._gates(step):
            closure = gate.closure(now, self._recovered)
            if closure is not None:
                free = free and closure.free
                if found is None or closure.until > found.until:
                    found = closure
        if found is not None and found.free and not free:
            found = Closure(found.until, found.reason, found.detail, found.tried)
        return found

    def held(self, step: TargetStep) -> bool:
        """Whether the target asked to be left alone, or its provider refuses us: then nobody is to be asked."""
        return any(isinstance(gate, Hold) for gate in self._gates(step))

    def share(self, target: str, now: float) -> float:
        """What a balance gives it of its share (above 0, up to 1): it grows while the target is new to traffic."""
        rising = self._rising.get(target)
        if rising is None:
            return 1.0
        since, span = rising
        if now >= since + span:
            del self._rising[target]
            return 1.0
        return FIRST_SHARE + (1.0 - FIRST_SHARE) * max(0.0, now - since) / span

    def _gates(self, step: TargetStep) -> list[Gate]:
        """Whatever is not open on the way to this target."""
        shut = self._shut
        keys = (step.circuit, step.target.id, step.target.provider.name)
        return [gate for key in keys if (gate := shut.get(key)) is not None]

    # -- what attempts tell --------------------------------------------------------------------------------------

    def answered(self, step: TargetStep, began: float, now: float) -> None:
        """A stream has begun to answer: what was shut need not wait for its end."""
        if self._shut:
            self._served(step, began, now, now - began)

    def note(
        self,
        step: TargetStep,
        verdict: Verdict,
        began: float,
        ended: float,
        first_token: float | None = None,
        header: Header | None = None,
    ) -> None:
        """An attempt ended: the one call by which live facts learn of it.

        ``began`` and ``ended`` are Unix seconds, ``first_token`` seconds after ``began`` (streams only), ``header``
        looks a header of the reply up by its lower-case name (``None``: there was no reply).
        """
        self.health(step.target.provider.name).note(verdict.outcome_class, ended)
        self.learn(step, verdict, began, ended, first_token, header)

    def learn(
        self,
        step: TargetStep,
        verdict: Verdict,
        began: float,
        ended: float,
        first_token: float | None = None,
        header: Header | None = None,
    ) -> None:
        """What an attempt, or a probe that is nobody's request, tells of breakers and holds; as :meth:`note`."""
        outcome = verdict.outcome_class
        if self._shut:
            for gate in self._gates(step):
                gate.leave(began)
        circuit = self._circuits.get(step.circuit) or self._circuit(step)
        took = ended - began if first_token is None else first_token
        if outcome is _SERVED:
            if self._shut:
                self._served(step, began, ended, took)
            if circuit is not None and circuit.success(began, ended, took):
                self._shut[circuit.id] = circuit
            return
        effect = RULES[outcome].breaker
        if effect is Effect.FAILURE:
            if circuit is not None and circuit.failure(began, ended, outcome.value):
                self._shut[circuit.id] = circuit
        elif effect is Effect.NEUTRAL:
            slow = circuit.rules.slow_longer_than if circuit is not None else None
            if circuit is not None and slow is not None and took > slow and circuit.too_long(began, ended):
                self._shut[circuit.id] = circuit
        elif effect is Effect.TARGET:
            if circuit is not None and circuit.trip(began, ended, outcome.value):
                self._shut[circuit.id] = circuit
        elif step.target.provider.auth.scheme != "caller":  # whose credential is nobody else's concern
            self._refused(step, verdict, circuit, began, ended, sent=header is not None)

    def _refused(
        self, step: TargetStep, verdict: Verdict, circuit: Circuit | None, began: float, ended: float, *, sent: bool
    ) -> None:
        """The upstream refuses us as a client: for a while, or this credential."""
        target, provider = step.target.id, step.target.provider.name
        outcome = verdict.outcome_class
        effect = RULES[outcome].breaker
        if self._graphs and not any(target in graph.targets for graph in self._graphs):
            return
        if effect is Effect.HOLD:
            self._hold(target, "held").limited(began, ended, verdict.retry_after)
            return
        if not sent or began < self._renewed.get(provider, 0.0):
            return  # nothing was refused, or what was refused is not sent any more
        before = self._lapses.get(target)
        self._lapses[target] = ended
        served = self.health(provider).served_at
        if effect is Effect.CREDENTIAL and before is not None and served is not None and served > before:
            # The credential has served another target since: it is this one that it may not use.
            if circuit is not None and circuit.trip(began, ended, f"{outcome.value} for this target only"):
                self._shut[circuit.id] = circuit
            return
        spent = effect is Effect.QUOTA
        hold = self._hold(provider, "credential")
        hold.refused(began, ended, outcome.value, spent=spent, retry_after=verdict.retry_after)

    def _hold(self, name: str, reason: str) -> Hold:
        found = self._shut.get(name)
        if not isinstance(found, Hold):
            found = self._shut[name] = Hold(name, "held" if reason == "held" else "credential")
        return found

    def _served(self, step: TargetStep, began: float, now: float, took: float) -> None:
        """Open what an attempt that was served shows to be well again."""
        target = step.target.id
        for key in (step.circuit, target, step.target.provider.name):
            gate = self._shut.get(key)
            if gate is not None and gate.served(began, now, took):
                del self._shut[key]
                if isinstance(gate, Circuit):
                    self._recovered = now
                    if gate.rules.slow_start > 0:
                        self._rising[target] = (now, gate.rules.slow_start)

    # -- the rest ------------------------------------------------------------------------------------------------

    def health(self, provider: str) -> Health:
        """How the latest attempts at this provider went."""
        found = self._health.get(provider)
        if found is None:
            found = self._health[provider] = Health()
        return found

    def retry_budget(self, route: str) -> RetryBudget:
        """The retry budget of this route, made at its first request."""
        budget = self._budgets.get(route)
        if budget is None:
            budget = self._budgets[route] = RetryBudget()
        return budget

    # -- what is kept --------------------------------------------------------------------------------------------

    def renew(self, provider: str, now: float) -> None:
        """The provider got another credential: that the one before was refused counts no more."""
        self._renewed[provider] = now
        self._shut.pop(provider, None)

    def retain(self, graph: Graph) -> None:
        """``graph`` serves from here on, beside those that requests still hold; :meth:`let_go` ends it."""
        self._graphs.append(graph)
        for name in self._budgets.keys() - graph.routes.keys():
            del self._budgets[name]
        self._forget()

    def let_go(self, graph: Graph) -> None:
        """Nobody holds ``graph`` any more: what no other graph has is forgotten."""
        if graph in self._graphs:
            self._graphs.remove(graph)
            self._forget()

    def _forget(self) -> None:
        graphs = self._graphs
        for id_ in [id_ for id_ in self._circuits if not any(id_ in graph.circuits for graph in graphs)]:
            del self._circuits[id_]
            self._shut.pop(id_, None)
        by_target: tuple[dict[str, Any], ...] = (self._rising, self._lapses)
        for known in by_target:
            for target in [target for target in known if not any(target in graph.targets for graph in graphs)]:
                del known[target]
        by_provider: tuple[dict[str, Any], ...] = (self._health, self._renewed)
        for known in by_provider:
            for provider in [name for name in known if not any(name in graph.providers for graph in graphs)]:
                del known[provider]
        for name, gate in list(self._shut.items()):
            if isinstance(gate, Hold):
                nodes = [graph.targets if gate.reason == "held" else graph.providers for graph in graphs]
                if not any(name in known for known in nodes):
                    del self._shut[name]

    def _circuit(self, step: TargetStep) -> Circuit | None:
        """The circuit, made at its first attempt; ``None`` where no graph that serves has it any more."""
        id_ = step.circuit
        if not id_ or (self._graphs and not any(id_ in graph.circuits for graph in self._graphs)):
            return None
        made = self._circuits[id_] = Circuit(id_, step.target.id, step.breaker)
        return made

    def snapshot(self) -> Mapping[str, int]:
        """Attempts under way by target id, at this moment."""
        return dict(self._in_flight)

    def export(self, now: float) -> dict[str, Any]:
        """Breakers, holds and refused credentials with their reasons, as plain JSON values; times are Unix seconds."""
        holds = [gate for gate in self._shut.values() if isinstance(gate, Hold)]
        return {
            "circuits": [self._circuits[id_].export(now) for id_ in sorted(self._circuits)],
            "holds": sorted((h.export(now) for h in holds if h.reason == "held"), key=lambda row: row["target"]),
            "credentials": sorted(
                (h.export(now) for h in holds if h.reason == "credential"), key=lambda row: row["provider"]
            ),
        }
