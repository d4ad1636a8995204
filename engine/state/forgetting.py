"""What live facts are kept: those of the graphs that serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.graph import Graph

from .circuit import Circuit
from .gate import Gate
from .holds import Hold


def forget(
    graphs: Iterable[Graph],
    circuits: dict[str, Circuit],
    shut: dict[str, Gate],
    by_target: Iterable[dict[str, Any]],
    by_provider: Iterable[dict[str, Any]],
) -> None:
    """Remove from these facts whatever belongs to a circuit, target or provider that no graph has."""
    ids = {id_ for graph in graphs for id_ in graph.circuits}
    targets = {target for graph in graphs for target in graph.targets}
    providers = {provider for graph in graphs for provider in graph.providers}
    for names, facts in ((targets, by_target), (providers, by_provider)):
        for known in facts:
            for name in known.keys() - names:
                del known[name]
    for id_ in circuits.keys() - ids:
        del circuits[id_]
    for name, gate in list(shut.items()):
        held = targets if gate.reason == "held" else providers
        if name not in (held if isinstance(gate, Hold) else ids):
            del shut[name]
