"""Everything that may be shut on the way to a target: its circuit, its hold, its provider's credential."""

from __future__ import annotations

from typing import Any

from engine.exchange import RULES, Effect, OutcomeClass, Verdict
from engine.graph import Graph, TargetStep

from .circuit import Circuit
from .closure import Closure
from .gate import Gate
from .health import Health
from .holds import Hold
from .sharing import Learnt, Sharing
from .store import Store

#: What a balance gives at first to a target whose breaker has just closed.
FIRST_SHARE = 0.1

_SERVED = OutcomeClass.SERVED


class Gates:
    """Breakers by circuit id, holds by target id, refused credentials by provider. Moments are Unix seconds."""

    __slots__ = ("_circuits", "_graphs", "_lapses", "_recovered", "_renewed", "_rising", "_sharing", "_shut")

    def __init__(self) -> None:
        self._graphs: list[Graph] = []
        """The graphs that serve; what none of them has is forgotten."""
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

    # -- who is passed over --------------------------------------------------------------------------------------

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target is to be passed over at ``now``, ``None`` if it is not.

        Of several reasons it is the one that lasts longest; it is free only if all are.
        """
        shut = self._shut
        if not shut:  # nearly always
            return None
        target = step.target
        if step.circuit not in shut and target.id not in shut and target.provider.name not in shut:
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

    def enter(self, step: TargetStep, now: float) -> None:
        """An attempt at this target begins; :meth:`judge` must follow with the same ``began``."""
        if self._shut:
            longest = max(step.timeouts.attempt, step.timeouts.first_token)
            for gate in self._gates(step):
                gate.enter(now, longest, self._recovered)

    def answered(self, step: TargetStep, began: float, now: float) -> None:
        """A stream has begun to answer: that counts now and not at its end, which may be far."""
        if self._shut:
            self._served(step, began, now, now - began)
        circuit = self._circuits.get(step.circuit) or self._circuit(step)
        if circuit is not None and circuit.success(began, now, now - began):
            self._shut[circuit.id] = circuit

    def judge(
        self,
        step: TargetStep,
        verdict: Verdict,
        began: float,
        ended: float,
        first_token: float | None,
        *,
        sent: bool,
        under_way: int,
        health: Health,
    ) -> None:
        """What an ended attempt says of what is or should be shut.

        ``sent`` is whether there was a reply, ``under_way`` how many other attempts the target has, ``health`` how its
        provider did.
        """
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
            counted = first_token is not None
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
            self._refused(step, verdict, circuit, began, ended, health.served_at, sent=sent)

    def _refused(
        self,
        step: TargetStep,
        verdict: Verdict,
        circuit: Circuit | None,
        began: float,
        ended: float,
        served: float | None,
        *,
        sent: bool,
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

    def tell(self, step: TargetStep, store: Store) -> None:
        """Tell the processes that share ``store`` what an attempt has shut or opened."""
        if self._shut or self._sharing:
            self._sharing.tell(store, (step.circuit, step.target.id, step.target.provider.name), self._shut)

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

    # -- what is kept --------------------------------------------------------------------------------------------

    def renew(self, provider: str, now: float) -> None:
        """The provider got another credential: that the one before was refused counts no more."""
        self._renewed[provider] = now
        self._shut.pop(provider, None)
        self._sharing.forget(provider)  # the others follow the same files

    def retain(self, graphs: list[Graph]) -> None:
        """These graphs serve, the latest last: what none of them has is forgotten."""
        self._graphs = graphs
        for id_ in [id_ for id_ in self._circuits if not any(id_ in graph.circuits for graph in graphs)]:
            del self._circuits[id_]
            self._shut.pop(id_, None)
        by_target: tuple[dict[str, Any], ...] = (self._rising, self._lapses)
        for known in by_target:
            for target in [target for target in known if not any(target in graph.targets for graph in graphs)]:
                del known[target]
        for provider in [name for name in self._renewed if not any(name in graph.providers for graph in graphs)]:
            del self._renewed[provider]
        for name, gate in list(self._shut.items()):
            if isinstance(gate, Hold):
                nodes = [graph.targets if gate.reason == "held" else graph.providers for graph in graphs]
                if not any(name in known for known in nodes):
                    del self._shut[name]
            elif isinstance(gate, Learnt) and not any(name in graph.circuits for graph in graphs):
                del self._shut[name]

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

    def export(self, now: float) -> dict[str, Any]:
        """Breakers, holds and refused credentials with their reasons, as plain JSON values."""
        holds = [gate for gate in self._shut.values() if isinstance(gate, Hold)]
        return {
            "circuits": [self._circuits[id_].export(now) for id_ in sorted(self._circuits)]
            + [gate.export(now) for _, gate in sorted(self._shut.items()) if isinstance(gate, Learnt)],
            "holds": sorted((h.export(now) for h in holds if h.reason == "held"), key=lambda row: row["target"]),
            "credentials": sorted(
                (h.export(now) for h in holds if h.reason == "credential"), key=lambda row: row["provider"]
            ),
        }
