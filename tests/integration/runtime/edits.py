"""A configuration of some hundred documents that is edited in every way that configurations are edited in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.compiler import Caches, compile_folder

FILLERS = 96
BROKEN = ("version: 1\nkind: rou", "version: 1\nkind: route\nname: chat\nstep: home/nobody\n", "a: [", "\0", "")


class Edits:
    """A configuration behind a link, its providers behind another, as mounted volumes have them.

    Every version of the provider has an account of its own, which its answers name: ``answers`` says by fingerprint
    what a request must be answered. ``root`` is the folder to serve.
    """

    def __init__(self, config_type: Any, base: Path, port: int) -> None:
        self.config_type = config_type
        self.base = base
        self.port = port
        self.version = 0
        self.answers: dict[str, str] = {}
        self.root = base / "live"
        self.root.symlink_to(self._folder())
        self._caches = Caches()
        self._removed: Path | None = None
        self.expect()

    def kinds(self) -> tuple[Callable[[], bool], ...]:
        """Every way to edit. Each returns whether the result is valid; what is not is to be mended next."""
        return (
            self.edit_in_place,
            self.break_it,
            self.replace_as_editors_do,
            self.swap_the_folder,
            self.add_or_remove_a_route,
            self.delete_the_provider,
            self.rename_a_file,
            self.swap_the_volume,
        )

    def expect(self) -> str:
        """The fingerprint of what is there now; notes what it must answer."""
        graph = compile_folder(self.root, caches=self._caches).graph
        assert graph is not None
        self.answers[graph.fingerprint] = f"v{self.version}/small"
        return graph.fingerprint

    def mend(self) -> None:
        """Makes what is invalid valid again, as another version."""
        # In place: a file that were removed first would be a route that is gone, which is a valid edit too.
        (file,) = (self.root / "policies/chat").iterdir()
        self.config_type(self.root).route(file=str(file.relative_to(self.root)))
        self._provider(self.root)

    def edit_in_place(self) -> bool:
        self._provider(self.root)
        return True

    def replace_as_editors_do(self) -> bool:
        file = self.root / "providers.d/home.yaml"
        text = file.read_text().replace(f"/v{self.version}/", f"/v{self.version + 1}/")
        self.version += 1
        draft = file.with_name(".home.yaml.swp")
        draft.write_text(text)
        draft.replace(file)
        return True

    def rename_a_file(self) -> bool:
        (old,) = (self.root / "policies/chat").iterdir()
        old.rename(old.with_name(f"chat-{self.version}.yaml"))
        self._provider(self.root)
        return True

    def add_or_remove_a_route(self) -> bool:
        if self._removed is None:
            self._removed = self.root / "policies/filler-7.yaml"
            self._removed.unlink()
        else:
            self.config_type(self.root).route("filler-7")
            self._removed = None
        return True

    def swap_the_folder(self) -> bool:
        """All of it is another folder from now on, and the old one is gone."""
        old, self._removed = self.root.resolve(), None
        _swap(self.root, self._folder())
        shutil.rmtree(old)
        return True

    def swap_the_volume(self) -> bool:
        """As a mounted ConfigMap is swapped: the link ``..data`` leads to another folder, and the old one is gone."""
        data = self.root / "..data"
        old = data.resolve()
        _swap(data, self._volume(self.root))
        shutil.rmtree(old)
        return True

    def break_it(self) -> bool:
        (file,) = (self.root / "policies/chat").iterdir()
        file.write_text(BROKEN[self.version % len(BROKEN)])
        return False

    def delete_the_provider(self) -> bool:
        (self.root / "providers.d/home.yaml").unlink()
        return False

    def _folder(self) -> Path:
        root = self.base / f"folder-{self.version}"
        config = self.config_type(root)
        for number in range(FILLERS):
            config.route(f"filler-{number}")
        config.put("policies/settings.yaml", "version: 1\nkind: settings\nname: quick\nreload: {debounce: 20ms}\n")
        config.route(file="policies/chat/chat.yaml")
        (root / "..data").symlink_to(self._volume(root))
        (root / "providers.d").symlink_to("..data/providers.d")
        return root

    def _volume(self, root: Path) -> Path:
        volume = root / f"..{self.version}"
        self._provider(volume)
        return volume

    def _provider(self, root: Path) -> None:
        self.version += 1
        self.config_type(root).provider(self.port, account=f"v{self.version}")


def _swap(link: Path, to: Path) -> None:
    draft = link.with_name("..next")
    draft.symlink_to(to)
    draft.replace(link)
