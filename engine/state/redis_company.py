"""What processes tell each other through the store: that they live, what they run, and what is closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import DecodeError, Struct, ValidationError, convert, json, structs

from .closure import Closure
from .redis_link import Command, Link

_log = logging.getLogger("interlock.state")

#: Seconds without a beat after which what a process has in flight is free for others.
LEASE = 5.0
#: Seconds for which the news of a return is kept for those who have not heard of it.
RETURN = 60.0
#: Closures that are remembered before those that are over are forgotten.
ROOM = 1000


class Peer(Struct):
    """A process that shares the store, as it said itself."""

    id: str
    host: str = ""
    pid: int = 0
    fingerprint: str = ""


class Company:
    """The processes that share a store, and what they have said is closed.

    ``who`` says who this one is, at every beat; ``clock`` is Unix seconds and turns the absolute ends of closures into
    durations and back, so that processes need not agree on the time; ``tell`` receives what others publish.
    """

    def __init__(
        self,
        head: str,
        who: Callable[[], Peer],
        clock: Callable[[], float],
        tell: Callable[[str, Closure | None], None],
    ) -> None:
        self.me = who().id
        self._who = who
        self._clock = clock
        self._tell = tell
        self.processes = (f"{head}processes", f"{head}processes:say")
        """The keys of who is there, and of what they say."""
        self._news = (f"{head}closures:number", f"{head}closures:order", f"{head}closures")
        self._known = 0
        self._closures: dict[str, Closure] = {}
        self.peers: tuple[Peer, ...] = ()
        """Who is there, this process included, as of the latest beat."""

    def said(self) -> Peer:
        """This process, as it is now."""
        return self._who()

    def closures(self) -> Mapping[str, Closure]:
        """What others have said is closed; some may be over."""
        return self._closures

    def publish(self, id_: str, closure: Closure | None) -> Command | None:
        """What tells the others; nothing where there is nothing to tell."""
        if closure is None:
            lasts, what = RETURN, ""
            self._closures.pop(id_, None)
        else:
            lasts = closure.until - self._clock()
            what = json.encode(structs.replace(closure, until=0.0, tried=0.0)).decode()
        if lasts <= 0:
            return None
        return Command("publish", self._news, (self.me, id_, round(lasts * 1_000_000), what, ""))

    def beat(self, link: Link, *, greeting: bool = False) -> Command:
        """A sign of life, whose answer is the news. A store that no longer knows this process is greeted anew."""
        said = json.encode(self._who()).decode()

        def answered(answer: Any) -> None:
            if answer is None:
                return
            if answer[0] or greeting:
                self._heard(*answer[1:])
            else:
                link.drop("it no longer knew this process")

        arguments = (self.me, round(LEASE * 1_000_000), said, self._known, "")
        return Command("beat", (*self.processes, *self._news), arguments, answered)

    def leave(self) -> Command:
        """A goodbye, so that nobody waits for the lease to end."""
        return Command("leave", self.processes, (self.me,))

    def _heard(self, number: int, said: list[str], news: list[tuple[str, str, str, str]]) -> None:
        self.peers = tuple(json.decode(text, type=Peer) for text in said[1::2])
        now = self._clock()
        if len(self._closures) > ROOM:
            self._closures = {id_: known for id_, known in self._closures.items() if known.until > now}
        for id_, micros, process, what in news:
            if process != self.me:
                self._learn(id_, now + int(micros) / 1_000_000, what, now)
        # A store that was emptied counts from the start again.
        self._known = number

    def _learn(self, id_: str, until: float, what: str, now: float) -> None:
        if not what:
            self._closures.pop(id_, None)
            self._tell(id_, None)
            return
        known = self._closures.get(id_)
        if until <= now or (known is not None and known.until >= until):
            return
        try:
            closure = convert({**json.decode(what), "until": until}, type=Closure)
        except (ValidationError, DecodeError, TypeError):
            _log.warning("a process of another version closed %s for a reason that this one does not know", id_)
            return
        self._closures[id_] = closure
        self._tell(id_, closure)
