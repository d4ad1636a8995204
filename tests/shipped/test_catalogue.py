"""The catalogue keeps what providers.d/README.md promises of it, file by file; no test names the files."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.cli.pricelist import PriceList
from engine.cli.prices import look
from engine.compiler import Compilation, compile_folder
from engine.documents import Document, Folder
from engine.documents.edit import edited
from engine.schema import ProviderDoc, validate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "providers.d"
FILES = sorted(FOLDER.glob("*.yaml"))
FIRST_LINE = "# yaml-language-server: $schema=../schemas/provider.schema.json\n"
#: Words in capitals in an address, that its reader replaces.
PLACEHOLDER = re.compile(r"(?<![A-Za-z0-9_-])[A-Z]{5,}(?![A-Za-z0-9_-])")
#: The contract's ids: what the mission names, and what it names as next.
NAMED = {
    "anthropic", "openai", "gemini", "bedrock", "mistral", "deepseek", "groq", "xai", "ollama", "lmstudio",
    "openrouter", "litellm", "azure-openai", "vertex", "cohere", "ai21", "together", "anyscale", "fireworks", "chutes",
    "glama", "requesty", "unbound", "custom",
}  # fmt: skip

ADDED = """\
version: 1
kind: provider
name: newcomer
dialect: openai-chat
base_url: https://newcomer.example/v1
models: {one: {supports: [stream]}}
"""


@cache
def documents() -> dict[str, Document]:
    """The catalogue's documents by file name."""
    loaded = [document for document in Folder(ROOT).load().documents if document.file.startswith("providers.d/")]
    return {Path(document.file).name: document for document in loaded}


def declared(file: Path) -> ProviderDoc:
    """What a file declares."""
    model, wrong = validate(documents()[file.name])
    assert wrong == []
    assert isinstance(model, ProviderDoc)
    return model


def compiled(root: Path, providers: dict[str, str], policies: dict[str, str]) -> Compilation:
    """A configuration of these files."""
    for folder, files in (("providers.d", providers), ("policies", policies)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (root / folder / name).write_text(text, encoding="utf-8")
    return compile_folder(root, environ={})


each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_there_are_enough_in_every_category() -> None:
    providers = [declared(file) for file in FILES]
    assert len(providers) >= 45
    assert sum(len(provider.models) for provider in providers) >= 400
    categories = Counter(provider.category for provider in providers)
    assert set(categories) == {"cloud", "local", "gateway", "specialized"}
    assert min(categories.values()) >= 3
    assert {provider.name for provider in providers} >= NAMED


@each
def test_a_file_compiles_alone(file: Path, tmp_path: Path) -> None:
    provider = declared(file)
    route = f"version: 1\nkind: route\nname: r\nstep: {provider.name}/{next(iter(provider.models))}\n"
    compilation = compiled(tmp_path, {file.name: file.read_text("utf-8")}, {"r.yaml": route})
    assert compilation.graph is not None
    assert len(compilation.graph.targets) == len(provider.models)
    # A secret of this machine, an address to fill in, and models that the one route does not use: nothing else.
    assert {finding.code for finding in compilation.diagnostics} <= {"W903", "W909", "N912"}


@each
def test_a_file_is_named_after_its_provider_and_says_where_its_facts_are_from(file: Path) -> None:
    text, provider = file.read_text("utf-8"), declared(file)
    assert provider.name == file.stem
    assert text.startswith(FIRST_LINE)
    assert "\ncategory: " in text
    assert provider.tier is not None
    if provider.name != "demo":  # the model that this package itself starts
        assert provider.source
        assert provider.as_of


@each
def test_an_address_is_safe_and_its_placeholders_are_explained(file: Path) -> None:
    text, provider = file.read_text("utf-8"), declared(file)
    if provider.base_url is None:
        assert provider.transport in ("process", "queue")
        return
    address = urlsplit(provider.base_url)
    assert address.scheme == "https" or address.hostname == "127.0.0.1"
    comment = "".join(line for line in text.splitlines(True) if line.startswith("#"))
    for word in PLACEHOLDER.findall(provider.base_url):
        assert f"eplace {word}" in comment or f" and {word}" in comment, f"what {word} stands for is not said"
    if provider.category == "local":
        assert address.hostname == "127.0.0.1"
        assert provider.labels["retains_data"] is False


@each
def test_a_secret_is_one_of_the_environment(file: Path) -> None:
    provider = declared(file)
    secret = next(iter(provider.auth.secret_refs), None)
    assert secret is None or secret.env is not None
    if provider.category in ("cloud", "gateway"):
        assert secret is not None or provider.auth.scheme in ("aws", "google", "entra")


@each
def test_models_are_believable(file: Path) -> None:
    for name, model in declared(file).models.items():
        assert name == name.lower(), "one spelling of a model at every host"
        assert model.supports
        if model.context_window and model.max_output:
            assert model.max_output < model.context_window
        price = model.price
        if price is not None and price.input and price.output and price.cached_input is not None:
            assert price.cached_input <= price.input, "reading from a cache never costs more"


@each
def test_an_edit_leaves_everything_else_as_it_was(file: Path) -> None:
    text = file.read_text("utf-8")
    assert edited(text, "provider", file.stem, {}) == text


@pytest.fixture(scope="module")
def price_list() -> PriceList:
    return PriceList()


@each
def test_prices_are_those_of_the_price_list(file: Path, price_list: PriceList) -> None:
    source = declared(file).prices
    if source is None:
        return
    assert source.version == price_list.version
    assert source.as_of is not None
    found = look(documents()[file.name], price_list, date.fromisoformat(source.as_of))
    assert found.changes == {}, "`interlock prices sync` rewrites them"
    assert len(declared(file).models) > sum(map(len, found.left.values())), "the list knows none of its models"


def test_adding_a_provider_is_one_file(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "providers.d")
    route = "version: 1\nkind: route\nname: new\nstep: newcomer/one\n"
    compilation = compiled(tmp_path, {"newcomer.yaml": ADDED}, {"new.yaml": route})
    assert compilation.graph is not None
    assert len(compilation.graph.providers) == len(FILES) + 1
    assert compilation.graph.routes["new"].targets[0].id == "newcomer/one"


def test_removing_one_names_what_still_points_at_it(tmp_path: Path) -> None:
    for folder in ("providers.d", "policies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    before = compile_folder(tmp_path, environ={}).graph
    assert before is not None
    gone = before.routes["chat"].targets[0].provider.name
    (tmp_path / "providers.d" / f"{gone}.yaml").unlink()
    compilation = compile_folder(tmp_path, environ={})
    assert compilation.graph is None
    users = {route.name for route in before.routes.values() if any(t.provider.name == gone for t in route.targets)}
    said = [finding for finding in compilation.diagnostics if finding.code == "R301"]
    assert {user for user in users if any(f'"{user}"' in finding.summary for finding in said)} == users


def test_what_nobody_uses_is_one_note() -> None:
    compilation = compile_folder(ROOT, environ={})
    notes: list[Any] = [finding for finding in compilation.diagnostics if finding.code == "N911"]
    assert len(notes) == 1
    assert compilation.graph is not None
    used = {target.provider.name for route in compilation.graph.routes.values() for target in route.targets}
    assert len([f for f in compilation.diagnostics if f.code == "N912"]) <= len(used)
