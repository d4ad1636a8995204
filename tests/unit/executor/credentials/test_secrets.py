"""Secrets come from where the configuration points, follow their source, and are never printed."""

from __future__ import annotations

import asyncio
import os
import pickle
import stat
import sys
from pathlib import Path

import pytest

from engine.executor.credentials import RECHECK, Secret, Source, credential_of
from engine.executor.credentials.secret import AGAIN, RERUN
from engine.graph import Auth, SecretRef


def command(*words: str) -> SecretRef:
    return SecretRef("command", words[0], words)


def test_a_secret_does_not_show() -> None:
    secret = Secret("sk-canary")
    assert "canary" not in f"{secret} {secret!r} {secret:>20}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == "sk-canary"


@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "tab\there", "ünicode"])
def test_what_no_header_can_hold_counts_as_unset(value: str) -> None:
    assert Source(SecretRef("env", "KEY"), {"KEY": value}).value(0) is None


def test_text_may_have_lines() -> None:
    source = Source(SecretRef("env", "KEY"), {"KEY": '{\n"a": "ü"}'}, text=True)
    assert source.value(0) is not None


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("first\n")
    source = Source(SecretRef("file", str(path)), {})
    first = source.value(0)
    path.write_text("second-one\n")
    assert source.value(RECHECK - 1) is first
    second = source.value(RECHECK + 1)
    assert second is not None
    assert second.reveal() == "second-one"
    path.unlink()
    assert source.value(3 * RECHECK) is None


def test_a_command_is_run_once_for_many_and_again_later(tmp_path: Path) -> None:
    counter = tmp_path / "runs"
    script = tmp_path / "secret.py"
    script.write_text(
        f"from pathlib import Path\np = Path({str(counter)!r})\n"
        "n = int(p.read_text()) + 1 if p.exists() else 1\np.write_text(str(n))\nprint(f'key-{n}')\n"
    )
    credential = credential_of(Auth("bearer", command(sys.executable, str(script))), "", dict(os.environ))

    async def go() -> None:
        assert credential.available(0)
        assert credential.due(0)
        await asyncio.gather(*(credential.refresh(0) for _ in range(5)))
        assert credential.headers(None, 0) == (("authorization", "Bearer key-1"),)
        assert not credential.due(RERUN - 1)
        assert credential.due(RERUN + 1)
        await credential.refresh(RERUN + 1)
        assert credential.headers(None, 0) == (("authorization", "Bearer key-2"),)

    asyncio.run(go())


@pytest.mark.parametrize("words", [("no-such-program-here",), (sys.executable, "-c", "print('half'); exit(3)")])
def test_a_command_that_fails_leaves_no_secret_and_is_tried_again(
    words: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    credential = credential_of(Auth("bearer", command(*words)), "", dict(os.environ))

    async def go() -> None:
        await credential.refresh(0)
        assert credential.headers(None, 0) is None
        assert not credential.available(1)
        assert not credential.due(AGAIN - 1)
        assert credential.due(AGAIN + 1)

    asyncio.run(go())
    assert words[0] in caplog.text
    assert "half" not in caplog.text


def test_a_failing_command_does_not_take_the_last_secret_away(tmp_path: Path) -> None:
    script = tmp_path / "secret.sh"
    script.write_text("#!/bin/sh\necho good\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    credential = credential_of(Auth("header", command(str(script)), "X-Key"), "", dict(os.environ))

    async def go() -> None:
        await credential.refresh(0)
        script.write_text("#!/bin/sh\nexit 1\n")
        await credential.refresh(RERUN + 1)
        assert credential.headers(None, RERUN + 1) == (("x-key", "good"),)

    asyncio.run(go())


def test_the_callers_own_key_is_passed_on() -> None:
    credential = credential_of(Auth("caller"), "", {})
    assert credential.available(0)
    assert credential.headers("Bearer mine", 0) == (("authorization", "Bearer mine"),)
    assert credential.headers(None, 0) is None
