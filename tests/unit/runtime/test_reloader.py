"""The reloader's decisions, on a source whose content the test sets and clients that count their closing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.errors import ConfigError, PrepareError
from engine.runtime.reloader import Counts, Reloader
from engine.runtime.startup import start

Scenario = Callable[[Reloader], Awaitable[None]]


@pytest.fixture
def run(source: Any, stage: Any) -> Callable[[Scenario], None]:
    """Runs a scenario with a reloader that started on the source as it is."""

    def run_it(scenario: Scenario) -> None:
        async def whole() -> None:
            reloader = Reloader(source, stage.live)
            await start(reloader, None)
            try:
                await scenario(reloader)
            finally:
                await stage.live.close(1)
                reloader.close()
            assert [clients.released for clients in stage.made] == [1] * len(stage.made)

        asyncio.run(whole())

    return run_it


def live(stage: Any) -> str:
    return str(stage.live.current.graph.fingerprint)


def test_an_edit_goes_live(run: Any, source: Any, stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(reloader: Reloader) -> None:
        source.text, source.head = "good:two", "c0ffee"
        assert await reloader.reload() == ()
        assert live(stage) == "two"
        assert stage.live.current.git_commit == "c0ffee"
        assert stage.retained == ["one", "two"]
        assert reloader.counts == Counts(attempts=1, applied=1)
        assert reloader.candidate is None

    with caplog.at_level(logging.INFO, "interlock.reload"):
        run(scenario)
    assert "live: two (was one)" in caplog.text


def test_a_rejected_edit_leaves_what_runs(run: Any, source: Any, stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(reloader: Reloader) -> None:
        before = stage.live.current
        source.text = "bad:no such target"
        (finding,) = await reloader.reload()
        assert finding.summary == "no such target"
        assert stage.live.current is before
        assert reloader.candidate is not None
        assert reloader.candidate.fingerprint == "digest-bad:no su"
        assert reloader.counts == Counts(attempts=1, rejected=1)
        assert "edit rejected, one goes on: 1 error: policies/chat.yaml:3:7: R301: no such target" in caplog.text
        # The same files again: nothing is compiled, logged or counted a second time.
        compiled, said = source.compiled, len(caplog.records)
        assert len(await reloader.reload()) == 1
        assert len(await reloader.reload(force=True)) == 1
        assert reloader.counts == Counts(attempts=1, rejected=1)
        assert len(caplog.records) == said
        assert source.compiled == compiled + 1  # by force

    run(scenario)


def test_a_mended_edit_clears_the_findings(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        source.text = "bad:a"
        await reloader.reload()
        source.text = "bad:b"
        (finding,) = await reloader.reload()
        assert finding.summary == "b"
        source.text = "good:two"
        assert await reloader.reload() == ()
        assert reloader.candidate is None
        assert live(stage) == "two"
        assert reloader.counts == Counts(attempts=3, rejected=2, applied=1)

    run(scenario)


def test_a_reverted_edit_clears_the_findings(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        before = stage.live.current
        source.text = "bad:a"
        await reloader.reload()
        source.text, source.head = "good:one", "beef"
        compiled = source.compiled
        assert await reloader.reload() == ()
        assert source.compiled == compiled
        assert reloader.candidate is None
        assert stage.live.current is before
        assert before.git_commit == "beef"
        assert reloader.counts == Counts(attempts=2, rejected=1, unchanged=1)

    run(scenario)


def test_a_look_that_finds_nothing_is_not_an_edit(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        source.head = "beef"
        await reloader.reload()
        assert stage.live.current.git_commit == "beef"
        assert reloader.counts == Counts()

    run(scenario)


def test_an_objection_refuses_an_edit(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        reloader.objection = lambda graph: "no keys left" if graph.fingerprint == "two" else ""
        source.text = "good:two"
        for force in (False, False, True):
            (finding,) = await reloader.reload(force=force)
            assert (finding.code, finding.summary) == ("L503", "no keys left")
        assert reloader.candidate is not None
        assert reloader.candidate.fingerprint == "two"
        assert reloader.counts == Counts(attempts=1, rejected=1)
        assert live(stage) == "one"
        source.text = "good:three"
        assert await reloader.reload() == ()
        assert live(stage) == "three"

    run(scenario)


def test_another_wording_keeps_the_age_and_takes_the_positions(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        before = stage.live.current
        source.text = "good:one:with a comment"
        await reloader.reload()
        after = stage.live.current
        assert after.graph is not before.graph
        assert after.loaded_at == before.loaded_at
        assert after.digest == "digest-good:one:with a comment"
        assert reloader.counts == Counts(attempts=1, unchanged=1)

    run(scenario)


def test_another_wording_while_preparing_fails_is_still_what_runs(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        stage.refuse.add("one")
        source.text = "bad:a"
        await reloader.reload()
        source.text = "good:one:with a comment"
        assert await reloader.reload() == ()
        assert live(stage) == "one"
        assert stage.live.current.digest == "digest-good:one:with a comment"
        assert reloader.candidate is None

    run(scenario)


def test_a_missing_folder_is_a_rejected_edit(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        source.text = "gone"
        (finding,) = await reloader.reload()
        assert "No such file or directory" in finding.summary
        assert live(stage) == "one"
        source.text = "good:one"
        assert await reloader.reload() == ()

    run(scenario)


def test_a_fault_of_ours_is_rejected(run: Any, source: Any, stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(reloader: Reloader) -> None:
        source.text = "crash:x"
        (finding,) = await reloader.reload()
        assert finding.code == "L502"
        assert "RuntimeError: a fault" in finding.summary
        assert live(stage) == "one"
        source.text = "good:two"
        assert await reloader.reload() == ()
        assert live(stage) == "two"

    run(scenario)
    assert "Traceback" in caplog.text


def test_what_is_not_ready_is_tried_again_until_it_is(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        stage.refuse.add("two")
        source.text = "good:two"
        waits = []
        for _ in range(8):
            (finding,) = await reloader.reload()
            assert finding.code == "L501"
            assert "the certificate bundle is missing" in finding.summary
            assert reloader.candidate is not None
            assert reloader.candidate.fingerprint == "two"
            waits.append(reloader.candidate.retry_in)
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
        assert reloader.counts == Counts(attempts=1, rejected=1)
        assert live(stage) == "one"
        stage.refuse.clear()
        assert await reloader.reload() == ()
        assert live(stage) == "two"
        assert reloader.counts == Counts(attempts=2, rejected=1, applied=1)

    run(scenario)


def test_another_edit_starts_the_waiting_afresh(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        stage.refuse.update({"two", "three"})
        source.text = "good:two"
        await reloader.reload()
        await reloader.reload()
        source.text = "good:three"
        await reloader.reload()
        assert reloader.candidate is not None
        assert (reloader.candidate.fingerprint, reloader.candidate.retry_in) == ("three", 1)

    run(scenario)


def test_the_loop_tries_again_by_itself(run: Any, source: Any, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.reloader.FIRST_RETRY", 0.02)

    async def scenario(reloader: Reloader) -> None:
        stage.refuse.add("two")
        source.text = "good:two"
        await reloader.reload()
        task = asyncio.create_task(reloader.run())
        await asyncio.sleep(0.05)
        stage.refuse.clear()
        assert await stage.live.wait_for("two", 5)
        task.cancel()
        await asyncio.wait([task])

    run(scenario)


def test_the_loop_waits_for_the_files_to_hold_still(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        task = asyncio.create_task(reloader.run())
        source.text = "bad:half written"
        reloader.changed()
        await asyncio.sleep(0.05)
        source.text = "good:two"
        assert await stage.live.wait_for("two", 5)
        assert reloader.counts == Counts(attempts=1, applied=1)
        task.cancel()
        await asyncio.wait([task])

    run(scenario)


def test_the_loop_does_not_wait_for_ever(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        async def scribble() -> None:
            number = 0
            while True:
                number += 1
                source.text = f"good:two:{number}"
                reloader.changed()
                await asyncio.sleep(0.02)

        tasks = [asyncio.create_task(reloader.run()), asyncio.create_task(scribble())]
        assert await stage.live.wait_for("two", 5)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run(scenario)


def test_the_loop_survives_anything(
    run: Any, source: Any, stage: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.runtime.reloader._AFTER_A_FAULT", 0.01)

    async def scenario(reloader: Reloader) -> None:
        judge, failures = reloader._judge, [MemoryError(), ZeroDivisionError()]

        async def fail_first(reading: Any) -> None:
            if failures:
                raise failures.pop()
            await judge(reading)

        monkeypatch.setattr(reloader, "_judge", fail_first)
        source.text = "good:two"
        task = asyncio.create_task(reloader.run())
        for _ in range(3):
            reloader.changed()
            await asyncio.sleep(0.3)
        assert live(stage) == "two"
        task.cancel()
        await asyncio.wait([task])

    run(scenario)
    assert caplog.text.count("a reload failed; what runs goes on") == 2


def test_files_that_change_while_they_are_read_are_read_again(run: Any, source: Any, stage: Any) -> None:
    async def scenario(reloader: Reloader) -> None:
        def change_once() -> None:
            source.on_load = lambda: None
            source.text = "good:three"

        source.text = "good:two"
        source.on_load = change_once
        await reloader.reload()
        assert live(stage) == "three"
        assert stage.retained == ["one", "three"]

    run(scenario)


def test_starting_on_a_broken_configuration_raises_everything(source: Any, stage: Any) -> None:
    source.text = "bad:a"
    reloader = Reloader(source, stage.live)
    with pytest.raises(ConfigError, match="R301: a") as caught:
        asyncio.run(start(reloader, None))
    reloader.close()
    assert [d.summary for d in caught.value.diagnostics] == ["a"]


def test_starting_on_what_cannot_be_made_ready_raises(source: Any, stage: Any) -> None:
    stage.refuse.add("one")
    reloader = Reloader(source, stage.live)
    with pytest.raises(PrepareError, match="certificate"):
        asyncio.run(start(reloader, None))
    reloader.close()
