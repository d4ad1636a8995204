"""Live facts that outlive graphs, keyed by stable ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.dialects.rate_limits import rate_limits
from engine.exchange import RULES, Effect, Header, OutcomeClass, Verdict
from engine.graph import Graph, TargetStep

from . import exports
from .buckets import Buckets
from .circuit import Circuit
from .closure import Closure
from .conversations import Conversations
from .forgetting import forget
from .gate import Gate
from .headroom import Headroom
from .health import Health
from .hedge_budget import HedgeBudget
from .holds import Hold
from .latency import Latency
from .mirrors import MirrorTallies
from .retry_budget import RetryBudget
from .sharing import Sharing
from .store import MemoryStore, Store

#: What a balance gives at first to a target whose breaker has just closed.
FIRST_SHARE = 0.1

_SERVED = OutcomeClass.SERVED


class State:
    """What the engine knows of the moment: requests under way by target id, breakers by circuit id, holds by target id,
    refused credentials by provider, budgets of retries and hedges by route, who keeps which conversation, how the
    latest attempts at each provider went and how long they took, and what counts against which limit.

    It belongs to one event loop. It survives reloads: a typo's correction must not forget what is under way. Moments
    are arguments, in Unix seconds.
    """

    __slots__ = (
        "_budgets",
        "_circuits",
        "_graphs",
        "_health",
        "_hedges",
        "_in_flight",
        "_lapses",
        "_metered",
        "_recovered",
        "_renewed",
        "_rising",
        "_sharing",
        "_shut",
        "buckets",
        "conversations",
        "headroom",
        "latency",
        "mirrors",
        "store",
    )

    def __init__(self) -> None:
        self.buckets = Buckets()
        self.conversations = Conversations()
        self.headroom = Headroom()
        self.latency = Latency()
        self.mirrors = MirrorTallies()
        self.store: Store = MemoryStore()
        self._metered: frozenset[str] = frozenset()
        self._health: dict[str, Health] = {}
        self._in_flight: dict[str, int] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._hedges: dict[tuple[str, str], HedgeBudget] = {}
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
        self._sharing = Sharing()

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
        """Whether the target asked to be left alone, or its provider refuses us: then nobody is to ask it."""
        return any(gate.reason != "breaker" for gate in self._gates(step))

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

    def answered(self, step: TargetStep, began: float, now: float, header: Header) -> None:
        """A stream has begun to answer: that counts now and not at its end, which may be far.

        The reply's ``header`` is as old as this, so what it says of limits is read here.
        """
        target = step.target.id
        self.latency.output(target, now - began, now)
        if target in self._metered:
            self.headroom.note(target, rate_limits(header, now), now)
        if self._shut:
            self._served(step, began, now, now - began)
        circuit = self._circuits.get(step.circuit) or self._circuit(step)
        if circuit is not None and circuit.success(began, now, now - began):
            self._shut[circuit.id] = circuit
        if self._shut or self._sharing:
            self._tell(step)

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
        target, outcome = step.target, verdict.outcome_class
        self.health(target.provider.name).note(outcome, ended)
        self.latency.note(target.id, outcome, ended - began, first_token, ended)
        if header is not None and first_token is None and target.id in self._metered:
            self.headroom.note(target.id, rate_limits(header, ended), ended)
        self._judge(step, verdict, began, ended, first_token, sent=header is not None)
        if self._shut or self._sharing:
            self._tell(step)

    def probed(self, step: TargetStep, verdict: Verdict, began: float, ended: float, *, sent: bool) -> None:
        """A probe, which is nobody's request, ended; otherwise as :meth:`note`. ``sent``: there was a reply to it."""
        self._judge(step, verdict, began, ended, None, sent=sent)
        if self._shut or self._sharing:
            self._tell(step)

    def _judge(
        self, step: TargetStep, verdict: Verdict, began: float, ended: float, first_token: float | None, *, sent: bool
    ) -> None:
        """What the attempt says of what is or should be shut."""
        outcome = verdict.outcome_class
        if self._shut:
            for gate in self._gates(step):
                gate.leave(began)
        circuit = self._circuits.get(step.circuit) or self._circuit(step)
        if outcome is _SERVED:
            if first_token is not None:
                return  # it was counted when it began to answer
            if self._shut:
                self._served(step, began, ended, ended - began)
            if circuit is not None and circuit.success(began, ended, ended - began):
                self._shut[circuit.id] = circuit
            return
        effect = RULES[outcome].breaker
        if effect is Effect.FAILURE:
            under_way, counted = self.in_flight(step.target.id), first_token is not None
            if circuit is not None and circuit.failure(began, ended, outcome.value, under_way, counted=counted):
                self._shut[circuit.id] = circuit
        elif effect is Effect.NEUTRAL:
            slow = circuit.rules.slow_longer_than if circuit is not None else None
            waited = first_token is None and slow is not None and ended - began > slow
            if circuit is not None and waited and circuit.too_long(began, ended):
                self._shut[circuit.id] = circuit
        elif effect is Effect.TARGET:
            if circuit is not None and circuit.trip(began, ended, outcome.value):
                self._shut[circuit.id] = circuit
        elif step.target.provider.auth.scheme != "caller":  # whose credential is nobody else's concern
            self._refused(step, verdict, circuit, began, ended, sent=sent)

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
        for key in (step.circuit, step.target.id, step.target.provider.name):
            gate = self._shut.get(key)
            if gate is not None:
                self._reopen(key, gate, began, now, took)

    def _reopen(self, key: str, gate: Gate, began: float, now: float, took: float) -> None:
        if not gate.served(began, now, took):
            return
        del self._shut[key]
        if isinstance(gate, Circuit):
            self._recovered = now
            if gate.rules.slow_start > 0:
                self._rising[gate.target] = (now, gate.rules.slow_start)

    # -- what other processes are told, and tell -----------------------------------------------------------------

    def _tell(self, step: TargetStep) -> None:
        self._sharing.tell(self.store, (step.circuit, step.target.id, step.target.provider.name), self._shut)

    def learn(self, key: str, closure: Closure | None, now: float) -> None:
        """Another process has shut this until an absolute time, or (``None``) was served by it again.

        ``key`` is the id of a circuit, of a target that is held, or a provider whose credential was refused.
        """
        graphs = self._graphs
        if closure is not None:
            if any(key in graph.circuits or key in graph.targets or key in graph.providers for graph in graphs):
                self._sharing.learn(self._shut, key, closure, now)
            return
        self._sharing.forget(key)
        gate = self._shut.get(key)
        if gate is not None:
            self._reopen(key, gate, now, now, 0.0)

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

    def hedge_budget(self, route: str, hedge: str) -> HedgeBudget:
        """The budget of the hedge at this place in the route, made at its first request."""
        budget = self._hedges.get((route, hedge))
        if budget is None:
            budget = self._hedges[route, hedge] = HedgeBudget()
        return budget

    # -- what is kept --------------------------------------------------------------------------------------------

    def renew(self, provider: str, now: float) -> None:
        """The provider got another credential: that the one before was refused counts no more."""
        self._renewed[provider] = now
        self._shut.pop(provider, None)
        self._sharing.forget(provider)  # the others follow the same files

    def retain(self, graph: Graph) -> None:
        """``graph`` serves from here on, beside those that requests still hold; :meth:`let_go` ends it.

        Rate-limit headers are read from here on for the targets that one of its balances by ``usage`` holds.
        """
        self._graphs.append(graph)
        for name in self._budgets.keys() - graph.routes.keys():
            del self._budgets[name]
        for key in [key for key in self._hedges if key[0] not in graph.routes]:
            del self._hedges[key]
        self.mirrors.retain(graph.routes)
        self.buckets.retain(graph.limits.all)
        self._metered = graph.metered
        self.headroom.retain(self._metered)
        self._forget()

    def let_go(self, graph: Graph) -> None:
        """Nobody holds ``graph`` any more: what no other graph has is forgotten."""
        if graph in self._graphs:
            self._graphs.remove(graph)
            self._forget()

    def _forget(self) -> None:
        self.latency.retain({target for graph in self._graphs for target in graph.targets})
        by_target, by_provider = (self._rising, self._lapses), (self._health, self._renewed)
        forget(self._graphs, self._circuits, self._shut, by_target, by_provider)

    def _circuit(self, step: TargetStep) -> Circuit | None:
        """The circuit, made at its first attempt; ``None`` where no graph that serves has it any more."""
        id_ = step.circuit
        if not id_ or (self._graphs and not any(id_ in graph.circuits for graph in self._graphs)):
            return None
        made = self._circuits[id_] = Circuit(id_, step.target.id, step.breaker)
        learnt = self._shut.get(id_)
        if learnt is not None:
            made.take_over(learnt)
            self._shut[id_] = made
        return made

    def snapshot(self) -> Mapping[str, int]:
        """Attempts under way by target id, at this moment."""
        return dict(self._in_flight)

    def export(self, now: float) -> dict[str, Any]:
        """What is shut and why, how long targets take, what limits leave, as plain JSON values; in Unix seconds."""
        return {
            **exports.gates(self._circuits, self._shut, now),
            "latency": self.latency.export(now),
            "headroom": self.headroom.export(now),
            "store": self.store.export(),
        }
