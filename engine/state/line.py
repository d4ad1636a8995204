"""A waiting line that is fair between callers: first come, first served within a caller, and turns between them."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Ticket(Generic[T]):
    """A place in a line."""

    __slots__ = ("_order", "caller", "cost", "item", "left", "start")

    def __init__(self, caller: str, item: T, cost: float, start: float, order: int) -> None:
        self.caller = caller
        self.item = item
        self.cost = cost
        self.start = start
        self.left = False
        self._order = order

    def __lt__(self, other: Ticket[T]) -> bool:
        return (self.start, self._order) < (other.start, other._order)


class Line(Generic[T]):
    """Who waits for the same thing, in the order to serve them: start-time fair queueing over what each one asks for.

    (Goyal, Vin and Cheng, "Start-time fair queuing", SIGCOMM 1996.) Of two callers that both wait, neither gets more
    than the other by more than one request each, however many the greedier one has in the line. Joining and serving
    take logarithmic time, leaving is at once.
    """

    __slots__ = ("_count", "_heap", "_last", "_moment", "_order")

    def __init__(self) -> None:
        self._heap: list[Ticket[T]] = []
        self._last: dict[str, tuple[float, int]] = {}
        """Caller -> (where its next one starts, how many of it wait)."""
        self._moment = 0.0
        self._order = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, caller: str, item: T, cost: float = 1.0) -> Ticket[T]:
        """A place behind those of the same caller; ``cost`` above 0 is what it asks for."""
        finish, waiting = self._last.get(caller, (0.0, 0))
        start = max(self._moment, finish)
        self._order += 1
        self._count += 1
        self._last[caller] = (start + cost, waiting + 1)
        ticket = Ticket(caller, item, cost, start, self._order)
        heapq.heappush(self._heap, ticket)
        return ticket

    def first(self) -> Ticket[T] | None:
        """Who is to be served next."""
        heap = self._heap
        while heap and heap[0].left:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def serve(self, ticket: Ticket[T]) -> None:
        """The first one is served."""
        self._moment = max(self._moment, ticket.start)
        self._remove(ticket, ticket.start + ticket.cost)

    def leave(self, ticket: Ticket[T]) -> None:
        """It waits no longer. May be repeated."""
        if not ticket.left:
            self._remove(ticket, ticket.start)

    def _remove(self, ticket: Ticket[T], alone: float) -> None:
        """``alone`` is where the caller's next one starts if it has no other in the line."""
        ticket.left = True
        self._count -= 1
        finish, waiting = self._last[ticket.caller]
        if waiting > 1:
            self._last[ticket.caller] = (finish, waiting - 1)
        elif alone > self._moment:
            # What it was served lately still counts, as long as others wait.
            self._last[ticket.caller] = (alone, 0)
        else:
            del self._last[ticket.caller]
        if not self._count:
            self._heap.clear()
            self._last.clear()
        elif len(self._heap) > 2 * self._count + 64:
            self._heap = [other for other in self._heap if not other.left]
            heapq.heapify(self._heap)
            self._last = {name: row for name, row in self._last.items() if row[1] or row[0] > self._moment}

    def callers(self) -> int:
        """How many callers wait."""
        return sum(1 for _, waiting in self._last.values() if waiting)
