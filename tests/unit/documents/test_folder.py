"""Folders: which files are read, what is read again, and what cannot be read."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from engine.documents import DocumentCache, Folder, Loaded, files, folder, folders, signature


def route(name: str, *more: str) -> str:
    return "\n".join(["version: 1", "kind: route", f"name: {name}", *more, ""])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "providers.d").mkdir()
    (tmp_path / "policies").mkdir()
    return tmp_path


def names(loaded: Loaded) -> list[str | None]:
    return [document.name for document in loaded.documents]


def codes(loaded: Loaded) -> list[str]:
    return [found.code for found in loaded.diagnostics]


def test_any_file_at_any_depth(root: Path) -> None:
    (root / "policies" / "a" / "b").mkdir(parents=True)
    (root / "policies" / "a" / "b" / "x.yml").write_text(route("one"))
    (root / "providers.d" / "y.YAML").write_text(route("two"))
    for ignored in (".hidden.yaml", ".#lock.yaml", "x.yaml~", "#x.yaml#", ".x.yaml.swp", "4913", "x.txt", "~x.yaml"):
        (root / "policies" / ignored).write_text("not: [yaml")
    (root / "policies" / ".git").mkdir()
    (root / "policies" / ".git" / "x.yaml").write_text("not: [yaml")
    (root / "beside.yaml").write_text("not: [yaml")
    loaded = Folder(root).load()
    assert loaded.diagnostics == ()
    assert names(loaded) == ["one", "two"]
    assert [document.file for document in loaded.documents] == ["policies/a/b/x.yml", "providers.d/y.YAML"]
    assert loaded.files == 2


def test_one_of_the_two_folders_is_enough(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    assert Folder(tmp_path).load().diagnostics == ()


def test_missing_folders(tmp_path: Path) -> None:
    assert codes(Folder(tmp_path / "nowhere").load()) == ["D131"]
    assert codes(Folder(tmp_path).load()) == ["D132"]
    (tmp_path / "file").write_text("")
    assert codes(Folder(tmp_path / "file").load()) == ["D131"]
    (tmp_path / "policies").mkdir()
    found = Folder(tmp_path, [tmp_path / "prod"]).load().diagnostics
    assert [(one.code, one.file) for one in found] == [("D131", "prod")]


def test_a_mounted_config_map(root: Path) -> None:
    """Kubernetes swaps one hidden link; the visible files are links through it."""
    policies = root / "policies"
    for version in ("one", "two"):
        (policies / f"..{version}").mkdir()
        (policies / f"..{version}" / "x.yaml").write_text(route(version))
    (policies / "..data").symlink_to("..one")
    (policies / "x.yaml").symlink_to("..data/x.yaml")
    cache = DocumentCache()
    before = Folder(root).load(cache)
    first = signature(root)
    (policies / "..new").symlink_to("..two")
    (policies / "..new").replace(policies / "..data")
    after = Folder(root).load(cache)
    assert (names(before), names(after)) == (["one"], ["two"])
    assert before.digest != after.digest
    assert signature(root) != first


def test_the_folders_that_files_are_read_from(root: Path, tmp_path: Path) -> None:
    for made in ("policies/a/b", "policies/.git/refs", "node_modules/policies"):
        (root / made).mkdir(parents=True)
    (root / "policies" / "a" / "loop").symlink_to(root / "policies")
    (root / "providers.d" / "linked").symlink_to(root / "node_modules")
    expected = ["", "policies", "policies/a", "policies/a/b", "providers.d", "providers.d/linked"]
    expected.append("providers.d/linked/policies")
    assert sorted(folders(root)) == [str(root / name) for name in expected]
    assert folders(tmp_path / "nowhere") == [str(tmp_path / "nowhere")]


def test_an_empty_file_is_no_file_without_documents(root: Path) -> None:
    (root / "policies" / "chat.yaml").write_text("")
    assert codes(Folder(root).load()) == ["D134"]
    (root / "policies" / "chat.yaml").write_text("# nothing yet\n")
    assert Folder(root).load().diagnostics == ()


def test_linked_folders_are_followed_but_not_in_circles(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.yaml").write_text(route("one"))
    (root / "policies" / "linked").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(root / "policies")
    loaded = Folder(root).load()
    assert loaded.diagnostics == ()
    assert names(loaded) == ["one"]


def test_what_cannot_be_read_is_said(root: Path) -> None:
    (root / "policies" / "gone.yaml").symlink_to("nowhere.yaml")
    (root / "policies" / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(root / "policies" / "pipe.yaml")
    (root / "policies" / "null.yaml").symlink_to("/dev/zero")
    found = Folder(root).load().diagnostics
    assert [one.code for one in found] == ["D130"] * 4
    assert sorted(one.file for one in found) == [f"policies/{name}.yaml" for name in ("gone", "loop", "null", "pipe")]
    assert all(one.hint for one in found)


def test_a_file_without_permission(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "policies" / "x.yaml").write_text(route("one"))

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.Path, "open", refuse)
    (found,) = Folder(root).load().diagnostics
    assert (found.code, found.file) == ("D130", "policies/x.yaml")
    assert "permissions" in found.hint


def test_a_large_file_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (root / "policies" / "x.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)

    def refuse(self: Path, *_: object) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(files.Path, "open", refuse)
    assert codes(Folder(root).load()) == ["D109"]


def test_a_name_that_is_not_utf8(root: Path) -> None:
    path = os.fsencode(root / "policies") + b"/caf\xe9.yaml"
    Path(os.fsdecode(path)).write_text(route("one", "name: two"))
    loaded = Folder(root).load()
    assert [found.file for found in loaded.diagnostics] == ["policies/caf\ufffd.yaml"]
    loaded.digest.encode()


def test_two_documents_of_one_name(root: Path) -> None:
    (root / "policies" / "b.yaml").write_text(route("one"))
    (root / "policies" / "a.yaml").write_text("# first\n" + route("one") + "---\n" + route("two"))
    loaded = Folder(root).load()
    (found,) = loaded.diagnostics
    assert (found.code, found.file, found.line, found.column) == ("D127", "policies/b.yaml", 3, 7)
    assert found.related == (("policies/a.yaml", 4, 7, "first declared here"),)
    assert names(loaded) == ["one", "two"]


def test_the_same_name_in_another_kind(root: Path) -> None:
    (root / "policies" / "a.yaml").write_text(route("one") + "---\n" + route("one").replace("route", "policy"))
    assert Folder(root).load().diagnostics == ()


def test_order_and_names_of_files_mean_nothing(root: Path, tmp_path: Path) -> None:
    texts = [route(f"r{n}", f"priority: {n}") for n in range(20)]
    seen = []
    for seed in range(5):
        chance = random.Random(seed)
        chance.shuffle(texts)
        base = tmp_path / f"try{seed}"
        for number, text in enumerate(texts):
            file = base / chance.choice(["policies", "providers.d"]) / chance.choice(["", "x"]) / f"{number % 7}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as opened:
                opened.write("---\n" + text)
        loaded = Folder(base).load()
        assert loaded.diagnostics == ()
        seen.append([(document.kind, document.name, dict(document.tree)) for document in loaded.documents])
    assert all(one == seen[0] for one in seen)


class Reads:
    """Counts the files that are read and the texts that are parsed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[str] = []
        self.parsed: list[str] = []
        read, parse = files.read, folder.parse

        def counted_read(file: files.File) -> object:
            self.files.append(Path(file.path).name)
            return read(file)

        def counted_parse(text: str | bytes, file: str, **more: object) -> object:
            self.parsed.append(Path(file).name)
            return parse(text, file, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(files, "read", counted_read)
        monkeypatch.setattr(folder, "parse", counted_parse)

    def take(self) -> tuple[list[str], list[str]]:
        taken = sorted(self.files), sorted(self.parsed)
        self.files.clear()
        self.parsed.clear()
        return taken


def age(path: Path, seconds: int = 3600) -> None:
    past = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(past, past))


def test_only_what_changed_is_parsed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (root / "policies" / f"{name}.yaml").write_text(route(name))
    reads = Reads(monkeypatch)
    cache = DocumentCache()
    first = Folder(root).load(cache)
    assert reads.take() == (["a.yaml", "b.yaml", "c.yaml"],) * 2
    # A file that changed a moment ago may change again without its times telling: it is read, but not parsed.
    again = Folder(root).load(cache)
    assert reads.take() == (["a.yaml", "b.yaml", "c.yaml"], [])
    assert again == first
    (root / "policies" / "b.yaml").write_text(route("b", "priority: 1"))
    changed = Folder(root).load(cache)
    assert reads.take()[1] == ["b.yaml"]
    assert changed.digest != first.digest
    kept = [document for document in changed.documents if document.name != "b"]
    assert all(document in first.documents for document in kept)
    (root / "policies" / "b.yaml").write_text(route("b"))
    assert Folder(root).load(cache).digest == first.digest
    (root / "policies" / "c.yaml").unlink()
    assert names(Folder(root).load(cache)) == ["a", "b"]


def test_settled_files_are_not_even_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (root / "policies" / f"{name}.yaml").write_text(route(name))
    reads = Reads(monkeypatch)
    cache = DocumentCache()
    now = folder.time.time_ns()
    monkeypatch.setattr(folder.time, "time_ns", lambda: now + 10 * 10**9)
    Folder(root).load(cache)
    reads.take()
    Folder(root).load(cache)
    assert reads.take() == ([], [])
    # Neither an older time nor the same size hides an edit.
    path = root / "policies" / "b.yaml"
    before = path.stat()
    path.write_text(route("z"))
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert names(Folder(root).load(cache)) == ["a", "z"]
    assert reads.take() == (["b.yaml"], ["b.yaml"])


def test_documents_of_an_edited_file_keep_their_trees(root: Path) -> None:
    path = root / "policies" / "a.yaml"
    path.write_text("\n---\n".join(route(f"r{n}") for n in range(5)))
    cache = DocumentCache()
    before = Folder(root).load(cache)
    path.write_text("# one line more\n---\n" + path.read_text().replace("r2", "changed"))
    after = Folder(root).load(cache)
    fresh = Folder(root).load()
    assert names(after) == ["changed", "r0", "r1", "r3", "r4"]
    old = {document.name: document.tree for document in before.documents}
    kept = [document for document in after.documents if document.name in ("r1", "r3", "r4")]
    assert all(document.tree is old[document.name] for document in kept)
    for warm, cold in zip(after.documents, fresh.documents, strict=True):
        assert (warm.tree, warm.index, warm.digest) == (cold.tree, cold.index, cold.digest)
        assert warm.source.span(("name",)) == cold.source.span(("name",))


def test_a_warm_load_finds_what_a_cold_one_finds(root: Path) -> None:
    path = root / "policies" / "a.yaml"
    cache = DocumentCache()
    aliases = "a: &a [" + "x," * 4000 + "]\nb: [*a]\n"
    for text in (
        route("one") + "---\n" + route("two", "x: !t 1"),
        "# moved\n" + route("one") + "---\n" + route("two", "x: !t 1") + "---\n" + route("a b"),
        "---\n".join(route(f"r{n}") + aliases for n in range(2)),
        "---\n".join(route(f"r{n}") + aliases for n in range(3)),
        "a: [\n---\n" + route("one"),
        "",
    ):
        path.write_text(text)
        warm, cold = Folder(root).load(cache), Folder(root).load()
        assert warm.diagnostics == cold.diagnostics
        assert warm.digest == cold.digest
        assert names(warm) == names(cold)


def test_the_signature_follows_every_change(root: Path) -> None:
    path = root / "policies" / "a.yaml"
    seen = [signature(root)]
    path.write_text(route("one"))
    seen.append(signature(root))
    assert signature(root) == seen[-1]
    age(path)
    seen.append(signature(root))
    path.rename(root / "policies" / "b.yaml")
    seen.append(signature(root))
    (root / "policies" / "b.yaml").unlink()
    overlay = root / "prod"
    (overlay / "policies").mkdir(parents=True)
    (overlay / "policies" / "x.yaml").write_text(route("one"))
    seen.append(signature(root, [overlay]))
    assert len(set(seen)) == len(seen)
    assert signature(root) == seen[0]
    assert signature(root / "nowhere") != seen[0]
