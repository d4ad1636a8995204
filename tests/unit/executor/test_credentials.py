"""Secrets: taken from where the configuration points, taken up again when they change, never shown."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from engine.executor.credentials import RECHECK, Credential, Secret, credential_of
from engine.graph import Auth, SecretRef

ENV = SecretRef("env", "NORTH_API_KEY")
WORD = "sk-canary-1234567890"


def bearer(**environ: str) -> Credential:
    return credential_of(Auth("bearer", ENV), "", environ)


def test_a_secret_cannot_be_shown_by_accident() -> None:
    secret = Secret(WORD)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", "%s" % secret, repr([secret]), str({"k": secret})]  # noqa: UP031
    assert all(WORD not in text and "***" in text for text in shown)
    assert secret.reveal() == WORD
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert not hasattr(secret, "__dict__")


def test_a_bearer_token_comes_from_the_environment_without_its_line_end() -> None:
    assert bearer(NORTH_API_KEY=f" {WORD}\n").headers(None, 0.0) == (("authorization", f"Bearer {WORD}"),)


def test_a_header_of_its_own_name_carries_the_bare_secret() -> None:
    made = credential_of(Auth("header", ENV, "X-Api-Key"), "", {"NORTH_API_KEY": WORD})
    assert made.headers(None, 0.0) == (("x-api-key", WORD),)


@pytest.mark.parametrize("value", ["", "  \n", "schlüssel", "two\nlines", "nul\0", "tab\tinside"])
def test_what_is_empty_or_cannot_be_sent_counts_as_unset(value: str) -> None:
    made = bearer(NORTH_API_KEY=value)
    assert (made.headers(None, 0.0), made.available(0.0)) == (None, False)


def test_an_unset_variable_is_no_credential() -> None:
    assert (bearer().headers(None, 0.0), bearer().available(0.0)) == (None, False)


def test_no_authentication_sends_nothing_and_is_always_there() -> None:
    made = credential_of(Auth("none"), "", {})
    assert (made.headers("Bearer caller", 0.0), made.available(0.0)) == ((), True)


def test_the_callers_own_credential_is_passed_on_and_nobody_elses() -> None:
    made = credential_of(Auth("caller"), "", {"NORTH_API_KEY": WORD})
    assert made.headers("Bearer theirs", 0.0) == (("authorization", "Bearer theirs"),)
    assert (made.headers(None, 0.0), made.available(0.0)) == (None, True)


# ---- files -------------------------------------------------------------------------------------------------------


def from_file(path: Path) -> Credential:
    return credential_of(Auth("bearer", SecretRef("file", str(path))), "", {})


def token(made: Credential, now: float) -> str | None:
    headers = made.headers(None, now)
    return None if headers is None else headers[0][1].removeprefix("Bearer ")


def replace(path: Path, text: str) -> None:
    """As those do who rotate secrets: write beside it, then rename."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def test_a_rotated_file_is_taken_up_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("one\n", encoding="utf-8")
    made = from_file(path)
    assert token(made, 0.0) == "one"
    replace(path, "two")
    assert token(made, RECHECK - 0.1) == "one"
    assert token(made, RECHECK) == "two"


def test_a_file_that_appears_late_or_vanishes_or_comes_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = from_file(path)
    assert not made.available(0.0)
    path.write_text("one", encoding="utf-8")
    assert token(made, RECHECK) == "one"
    path.unlink()
    assert token(made, 2 * RECHECK) is None
    path.write_text("one", encoding="utf-8")
    assert token(made, 3 * RECHECK) == "one"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"\n"])
def test_a_file_that_holds_no_secret_counts_as_unset(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    assert token(from_file(path), 0.0) is None


def test_a_folder_in_place_of_the_file_counts_as_unset(tmp_path: Path) -> None:
    assert token(from_file(tmp_path), 0.0) is None


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("one", encoding="utf-8")
    made = from_file(path)
    assert token(made, 0.0) == "one"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read again"))
    assert token(made, RECHECK) == "one"
