"""What is written down: one frozen record a row, cheap enough to be made while a request is served."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import ClassVar, Literal

from msgspec import Struct, field


def _ids() -> Callable[[], str]:
    """Makes names of rows that sort by time; equal ones never meet, in other processes neither."""
    numbers = itertools.count()  # its steps are indivisible
    process = [os.urandom(6).hex()]

    def after_a_fork() -> None:
        process[0] = os.urandom(6).hex()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=after_a_fork)

    def new() -> str:
        return f"{time.time_ns():016x}{process[0]}{next(numbers) & 0xFFFFFFFF:08x}"

    return new


new_id = _ids()


class Row(Struct, frozen=True, kw_only=True):
    """One row. ``at`` is Unix seconds. ``id`` makes writing it a second time harmless."""

    table: ClassVar[str]

    at: float
    id: str = field(default_factory=new_id)


class Check(Row, frozen=True, kw_only=True):
    """What became known of a provider's health.

    ``active``: the gateway asked; ``latency`` is seconds. ``passive``: traffic told something new of it, that it began
    to fail, or serves again. ``outcome`` is an outcome class, ``detail`` is for the operator.
    """

    table: ClassVar[str] = "provider_checks"

    provider: str
    kind: Literal["active", "passive"]
    outcome: str
    target: str | None = None
    latency: float | None = None
    detail: str = ""


class ConfigChange(Row, frozen=True, kw_only=True):
    """A change of the configuration by API: who (``key``), of what, and the patch. ``branch``: committed there only."""

    table: ClassVar[str] = "config_changes"

    key: str | None
    provider: str
    files: tuple[str, ...]
    before: str
    after: str
    branch: str | None
    patch: str


class Revision(Row, frozen=True, kw_only=True):
    """A configuration went live at ``at``."""

    table: ClassVar[str] = "revisions"

    fingerprint: str
    git_commit: str | None = None
