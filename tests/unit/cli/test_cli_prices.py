"""``interlock prices``: the list, and the sync that rewrites YAML files and nothing else in them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli import cli, pricelist
from engine.cli.pricelist import BY_TIME, NOT_LISTED, OTHER_UNITS, Listed, PriceList, differences

DAY = "2026-11-24"
PROVIDER = """\
# The first line stays.
version: 1
kind: provider
name: acme
dialect: openai-chat
base_url: https://acme.example/v1
prices: {provider: groq, version: 0.0.1, as_of: "2026-01-01"}   # ours are those of groq
models:
  big:
    model: openai/gpt-oss-120b
    supports: [stream]                     # and nothing else
    price: {input: 99, output: 0.60, request: 0.5}   # a guess
  old:
    model: openai/gpt-oss-20b
  own: {price: {input: 1, output: 2}}
"""
ROUTE = "version: 1\nkind: route\nname: r\nstep: acme/big\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for name, text in (("providers.d/acme.yaml", PROVIDER), ("policies/r.yaml", ROUTE)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def prices(*args: str) -> Result:
    return CliRunner().invoke(cli, ["prices", *args])


def sync(config: Path, *args: str) -> Result:
    return prices("sync", str(config), "--day", DAY, *args)


def test_check_writes_nothing_and_exits_1(config: Path) -> None:
    done = sync(config, "--check")
    assert done.exit_code == 1
    assert (config / "providers.d/acme.yaml").read_text("utf-8") == PROVIDER
    assert [line.split() for line in done.output.splitlines() if line.startswith("acme/big")] == [
        ["acme/big", "input", "99", "0.15"],
        ["acme/big", "cached", "input", "-", "0.075"],
    ]
    assert "left alone, not in the list: acme/own" in done.output


def test_sync_rewrites_prices_and_keeps_the_rest(config: Path) -> None:
    assert sync(config).exit_code == 0
    text = (config / "providers.d/acme.yaml").read_text("utf-8")
    before, after = PROVIDER.splitlines(), text.splitlines()
    assert [line for line in after if line not in before] == [
        f'prices: {{provider: groq, version: {PriceList().version}, as_of: "{DAY}"}}   # ours are those of groq',
        "    price: {input: 0.15, output: 0.60, request: 0.5, cached_input: 0.075} # a guess",
        "    price: {input: 0.075, cached_input: 0.0375, output: 0.3}",
    ]
    assert len(after) == len(before) + 1
    assert sync(config, "--check").exit_code == 0


def test_the_folder_of_providers_may_be_named_itself(config: Path) -> None:
    assert sync(config / "providers.d", "--check").exit_code == 1


def test_json_is_for_machines(config: Path) -> None:
    rows = json.loads(sync(config, "--check", "--format", "json").output)
    assert {"target": "acme/big", "price": "input", "was": 99, "is": 0.15} in rows


def test_an_unknown_id_is_said_with_the_nearest(config: Path) -> None:
    file = config / "providers.d/acme.yaml"
    file.write_text(PROVIDER.replace("provider: groq", "provider: grok"), encoding="utf-8")
    done = sync(config, "--check")
    assert done.exit_code == 2
    assert 'the price list has no provider "grok"' in done.output
    assert 'did you mean "groq"?' in done.output


def test_a_day_that_is_none(config: Path) -> None:
    assert prices("sync", str(config), "--day", "tomorrow").exit_code == 2


@pytest.mark.parametrize("args", [("list",), ()], ids=["by name", "by default"])
def test_list_shows_every_target(config: Path, args: tuple[str, ...]) -> None:
    done = prices(*args, str(config))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1].split() == ["acme/big", "99", "0.6", "0.5"]
    rows = json.loads(prices(*args, str(config), "--format", "json").output)
    assert rows[0] == {
        "target": "acme/big",
        "model": "openai/gpt-oss-120b",
        "price": {"input": 99, "output": 0.6, "request": 0.5},
        "tiers": [],
    }


def test_list_of_an_unknown_provider(config: Path) -> None:
    done = prices(str(config), "--provider", "acne")
    assert done.exit_code == 2
    assert 'did you mean "acme"?' in done.output


def test_the_package_is_needed_for_the_sync_only(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "genai_prices", None)
    done = sync(config)
    assert done.exit_code == 2
    assert "pip install 'interlock[prices]'" in done.output
    assert prices(str(config)).exit_code == 0


def tiered(base: str, *tiers: tuple[int, str]) -> Any:
    """A price with tiers as the package has them."""
    above = [SimpleNamespace(start=start, price=Decimal(price)) for start, price in tiers]
    return SimpleNamespace(base=Decimal(base), tiers=above)


def listed(monkeypatch: pytest.MonkeyPatch, at: Any) -> Listed:
    """What is found for a model whose prices at a moment ``at`` tells."""
    model = SimpleNamespace(get_prices=at)
    known = SimpleNamespace(find_model=lambda name, all_providers: model if name == "m" else None)
    found = PriceList()
    monkeypatch.setattr(found, "_by_id", {"p": known})
    assert found.find("p", "other", date(2026, 11, 24)) is NOT_LISTED
    return found.find("p", "m", date(2026, 11, 24))


def test_tiers_name_all_that_differs_from_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    said = SimpleNamespace(
        input_mtok=tiered("1", (200, "2"), (800, "4")),
        output_mtok=tiered("5", (800, "9")),
        cache_read_mtok=Decimal("0.1"),
    )
    found = listed(monkeypatch, lambda moment: said)
    assert found.prices == {"input": 1, "output": 5, "cached_input": Decimal("0.1")}
    assert found.tiers == ({"above": 200, "input": 2}, {"above": 800, "input": 4, "output": 9})


def test_a_price_that_changes_within_the_day_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, lambda moment: SimpleNamespace(input_mtok=Decimal(1 + (moment.hour >= 16)))) is BY_TIME


def test_other_units_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, lambda moment: SimpleNamespace(audio_hours=Decimal(1))) is OTHER_UNITS


def test_a_price_per_request(monkeypatch: pytest.MonkeyPatch) -> None:
    found = listed(monkeypatch, lambda moment: SimpleNamespace(requests_kcount=Decimal(5)))
    assert found.prices == {"request": Decimal("0.005")}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"input": 1, "output": 2.0}, set()),
        ({"input": 1, "output": 2, "image": 3}, set()),
        ({"input": 1}, {"output"}),
        ({"input": 1.5, "output": 2}, {"input"}),
        ({"input": 1, "output": 2, "tiers": [{"above": 5, "input": 3}]}, {"tiers"}),
    ],
)
def test_only_what_the_list_names_is_compared(declared: dict[str, Any], expected: set[str]) -> None:
    assert set(differences(declared, Listed({"input": Decimal("1.0"), "output": Decimal(2)}))) == expected


def test_nothing_is_compared_where_the_list_says_nothing() -> None:
    assert differences({"input": 1}, pricelist.NOT_LISTED) == {}
