"""All recordings of the corpus mean what they say, in every protocol."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..play import CUTS
from ..recordings import rows
from .examine import examined, providers, recorded
from .listed import LISTED
from .replies import read
from .spoken import Recorded
from .table import PAGE, page, verified

#: Providers that the catalogue calls otherwise than the corpus.
RECORDED_AS = {"azure-ai-foundry": "azure-foundry"}
#: What this project brings itself, and tests as a server.
OURS = {"demo"}
#: What of the files may be left out.
ALLOWED = 0.03

corpus = pytest.mark.skipif(not rows(), reason="the corpus of recordings (../shared/corpus) is not on this machine")
each = pytest.mark.parametrize("provider", providers() or ["none"])


@corpus
@each
def test_every_exchange_is_as_it_was_recorded(provider: str) -> None:
    wrong = {one.name: one.wrong for one in examined(provider) if one.wrong}
    assert wrong == {}


@corpus
@each
def test_no_exchange_is_lost_by_the_loader(provider: str) -> None:
    found = Counter(one.name for one in examined(provider))
    told = {row["file"]: row["interactions"] for row in rows() if row["provider"] == provider}
    assert {name: count for name, count in told.items() if found[name] < count} == {}


@corpus
def test_what_is_left_out_is_little_and_has_a_reason() -> None:
    every = [found for provider in providers() for found in recorded(provider)]
    ours = {found.name for found in every if found.spoken is not None}
    foreign = {found.name for found in every if found.foreign} - ours
    out = foreign | LISTED.keys()
    assert LISTED.keys() <= ours, "only what would be examined need be listed"
    assert all(len(reason) > 20 for reason in LISTED.values())
    assert len(out) / len(ours | foreign) < ALLOWED


@corpus
def test_the_catalogue_calls_verified_what_recordings_verify() -> None:
    catalogue = Path(__file__).resolve().parents[3] / "providers.d"
    entries = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in catalogue.glob("*.yaml")]
    called = {entry["name"] for entry in entries if entry.get("tier") == "verified"}
    proved = {provider for provider in providers() if verified(examined(provider))}
    assert called - OURS <= {RECORDED_AS.get(provider, provider) for provider in proved}


@corpus
def test_the_table_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`python -m tests.dialects.recorded` writes it"


@corpus
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), CUTS)
def test_streams_may_arrive_in_any_pieces(which: int, cuts: list[int]) -> None:
    some = _streams()
    found = some[which % len(some)]
    assert read(found, cuts) == read(found), found.name


def _streams(kept: list[Recorded] = []) -> list[Recorded]:  # noqa: B006 read once
    if not kept:
        every = (found for provider in providers() for found in recorded(provider))
        kept += [found for found in every if found.spoken and found.streams and found.name not in LISTED]
    return kept
