"""Reading the commit out of ``.git``: agrees with git where git can be asked, and never raises."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.runtime.commit import git_commit

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "config" / "policies").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "config" / "policies" / "a.yaml").write_text("a: 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return folder


@needs_git
def test_branch_detached_and_packed(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert git_commit(repository) == head
    assert git_commit(repository / "config") == head
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git/refs/heads/main").exists()
    assert git_commit(repository / "config") == head
    git(repository, "checkout", "-q", "--detach")
    assert git_commit(repository) == head


@needs_git
def test_it_follows_new_commits(repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD")


@needs_git
def test_work_tree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    git(tmp_path / "other", "commit", "-q", "--allow-empty", "-m", "elsewhere")
    assert git_commit(tmp_path / "other" / "config") == git(tmp_path / "other", "rev-parse", "HEAD")
    assert git_commit(repository) != git_commit(tmp_path / "other")


@needs_git
def test_submodule(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "main")
    git(outer, "submodule", "--quiet", "add", str(repository), "inner")
    assert git_commit(outer / "inner" / "config") == git(repository, "rev-parse", "HEAD")


@needs_git
def test_a_branch_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert git_commit(tmp_path) is None


def test_no_repository_or_no_folder(tmp_path: Path) -> None:
    assert git_commit(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "head",
    ["", "ref: ", "ref: ../../../etc/passwd", "ref: /etc/hostname", "nonsense", "ref: refs/heads/loop", "ref: refs"],
)
def test_nonsense_is_none(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text(head)
    (tmp_path / ".git/refs/heads/loop").write_text("ref: refs/heads/loop")
    assert git_commit(tmp_path) is None


def test_a_git_file_that_leads_nowhere(tmp_path: Path) -> None:
    for text in ("", "gitdir:", "gitdir: nowhere", "gitdir: .git"):
        (tmp_path / ".git").write_text(text)
        assert git_commit(tmp_path) is None


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_it_never_raises(tmp_path: Path, head: bytes, packed: bytes) -> None:
    (tmp_path / ".git").mkdir(exist_ok=True)
    (tmp_path / ".git/HEAD").write_bytes(head)
    (tmp_path / ".git/packed-refs").write_bytes(packed)
    assert git_commit(tmp_path) is None
