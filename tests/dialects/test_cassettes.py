"""Every cassette: the request goes out as it must, and the reply means what it must, however its bytes are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.exchange import OutcomeClass, Usage, Verdict

from .cassette import FOLDER, NOW, Cassette, files, load
from .conformance import CASES

FIELDS = {"case", "request", "headers", "target", "sent", "dropped", "reply", "verdict", "commits_with"}
RELAYED = {"relayed", "relayed_and", "relayed_until", "relayed_without"}

each = pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}/{path.stem}")


@each
def test_the_request_goes_out_as_it_must(path: Path) -> None:
    cassette = load(path)
    made = cassette.dialect.encode(cassette.call(), cassette.shape())
    if "target" in cassette.tree:
        assert msgspec.json.decode(made.body) == cassette.sent()
    assert list(made.dropped) == cassette.tree.get("dropped", [])


@each
def test_the_reply_means_what_it_must(path: Path) -> None:
    cassette = load(path)
    if not cassette.is_stream():
        agree(plain(cassette), cassette.tree["verdict"])
        return
    body = cassette.body()
    for size in (len(body), 1, 7):
        relayed, commit, verdict = streamed(cassette, (body[at : at + size] for at in range(0, len(body), size)))
        assert relayed == cassette.relayed()
        agree(verdict, cassette.tree["verdict"])
        if size == 1:
            commits_with = cassette.tree.get("commits_with")
            assert (commit is None) is (commits_with is None)
            if commit is not None:
                event = body[:commit].replace(b"\r\n", b"\n").rstrip(b"\n").rpartition(b"\n\n")[2]
                assert commits_with.encode() in event, "committed earlier, or later"


def plain(cassette: Cassette) -> Verdict:
    """What the dialect makes of a whole reply."""
    if 200 <= cassette.status < 300:
        return cassette.dialect.decode(cassette.call(), cassette.header, cassette.body())[0]
    return cassette.dialect.classify(cassette.status, cassette.header, cassette.body(), NOW)


def streamed(cassette: Cassette, pieces: Iterable[bytes]) -> tuple[bytes, int | None, Verdict]:
    """What was relayed of a stream, how many bytes had been read when it committed, and how it ended."""
    decoder = cassette.dialect.stream(cassette.call(), cassette.header)
    relayed, read, commit = b"", 0, None
    for piece in pieces:
        read += len(piece)
        relayed += decoder.feed(piece)
        if commit is None and decoder.committed:
            commit = read
        assert decoder.committed or relayed == b"", "relayed before the commit point"
    tail, failure = decoder.finish()
    return relayed + tail, commit, failure or Verdict(OutcomeClass.SERVED, usage=decoder.usage)


def agree(verdict: Verdict, expected: dict[str, Any]) -> None:
    """All that the cassette says of the verdict holds of it."""
    found = msgspec.to_builtins(verdict) | {"usage": shown(verdict.usage), "outcome": verdict.outcome_class.value}
    assert {name: found[name] for name in expected} == expected, verdict


def shown(usage: Usage | None) -> dict[str, int] | None:
    return None if usage is None else usage.to_dict()


@pytest.mark.parametrize("name", ["openai-chat"])
def test_a_dialect_that_is_passed_on_has_the_cases_that_all_must_have(name: str) -> None:
    assert {path.stem for path in files() if path.parent.name == name} >= CASES


@each
def test_a_cassette_says_what_it_shows(path: Path) -> None:
    tree = load(path).tree
    assert set(tree) <= FIELDS | RELAYED
    assert len(set(tree) & RELAYED) == load(path).is_stream()
    assert len(tree["case"].split()) > 1


def test_no_two_cassettes_show_the_same_case() -> None:
    cases = Counter((path.parent.name, load(path).tree["case"]) for path in files())
    assert [case for case, count in cases.items() if count > 1] == []


def test_what_was_recorded_elsewhere_is_named_in_the_notice_and_nothing_else() -> None:
    notices = list(FOLDER.glob("*/NOTICE"))
    folders = {file.parent for file in FOLDER.glob("*/*.*")} - {FOLDER / "LICENSES"}
    assert {notice.parent for notice in notices} == folders
    for notice in notices:
        lines = [line.strip() for line in notice.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
        named = {line.split()[0].rstrip(":") for line in lines if not line.startswith("Copyright")}
        there = {path.name for path in notice.parent.iterdir()}
        assert named
        assert [name for name in named if not {name, f"{name}.yaml"} & there] == []
        assert {name for name in there if name.endswith(".json")} <= named
