"""The distribution: what the wheel carries, what its metadata promises."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEATURES = {"verify", "bedrock", "vertex", "entra", "jwt", "prices", "redis", "postgres", "otel"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this tree as `pip install .` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def below(wheel: zipfile.ZipFile, folder: str) -> set[str]:
    return {name.removeprefix(folder) for name in wheel.namelist() if name.startswith(folder)}


def in_tree(folder: str, pattern: str) -> set[str]:
    return {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob(pattern)}


def test_wheel_carries_every_module_and_its_type_marker(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in below(wheel, "engine/") if name.endswith(".py")}
    assert packed == in_tree("engine", "*.py")
    assert "engine/py.typed" in wheel.namelist()


@pytest.mark.parametrize(
    ("source", "packed_as", "pattern"),
    [
        ("providers.d", "engine/catalogue/", "*.yaml"),
        ("schemas", "engine/schemas/", "*.json"),
        ("engine/cli/demo/config", "engine/cli/demo/config/", "*.yaml"),
    ],
)
def test_wheel_carries_its_data(wheel: zipfile.ZipFile, source: str, packed_as: str, pattern: str) -> None:
    expected = in_tree(source, pattern)
    assert expected
    assert expected <= below(wheel, packed_as)


def test_wheel_carries_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert len(tops) == 2
    assert "engine" in tops
    assert all(".dist-info" in top for top in tops - {"engine"})
    assert not [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_carries_the_licence(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    (name,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()


def test_wheel_declares_the_command(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert "interlock = engine.cli:main" in wheel.read(name).decode()


def test_extras_are_those_of_the_design(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra") or ()) == FEATURES | {"all", "demo", "dev"}


def test_extra_all_is_every_feature() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = everything.removeprefix("interlock[").removesuffix("]").split(",")
    assert set(named) == FEATURES


def test_runtime_dependencies_are_the_lean_ones(metadata: Message) -> None:
    required = [line for line in metadata.get_all("Requires-Dist") or () if "extra ==" not in line]
    names = {line.split(";")[0].split(">")[0].split("[")[0].strip() for line in required}
    assert {"uvicorn", "uvloop", "httptools", "msgspec"} <= names
    assert not [line for line in required if line.startswith("uvicorn[")]
    assert not {"openai", "fastapi", "redis", "botocore", "genai-prices"} & names
