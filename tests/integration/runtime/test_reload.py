"""Hot reload in the library: every way files are edited in practice, noticed by the watch itself."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from engine import ConfigError, Engine
from engine.compiler import compile_folder

HELLO = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}
QUICK = "version: 1\nkind: settings\nname: quick\nreload: {debounce: 20ms}\n"


def fingerprint(root: Path, *overlays: Path) -> str:
    graph = compile_folder(root, overlays).graph
    assert graph is not None
    return graph.fingerprint


async def until(true: Callable[[], bool], seconds: float = 5.0) -> float:
    """Waits until it is true; the seconds it took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, "it did not come true in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - start


async def live(engine: Engine, root: Path, *overlays: Path) -> None:
    """Waits until what runs is what the files mean, which must be within a second."""
    assert await engine.wait_for(fingerprint(root, *overlays), 5)


@pytest.fixture
def opened(config: Any) -> Callable[[Callable[[Engine], Awaitable[None]]], None]:
    """Runs a scenario with an engine on a small configuration that asks for a short debounce."""
    config.provider(9)
    config.route()
    config.put("policies/settings.yaml", QUICK)

    def run(scenario: Callable[[Engine], Awaitable[None]], **options: Any) -> None:
        async def whole() -> None:
            async with Engine.open(config.root, **options) as engine:
                await asyncio.sleep(0.3)  # the watch is up
                await scenario(engine)
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(whole())

    return run


def test_an_edit_in_place(opened: Any, config: Any) -> None:
    async def scenario(engine: Engine) -> None:
        before = engine.status()["running"]
        config.route(step="home/tools")
        await live(engine, config.root)
        after = engine.status()
        assert after["running"]["fingerprint"] != before["fingerprint"]
        assert after["running"]["loaded_at"] > before["loaded_at"]
        assert (after["candidate"], after["diagnostics"]) == (None, [])
        assert engine.explain({"model": "chat"}).attempts == ("home/tools",)
        assert engine.reload_counts == {"attempts": 1, "applied": 1, "rejected": 0, "unchanged": 0}

    opened(scenario)


def test_a_rejected_edit_shows_within_a_second_and_goes_away(opened: Any, config: Any) -> None:
    async def scenario(engine: Engine) -> None:
        running = engine.status()["running"]
        for mend in ("home/small", "home/tools"):
            config.route(step="home/smal")
            assert await until(lambda: bool(engine.status()["diagnostics"])) < 1
            status = engine.status()
            assert status["running"] == running
            assert set(status["candidate"]) == {"fingerprint", "seen_at"}
            (finding,) = [d for d in status["diagnostics"] if d["severity"] == "error"]
            assert {"code", "severity", "summary", "hint"} < set(finding)
            assert (finding["excerpt"], finding["end_column"]) == ("step: home/smal", 16)
            assert (finding["file"], finding["line"], finding["column"]) == ("policies/chat.yaml", 4, 7)
            assert "home/small" in finding["hint"]
            assert engine.ready()
            assert "1 error" in engine.ready_detail()
            assert engine.explain({"model": "chat"}).attempts == ("home/small",)
            config.route(step=mend)
            await until(lambda: engine.status()["candidate"] is None)
            assert engine.status()["diagnostics"] == []
            assert engine.ready_detail() == f"serving {engine.graph.fingerprint}"
        assert engine.explain({"model": "chat"}).attempts == ("home/tools",)

    opened(scenario)


def test_editors_that_write_a_draft_and_rename_it(opened: Any, config: Any) -> None:
    async def scenario(engine: Engine) -> None:
        file = config.root / "policies/chat.yaml"
        for draft, step in ((".chat.yaml.swp", "home/tools"), ("chat.yaml~", "home/down"), ("4913", "home/cut")):
            new = file.with_name(draft)
            new.write_text(file.read_text().split("step:")[0] + f"step: {step}\n")
            file.rename(file.with_name("chat.yaml.bak"))
            new.rename(file)
            await live(engine, config.root)
            assert engine.explain({"model": "chat"}).attempts == (step,)
        assert engine.reload_counts["applied"] == 3

    opened(scenario)


def test_a_file_written_piece_by_piece(opened: Any, config: Any) -> None:
    text = "version: 1\nkind: route\nname: more\nstep:\n  fallback: [home/small, home/tools]\n"

    async def scenario(engine: Engine) -> None:
        with (config.root / "policies/more.yaml").open("w") as file:
            for letter in text:
                file.write(letter)
                file.flush()
                await asyncio.sleep(0.01)
        await live(engine, config.root)
        assert engine.explain({"model": "more"}).attempts == ("home/small", "home/tools")
        assert engine.status()["diagnostics"] == []

    opened(scenario)


def test_a_file_that_is_emptied_long_before_it_is_filled(opened: Any, config: Any) -> None:
    """As a shell does it that writes what a slow program prints into the file."""

    async def scenario(engine: Engine) -> None:
        running = engine.graph.fingerprint
        with (config.root / "policies/chat.yaml").open("w") as file:
            await until(lambda: bool(engine.status()["diagnostics"]))
            (finding,) = engine.status()["diagnostics"]
            assert (finding["code"], finding["file"]) == ("D134", "policies/chat.yaml")
            assert engine.graph.fingerprint == running
            file.write("version: 1\nkind: route\nname: chat\nstep: home/tools\n")
        await live(engine, config.root)
        assert engine.explain({"model": "chat"}).attempts == ("home/tools",)
        assert engine.reload_counts["applied"] == 1

    opened(scenario)


def test_delete_and_restore(opened: Any, config: Any, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        running = engine.graph.fingerprint
        shutil.copytree(config.root, tmp_path / "kept")
        (config.root / "providers.d/home.yaml").unlink()
        await until(lambda: bool(engine.status()["diagnostics"]))
        shutil.rmtree(config.root)
        await until(lambda: "does not exist" in str(engine.status()["diagnostics"]))
        assert engine.graph.fingerprint == running
        shutil.copytree(tmp_path / "kept", config.root)
        await until(lambda: engine.status()["diagnostics"] == [])
        assert engine.graph.fingerprint == running
        config.route(step="home/tools")  # events work again in the folder that was made anew
        await live(engine, config.root)

    opened(scenario)


def test_a_mounted_configmap_is_swapped(config: Any, tmp_path: Path) -> None:
    """As kubelet does it: files are links through ``..data``, which is renamed over to point to another folder."""

    def version(name: str, step: str) -> None:
        made = type(config)(tmp_path / "mount" / name)
        made.provider(9, file="home.yaml")
        made.route(step=step, file="chat.yaml")
        made.put("settings.yaml", QUICK)

    mount = tmp_path / "mount"
    version("..2026_01", "home/small")
    (mount / "..data").symlink_to("..2026_01")
    for folder, files in (("providers.d", ["home"]), ("policies", ["chat", "settings"])):
        (mount / folder).mkdir()
        for file in files:
            (mount / folder / f"{file}.yaml").symlink_to(f"../..data/{file}.yaml")

    async def scenario() -> None:
        async with Engine.open(mount) as engine:
            await asyncio.sleep(0.3)
            for number, step in enumerate(("home/tools", "home/nobody", "home/down")):
                version(f"..2026_02_{number}", step)
                (mount / "..data_tmp").symlink_to(f"..2026_02_{number}")
                (mount / "..data_tmp").replace(mount / "..data")
                if step == "home/nobody":
                    assert await until(lambda: bool(engine.status()["diagnostics"])) < 1
                    assert engine.explain({"model": "chat"}).attempts == ("home/tools",)
                else:
                    await live(engine, mount)
                    assert engine.explain({"model": "chat"}).attempts == (step,)

    asyncio.run(scenario())


def test_the_folder_itself_is_a_link_that_is_swapped(config: Any, tmp_path: Path) -> None:
    for name, step in (("blue", "home/small"), ("green", "home/tools")):
        made = type(config)(tmp_path / name)
        made.provider(9)
        made.route(step=step)
    link = tmp_path / "live"
    link.symlink_to("blue")

    async def scenario() -> None:
        async with Engine.open(link) as engine:
            await asyncio.sleep(0.3)
            (tmp_path / "next").symlink_to("green")
            (tmp_path / "next").replace(link)
            await live(engine, tmp_path / "green")
            type(config)(tmp_path / "green").route(step="home/down")
            await live(engine, tmp_path / "green")
            assert engine.explain({"model": "chat"}).attempts == ("home/down",)

    asyncio.run(scenario())


def test_an_overlay_is_watched_too(config: Any, tmp_path: Path) -> None:
    config.provider(9)
    config.route()
    prod = type(config)(tmp_path / "prod")
    prod.route(step="home/tools")

    async def scenario() -> None:
        async with Engine.open(config.root, overlays=[prod.root]) as engine:
            await asyncio.sleep(0.3)
            assert engine.explain({"model": "chat"}).attempts == ("home/tools",)
            prod.route(step="home/down")
            await live(engine, config.root, prod.root)
            assert engine.explain({"model": "chat"}).attempts == ("home/down",)

    asyncio.run(scenario())


def test_comments_and_renamed_files_change_nothing(opened: Any, config: Any) -> None:
    async def scenario(engine: Engine) -> None:
        running = engine.status()["running"]
        config.put("policies/chat.yaml", "# a comment\n" + (config.root / "policies/chat.yaml").read_text())
        await until(lambda: engine.reload_counts["unchanged"] == 1)
        (config.root / "policies/chat.yaml").rename(config.root / "policies/talk.yaml")
        await until(lambda: engine.reload_counts["unchanged"] == 2)
        assert engine.status()["running"] == running
        assert "policies/talk.yaml" in str(dict(engine.graph.documents))

    opened(scenario)


def test_the_commit_follows_even_where_no_file_changes(opened: Any, config: Any) -> None:
    async def scenario(engine: Engine) -> None:
        assert engine.status()["running"]["git_commit"] is None
        for commit in ("a" * 40, "b" * 40):
            config.put(".git/HEAD", commit + "\n")
            await until(lambda commit=commit: engine.status()["running"]["git_commit"] == commit)  # type: ignore[misc]
        assert engine.reload_counts["attempts"] == 0

    opened(scenario)


def test_without_watching_only_reload_looks(opened: Any, config: Any) -> None:
    async def scenario(engine: Engine) -> None:
        config.route(step="home/tools")
        await asyncio.sleep(0.8)
        assert engine.explain({"model": "chat"}).attempts == ("home/small",)
        assert await engine.reload() == ()
        assert engine.explain({"model": "chat"}).attempts == ("home/tools",)
        config.route(step="home/nobody")
        findings = await engine.reload()
        assert [finding.severity for finding in findings].count("error") == 1

    opened(scenario, watch=False)


def test_a_restart_on_a_broken_configuration(config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = tmp_path / "kept"
    config.provider(9)
    config.route()
    prod = type(config)(tmp_path / "prod")
    prod.route(step="home/tools")
    options = {"overlays": [prod.root], "last_good": kept}

    async def scenario() -> None:
        async with Engine.open(config.root, **options) as engine:
            await asyncio.sleep(0.3)
            prod.route(step="home/down")
            await live(engine, config.root, prod.root)
            good = engine.graph.fingerprint
            await until(lambda: good in (kept / "current").read_text())
            config.route(step="home/nobody")
            prod.put("policies/chat.yaml", "{")
            await until(lambda: bool(engine.status()["diagnostics"]))
        caplog.clear()
        async with Engine.open(config.root, **options) as engine:
            assert engine.graph.fingerprint == good
            assert engine.explain({"model": "chat"}).attempts == ("home/down",)
            assert engine.status()["diagnostics"]
            assert engine.status()["candidate"] is not None
            assert engine.ready()
            assert "the last good configuration" in engine.ready_detail()
            (loud,) = [record for record in caplog.records if record.levelno == logging.ERROR]
            assert "serving the last good one instead" in loud.message
            await asyncio.sleep(0.3)
            prod.route(step="home/cut")
            config.route()
            await live(engine, config.root, prod.root)
            assert engine.status()["candidate"] is None
            assert engine.ready_detail() == f"serving {engine.graph.fingerprint}"

    asyncio.run(scenario())


def test_mending_back_to_the_last_good_is_no_longer_degraded(config: Any, tmp_path: Path) -> None:
    config.provider(9)
    config.route()

    async def scenario() -> None:
        async with Engine.open(config.root, last_good=tmp_path / "kept"):
            pass
        config.route(step="home/nobody")
        async with Engine.open(config.root, last_good=tmp_path / "kept") as engine:
            await asyncio.sleep(0.3)
            config.route()
            await until(lambda: engine.ready_detail() == f"serving {engine.graph.fingerprint}")
            assert engine.status()["diagnostics"] == []

    asyncio.run(scenario())


@pytest.mark.parametrize("damage", ["nothing kept", "pointer", "meta", "files", "folder"])
def test_what_was_kept_is_not_trusted_blindly(config: Any, tmp_path: Path, damage: str) -> None:
    kept = tmp_path / "kept"
    config.provider(9)
    config.route()

    async def scenario() -> None:
        if damage != "nothing kept":
            async with Engine.open(config.root, last_good=kept):
                pass
            (copy,) = [entry for entry in kept.iterdir() if entry.is_dir()]
            if damage == "pointer":
                (kept / "current").write_bytes(b"\xff\xfe")
            elif damage == "meta":
                (copy / "meta.json").write_text("[]")
            elif damage == "files":
                (copy / "config/policies/chat.yaml").unlink()
            else:
                shutil.rmtree(copy)
        config.route(step="home/nobody")
        with pytest.raises(ConfigError):
            async with Engine.open(config.root, last_good=kept):
                pass

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_kept_in_does_not_matter(
    config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config.provider(9)
    config.route()
    (tmp_path / "kept").write_text("a file")

    async def scenario() -> None:
        async with Engine.open(config.root, last_good=tmp_path / "kept") as engine:
            assert engine.ready()

    asyncio.run(scenario())
    assert "could not keep the last good configuration" in caplog.text
