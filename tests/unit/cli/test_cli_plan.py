"""``interlock plan`` on real git, its formats, and that every request it names shows what it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import cli

from .test_cli_status import server

FIXTURES = Path(__file__).parents[2] / "golden" / "cli" / "fixtures"
PROPOSAL = FIXTURES / "proposal"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["plan", *words])


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose configuration is in a folder of its own; the current folder is that one."""
    git(tmp_path, "init", "-q", "-b", "main")
    shutil.copytree(PROPOSAL / "base", tmp_path / "gateway")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path / "gateway")
    return tmp_path / "gateway"


@needs_git
def test_the_work_tree_against_a_branch(repository: Path) -> None:
    same = run("main")
    assert same.exit_code == 0
    assert "nothing changes" in same.output
    shutil.copy(PROPOSAL / "head" / "policies" / "chat.yaml", repository / "policies" / "chat.yaml")
    changed = run("main")
    assert changed.exit_code == 1  # base's gate: no new region
    assert "eu-cloud/large 90%, eu-cloud/small 10%" in changed.output
    assert "gate broken: no_new: region" in changed.output
    assert git(repository, "status", "--porcelain", "-uall").split() == ["M", "gateway/policies/chat.yaml"]


@needs_git
def test_two_revisions_are_read_without_touching_the_work_tree(repository: Path) -> None:
    file = repository / "policies" / "chat.yaml"
    git(repository, "checkout", "-q", "-b", "heavier")
    file.write_text(file.read_text().replace("weight: 90", "weight: 40"))
    heavier = commit(repository)
    file.write_text("broken: [")
    result = run("main", heavier[:10], "--detailed-exitcode")
    assert result.exit_code == 3
    assert re.search(r"^main \([0-9a-f]{12}\) -> " + heavier[:10], result.output)
    assert "10% of the values of user change variant" in result.output
    assert file.read_text() == "broken: ["
    assert run("heavier", "heavier~1", "--max-moved-users", "5%").exit_code == 1


@needs_git
def test_a_change_cannot_lift_its_own_gate(repository: Path) -> None:
    file = repository / "policies" / "chat.yaml"
    text = (PROPOSAL / "head" / "policies" / "chat.yaml").read_text()
    file.write_text(text.replace("no_new: [region], ", ""))
    assert "gate broken: no_new: region" in run("main").output


@needs_git
def test_a_broken_head_is_said_with_its_findings(repository: Path) -> None:
    file = repository / "policies" / "chat.yaml"
    file.write_text(file.read_text().replace("eu-cloud/small", "eu-cloud/smal"))
    result = run("main")
    assert result.exit_code == 1
    assert "error[R301]" in result.output
    assert "Traceback" not in result.output


@needs_git
def test_revisions_that_are_none(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no-such-branch", "--upload-pack=x", "main:policies", "\x01"):
        result = run("--", name)
        assert result.exit_code == 2, name
        assert "neither a folder nor a revision" in result.output
    shutil.copytree(repository, repository.parent / "new")
    monkeypatch.chdir(repository.parent / "new")
    assert 'has no configuration in folder "new"' in run("main").output
    monkeypatch.chdir(repository.parent)
    assert "its top folder" in run("main", "main").output


def test_every_witness_shows_what_is_said_of_it() -> None:
    found = json.loads(run(str(PROPOSAL / "base"), str(PROPOSAL / "head"), "--format", "json").output)
    assert found["changes"]
    for change in found["changes"]:
        for side in ("before", "after"):
            folder = PROPOSAL / ("base" if side == "before" else "head")
            words = ["explain", str(folder), *shlex.split(change["witness"]["explain"]), "--format", "json"]
            explained = json.loads(CliRunner().invoke(cli, words).output)
            assert explained["route"] == change[side]["route"]
            assert explained["attempts"] in [way["order"] for way in change[side]["ways"]]


class Page(HTMLParser):
    """Collects what a page would load, and whether its elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            f"{tag} {name}" for name, value in attrs if name in ("src", "href", "xlink:href") or tag == "script"
        ]
        if tag not in ("meta", "rect", "path", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "rect", "path", "br"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing opens."""


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path) -> None:
    head = tmp_path / "<script>x"
    shutil.copytree(PROPOSAL / "head", head)
    out = tmp_path / "plan.html"
    result = run(str(PROPOSAL / "base"), str(head), "--format", "html", "--output", str(out))
    assert result.exit_code == 1
    assert result.output == ""
    text = out.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert page.open == []
    assert "<script>" not in text
    assert text.count("<svg") >= 3
    assert "Gate broken" in text


def test_a_comment_is_never_longer_than_a_code_host_takes(tmp_path: Path) -> None:
    for name, weight in (("a", 1), ("b", 2)):
        shutil.copytree(PROPOSAL / "base", tmp_path / name)
        routes = "---\n".join(
            f"version: 1\nkind: route\nname: r{n}\nstep:\n  split: {{name: s{n}, key: user, variants: "
            f"{{x: {{weight: {weight}, step: eu-cloud/large}}, y: {{weight: 3, step: us-cloud/large}}}}}}\n"
            for n in range(200)
        )
        (tmp_path / name / "policies" / "many.yaml").write_text(routes)
    text = run(str(tmp_path / "a"), str(tmp_path / "b"), "--format", "markdown").output
    assert len(text) < 65_536
    assert "more parts do not fit here" in text


@needs_git
def test_against_a_server_that_runs_a_commit(repository: Path) -> None:
    commit_ = git(repository, "rev-parse", "HEAD")
    graph = json.loads(run("main", "main", "--format", "json").output)["base"]["graph"]
    with server((200, {"running": {"fingerprint": graph, "git_commit": commit_}})) as (url, seen):
        same = run("--against", url)
        assert same.exit_code == 0
        assert "nothing changes" in same.output
        shutil.copy(PROPOSAL / "head" / "policies" / "chat.yaml", repository / "policies" / "chat.yaml")
        changed = run("--against", url)
        assert changed.exit_code == 1
        assert changed.output.startswith(f"{url} ({commit_[:12]}) -> .")
        assert "eu-cloud/large 90%, eu-cloud/small 10%" in changed.output
        assert seen[0]["path"] == "/api/v1/status"
        assert "one configuration too many" in run("--against", url, ".", "main").output


@needs_git
def test_against_a_server_that_does_not_run_a_commit_nothing_is_pretended(repository: Path) -> None:
    commit_ = git(repository, "rev-parse", "HEAD")
    for commit, why in ((commit_, "overlays or edits"), (None, "in no git repository")):
        with server((200, {"running": {"fingerprint": "f" * 16, "git_commit": commit}})) as (url, _):
            result = run("--against", url)
            assert result.exit_code == 1
            assert "they differ" in result.output
            assert why in result.output
    with server((401, {})) as (url, _):
        assert "scope read" in run("--against", url).output
