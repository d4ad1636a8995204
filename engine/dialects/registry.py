"""Finding dialects: the modules of this package, and what installed packages offer as ``engine.dialects``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Protocol, TypeVar

from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest

ENTRY_POINT = "engine.dialects"


class Dialect(Protocol):
    """A wire protocol, both ways. Pure: no I/O, no clock; ``now`` is Unix time in seconds."""

    surfaces: frozenset[str]
    """The surfaces it can carry; the relayed endpoints are among them."""

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The request as the upstream is to receive it."""

    def decode(self, call: Call, header: Header, body: bytes) -> Verdict:
        """What a reply with a status of success means: served with its usage, or an error in disguise."""

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """What a reply with any other status means. Total: every status and every body has an answer."""

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder for one stream that answers ``call``."""

    def error_event(self, error: Mapping[str, object]) -> bytes:
        """An in-band error, in a form that this dialect's clients raise; ``error`` has OpenAI's shape."""


D = TypeVar("D", bound=type)
_FOUND: dict[str, tuple[type[Dialect], str]] = {}


def dialect(name: str) -> Callable[[D], D]:
    """Register a class as the dialect ``name``. Two classes of one name are an error that names both modules."""

    def register(cls: D) -> D:
        known = _FOUND.get(name)
        if known is not None and known[0] is not cls:
            raise ValueError(f"dialect {name!r} is defined by both {known[1]} and {cls.__module__}; remove one of them")
        _FOUND[name] = (cls, cls.__module__)
        return cls

    return register


@functools.cache
def dialects() -> Mapping[str, Dialect]:
    """Every dialect by name, one instance each; built-in ones and those of installed packages."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    for entry in entry_points(group=ENTRY_POINT):
        entry.load()
    return MappingProxyType({name: cls() for name, (cls, _) in sorted(_FOUND.items())})
