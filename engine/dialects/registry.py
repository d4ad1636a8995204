"""Finding dialects: the modules of this package, and what installed packages offer as ``engine.dialects``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TypeVar

from .protocol import Dialect

ENTRY_POINT = "engine.dialects"

D = TypeVar("D", bound=type)
_FOUND: dict[str, tuple[type[Dialect], str]] = {}


def dialect(name: str) -> Callable[[D], D]:
    """Register a class as the dialect ``name``. Two classes of one name are an error that names both modules."""

    def register(cls: D) -> D:
        known = _FOUND.get(name)
        if known is not None and known[0] is not cls:
            raise ValueError(f"dialect {name!r} is defined by both {known[1]} and {cls.__module__}; remove one of them")
        cls.name = name  # type: ignore[attr-defined]
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
