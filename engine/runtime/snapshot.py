"""What a request pins for its whole life: a graph, the clients prepared for it, and where they came from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from engine.graph import Graph

if TYPE_CHECKING:
    from engine.executor.clients import Clients


class Snapshot:
    """A graph and its clients, live until another takes their place.

    ``graph`` and ``clients`` never change. ``loaded_at`` is when this meaning of the configuration went live (UTC);
    ``git_commit`` the commit its files were found at, if any: it is the one thing that may be updated, because a commit
    can move without any file changing.

    Belongs to one event loop; not safe for use from several threads.
    """

    __slots__ = ("_drained", "_pins", "_retired", "clients", "digest", "git_commit", "graph", "loaded_at")

    def __init__(
        self,
        graph: Graph,
        clients: Clients,
        *,
        loaded_at: datetime,
        digest: str = "",
        git_commit: str | None = None,
        drained: Callable[[Snapshot], None] | None = None,
    ) -> None:
        self.graph = graph
        self.clients = clients
        self.loaded_at = loaded_at
        self.digest = digest
        """Content digest of the files it was compiled from."""
        self.git_commit = git_commit
        self._pins = 0
        self._retired = False
        self._drained = drained

    @property
    def pins(self) -> int:
        """How many requests hold it."""
        return self._pins

    @property
    def retired(self) -> bool:
        """Whether another snapshot has taken its place."""
        return self._retired

    def pin(self) -> Pin:
        """A hold on this snapshot; whoever takes it must release it."""
        self._pins += 1
        return Pin(self)

    def retire(self) -> None:
        """Serve no further requests; ``drained`` is called once, as soon as no request holds it. May be repeated."""
        if not self._retired:
            self._retired = True
            self._settle()

    def abandon(self) -> None:
        """Treat it as drained although requests hold it: the engine closes and will not wait for them any longer."""
        self._retired = True
        self._pins = 0
        self._settle()

    def _let_go(self) -> None:
        self._pins -= 1
        self._settle()

    def _settle(self) -> None:
        if self._retired and self._pins <= 0 and self._drained is not None:
            drained, self._drained = self._drained, None
            drained(self)


class Pin:
    """One request's hold on a snapshot. ``release`` may be called again without harm; only the first counts."""

    __slots__ = ("_snapshot", "clients", "graph")

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot: Snapshot | None = snapshot
        self.graph = snapshot.graph
        self.clients = snapshot.clients

    def release(self) -> None:
        """Let the snapshot go."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot._let_go()
