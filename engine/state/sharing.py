"""What one process has learnt of targets and providers, told to the others, and taken over from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .closure import Closure
from .gate import Gate
from .holds import Hold
from .store import Store

#: Between the target and its rules in the id of a circuit.
_RULES = "#"


class Learnt(Gate):
    """A circuit that another process opened, and of which this one knows no rules: it has made no attempt by it yet."""

    __slots__ = ("target",)

    def __init__(self, id_: str) -> None:
        super().__init__("breaker")
        self.target = id_.rpartition(_RULES)[0]

    def export(self, now: float) -> dict[str, Any]:
        """Its state as plain JSON values, as that of a circuit; times are Unix seconds."""
        state = "open" if self.until > now else "half_open"
        shut = {"since": self.since, "until": self.until, "reason": self.detail, "probes": self.probing(now)}
        return {"target": self.target, "state": state, "opened": 0, **shut}


class Sharing:
    """What other processes know of the gates of this one: the end of each that was told, or learnt from them."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def tell(self, store: Store, keys: tuple[str, ...], shut: Mapping[str, Gate]) -> None:
        """Tell what the others do not know yet of the gates with these keys; those that are not ``shut`` are open."""
        known = self._known
        for key in keys:
            gate = shut.get(key)
            if gate is None:
                if known.pop(key, 0.0):
                    store.publish(key, None)
            elif gate.until != known.get(key, 0.0):
                known[key] = gate.until
                store.publish(key, Closure(gate.until, gate.reason, gate.detail, free=gate.free))

    def learn(self, shut: dict[str, Gate], key: str, closure: Closure, now: float) -> None:
        """Another process shut this until an absolute time: so does this one, if it is later than what it knows."""
        gate = shut.get(key)
        if closure.until <= max(now, gate.until if gate is not None else 0.0):
            return
        if gate is None:
            gate = shut[key] = Learnt(key) if closure.reason == "breaker" else Hold(key, closure.reason)
        gate.free = closure.free
        if isinstance(gate, Hold):
            gate.learn(closure.until, now, closure.detail)
        else:
            gate.shut(closure.until, now, closure.detail)
        self._known[key] = gate.until

    def forget(self, key: str) -> None:
        """This is open, and others find that out by themselves or are told so."""
        self._known.pop(key, None)

    def __bool__(self) -> bool:
        """Whether anything was told that may have to be taken back."""
        return bool(self._known)
