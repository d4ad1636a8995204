"""The table of conformance: what was examined of each provider, and what was not, with the reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .examine import SCENARIOS, Examined, examined, providers

PAGE = Path(__file__).parents[1] / "CONFORMANCE.md"

_HEAD = """# Conformance

Every exchange that the corpus of recordings holds, by provider, and what was found right in it: the request comes back
from the canonical form as it was and can be written in every other protocol; the reply has the text, the calls, the
reason to end and the usage that its JSON says, also cut anywhere; each protocol of our clients carries it; an error has
its class. An exchange counts in every column that it shows; `3 (1)` is three that passed and one that was skipped, for
a reason below. Written by `python -m tests.dialects.recorded`; a test holds it to the recordings.

"""

#: What makes a provider's entry in the catalogue ``verified``.
NEEDED = ("chat", "stream", "errors")


def page() -> str:
    """The whole document, from the recordings."""
    found = {provider: examined(provider) for provider in providers()}
    parts = [_HEAD, _totals(found), "\n", *_rows(found), "\n", _verified(found), "\n", *_skips(found)]
    return "".join(parts)


def verified(found: tuple[Examined, ...]) -> bool:
    """Whether recordings of chat, of streams and of errors were there and passed, and nothing failed."""
    shown = {scenario for one in found if not one.skipped for scenario in one.scenarios}
    return shown >= set(NEEDED) and not any(one.wrong for one in found)


def _totals(found: dict[str, tuple[Examined, ...]]) -> str:
    every = [one for some in found.values() for one in some]
    ours = [one for one in every if one.ours]
    skipped = sum(1 for one in ours if one.skipped)
    passed = sum(1 for one in ours if not one.skipped and not one.wrong)
    all_, some = f"{_files(every):,} files hold {len(every):,} exchanges", f"{_files(ours):,} files hold {len(ours):,}"
    return f"{all_}. Of the kinds below {some}: {passed:,} passed, {skipped} were skipped.\n"


def _files(some: list[Examined]) -> int:
    return len({one.name for one in some})


def _rows(found: dict[str, tuple[Examined, ...]]) -> list[str]:
    lines = ["| provider | " + " | ".join(SCENARIOS) + " |\n", "|---|" + "---:|" * len(SCENARIOS) + "\n"]
    for provider, some in found.items():
        passed = Counter(scenario for one in some if not one.skipped for scenario in one.scenarios)
        skipped = Counter(scenario for one in some if one.skipped for scenario in one.scenarios)
        if passed or skipped:
            cells = [_cell(passed[scenario], skipped[scenario]) for scenario in SCENARIOS]
            lines.append(f"| {provider} | " + " | ".join(cells) + " |\n")
    return lines


def _cell(passed: int, skipped: int) -> str:
    return (f"{passed} ({skipped})" if skipped else str(passed)) if passed or skipped else ""


def _verified(found: dict[str, tuple[Examined, ...]]) -> str:
    names = [provider for provider, some in found.items() if verified(some)]
    needed = f"{NEEDED[0]}, {NEEDED[1]} and {NEEDED[2]}"
    return f"Recordings of {needed} passed for: {', '.join(names)}.\n"


def _skips(found: dict[str, tuple[Examined, ...]]) -> list[str]:
    lines = ["| skipped | exchanges | of |\n", "|---|---:|---|\n"]
    reasons = {one.skipped for some in found.values() for one in some if one.skipped}
    for reason in sorted(reasons):
        counts = {name: sum(one.skipped == reason for one in some) for name, some in found.items()}
        where = ", ".join(name for name, count in counts.items() if count)
        lines.append(f"| {reason} | {sum(counts.values())} | {where} |\n")
    return lines
