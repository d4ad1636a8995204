"""Reading a stream of chat completions as canonical events."""

from __future__ import annotations

from typing import Any

from engine.dialects.splice import name_of
from engine.dialects.sse import Splitter, payload
from engine.dialects.trees import count, json_tree, mapping, mappings, text
from engine.exchange import Usage
from engine.exchange.events import Began, Ended, Event, Failed, Used

from .choice_reader import ChoiceReader
from .citations import SOURCES, read_sources
from .reply import inner_error
from .reply_read import choice_failure
from .usage import read_usage

_DONE = b"[DONE]"
#: Fields of a chunk that are read, and paddings that change with every chunk and mean nothing.
_KNOWN = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "error", "p", "obfuscation", "padding"}
)
#: Facts of the reply as a whole that may come late.
_FACTS = frozenset({"id", "model", "service_tier"})


class ChatReader:
    """Reads one stream. The events of a choice come from its :class:`ChoiceReader`."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._choices: dict[int, ChoiceReader] = {}
        self._began: Began | None = None
        self._told: set[str] = set()
        self._usual: frozenset[str] = frozenset()
        """The fields of a chunk whose facts are all told: those that are alike bring no news."""
        self._usage: Usage | None = None
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._events(self._splitter.feed(data))

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        events = self._events(self._splitter.flush())
        if not self._over:
            for choice in self._choices.values():
                events.extend(choice.close())
        return events

    def _events(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        for event in block.split(b"\n\n"):
            data = payload(event) if event and not self._over else b""
            if data:
                self._frame(event, data, events)
        return events

    def _frame(self, event: bytes, data: bytes, events: list[Event]) -> None:
        if data == _DONE:
            self._over = True
            for choice in self._choices.values():
                events.extend(choice.close())
            events.append(Ended())
            return
        chunk = json_tree(data)
        if not isinstance(chunk, dict):
            return  # some service's extension, not ours to judge
        if chunk.get("error") or chunk.get("object") == "error" or (b"\n" in event and name_of(event) == "error"):
            self._over = True
            events.append(Failed(inner_error(chunk.get("error") or chunk)))
            return
        if chunk.keys() != self._usual:
            self._begin(chunk, events)
        for tree in mappings(chunk.get("choices")):
            self._choice(tree, chunk, events)
        usage = chunk.get("usage") or ("x_groq" in chunk and mapping(chunk["x_groq"]).get("usage"))
        if usage:
            found = read_usage(usage)
            if found is not None and found != self._usage:
                self._usage = found
                events.append(Used(found))

    def _begin(self, chunk: dict[str, Any], events: list[Event]) -> None:
        """The facts of the reply as a whole, whenever a chunk brings new ones."""
        began = self._began
        id_, model, tier = text(chunk.get("id")), text(chunk.get("model")), text(chunk.get("service_tier")) or None
        created = count(chunk.get("created"))
        fresh = {
            name: value
            for name, value in chunk.items()
            if name not in _KNOWN and value is not None and name not in self._told
        }
        if began is not None and not fresh:
            known = (began.id or not id_) and (began.model or not model) and (began.service_tier or not tier)
            if known:
                self._usual = frozenset(chunk) if self._is_told(chunk, began) else self._usual
                return
        self._told.update(fresh)
        if began is None:
            self._began = Began(id_, model, created, tier, fresh)
        else:
            tier = began.service_tier or tier
            self._began = Began(began.id or id_, began.model or model, began.created or created, tier, fresh)
        events.append(self._began)

    def _is_told(self, chunk: dict[str, Any], began: Began) -> bool:
        told = {"id": began.id, "model": began.model, "service_tier": began.service_tier}
        return all(told[name] if name in _FACTS else name in _KNOWN or name in self._told for name in chunk)

    def _choice(self, tree: dict[str, Any], chunk: dict[str, Any], events: list[Event]) -> None:
        place = tree.get("index")
        index = (count(place) or 0) if place else 0
        choice = self._choices.get(index)
        if choice is None:
            seed = self._began.id if self._began is not None else ""
            choice = self._choices[index] = ChoiceReader(index, seed if index == 0 else f"{seed}/{index}")
        delta = tree.get("delta")
        if isinstance(delta, dict):
            events.extend(choice.delta(delta))
        elif not choice.spoke:
            events.extend(choice.delta(mapping(tree.get("message"))))
        tokens = tree.get("logprobs")
        if tokens is not None:
            events.extend(choice.logprobs(tokens))
        if choice.uncited and not SOURCES.isdisjoint(chunk):
            events.extend(choice.cite(read_sources(chunk)))
        word = text(tree.get("finish_reason"))
        if not word and "error" not in tree:
            return
        failure = choice_failure(tree)
        if failure is not None:
            self._over = True
            events.append(Failed(failure))
            return
        if word:
            events.extend(choice.finish(word, tree))
