"""``interlock prices``: what the models cost, and bringing that up to date from a price list, as an edit to review."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .options import config_argument, format_option, overlay_option, require_config
from .terminal import Problem, emit, plural, table, wants_color

if TYPE_CHECKING:
    from engine.documents import Document
    from engine.graph import Price, Target

    from .pricelist import PriceList

_COLUMNS = ("input", "cached_input", "cache_write", "output", "reasoning", "image", "request")
#: How many targets a line shows that were left alone; `--format json` is for the rest.
_SHOWN = 8
_json = msgspec.json.Encoder(decimal_format="number")


class _Prices(click.Group):
    """A group whose first command is meant where none is named: ``prices FOLDER`` lists the prices of FOLDER."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Prices)
def prices() -> None:
    """What the models cost. `interlock prices [CONFIG]` lists it; `sync` brings it up to date.

    USD per million tokens; a price that is not written is unknown, which is not zero.
    """


@prices.command("list", short_help="List the prices of every target.")
@config_argument
@overlay_option
@click.option("--provider", "names", multiple=True, metavar="NAME", help="Of this provider only (repeatable).")
@format_option("human", "json")
def list_(config: Path, overlays: Sequence[Path], names: Sequence[str], format_: str) -> int:
    """List the prices of every target in CONFIG (default: this folder)."""
    from .findings import compile_graph
    from .terminal import nearest

    graph = compile_graph(config, overlays)
    unknown = [name for name in names if name not in graph.providers]
    if unknown:
        raise Problem(f'there is no provider "{unknown[0]}"', nearest(unknown[0], graph.providers))
    targets = [graph.targets[key] for key in sorted(graph.targets)]
    shown = [target for target in targets if not names or target.provider.name in names]
    if format_ == "json":
        emit(msgspec.json.format(_json.encode([_row(target) for target in shown])).decode())
        return 0
    cells = [
        (target.id, *(_cell(price, column) for column in _COLUMNS), _above(tier))
        for target in shown
        for tier, price in _levels(target.price)
    ]
    emit(table(("target", *(name.replace("_", " ") for name in _COLUMNS), "for"), cells, wants_color(sys.stdout)))
    return 0


def _levels(price: Price | None) -> list[tuple[int | None, Price | None]]:
    return [(None, price), *(price.tiers if price is not None else ())]


def _cell(price: Price | None, column: str) -> str:
    value = getattr(price, column) if price is not None else None
    return "" if value is None else f"{value:f}"


def _above(tier: int | None) -> str:
    return "" if tier is None else f"more than {tier:,} input tokens"


def _row(target: Target) -> dict[str, Any]:
    def known(price: Price | None) -> dict[str, Decimal]:
        return {name: value for name in _COLUMNS if (value := getattr(price, name, None)) is not None}

    tiers = [{"above": above, **known(price)} for above, price in (target.price.tiers if target.price else ())]
    return {"target": target.id, "model": target.model, "price": known(target.price), "tiers": tiers}


@dataclass
class _Finding:
    """What the list says differently of one provider: model -> price -> (was, is)."""

    document: Document
    changes: dict[str, dict[str, tuple[Any, Any]]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    """Why a model's price was left alone -> the models."""


def _day(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date:
    try:
        return date.fromisoformat(value) if value else datetime.now(UTC).date()
    except ValueError:
        raise click.BadParameter(f'"{value}" is not a day such as 2026-11-30', ctx, parameter) from None


@prices.command(short_help="Rewrite the prices in the files to those of the price list.")
@config_argument
@click.option("--check", "checking", is_flag=True, help="Write nothing; exit 1 where a price is not the list's.")
@click.option("--day", callback=_day, metavar="DATE", help="Prices of this day (UTC), such as 2026-11-30; today's.")
@format_option("human", "json")
def sync(config: Path, checking: bool, day: date, format_: str) -> int:
    """Rewrite the prices in CONFIG (default: this folder) to those of the installed price list, in the YAML files.

    Providers that say which prices are theirs (`prices: {provider: ...}`) are brought up to date. Comments and order
    stay; review the difference like any other edit. The list is the package genai-prices (`interlock[prices]`): a newer
    list comes with `pip install -U genai-prices`, nothing is fetched. A price the list does not know is left as it is.
    """
    from .pricelist import PriceList

    root = config.parent if config.name == "providers.d" else config
    require_config(root)
    listed = PriceList()
    found = [look(document, listed, day) for document in _documents(root)]
    changed = [finding for finding in found if finding.changes]
    if not checking:
        for finding in changed:
            _write(root, finding, listed.version, day)
    emit(_as_json(changed) if format_ == "json" else _as_table(found, listed.version, day, checking))
    return 1 if checking and changed else 0


def _documents(root: Path) -> list[Document]:
    """The providers that name their part of the price list. A document with errors is left to ``interlock check``."""
    from engine.documents import Folder
    from engine.schema import validate

    loaded = [document for document in Folder(root).load().documents if document.kind == "provider"]
    return [document for document in loaded if document.tree.get("prices") and validate(document)[0] is not None]


def look(document: Document, listed: PriceList, day: date) -> _Finding:
    """What the list says differently of this valid provider's models on a day."""
    from .pricelist import differences

    found = _Finding(document)
    for name, model in document.tree.get("models", {}).items():
        entry = listed.find(document.tree["prices"]["provider"], model.get("model", name), day)
        if entry.reason:
            found.left.setdefault(entry.reason, []).append(name)
        elif differing := differences(model.get("price") or {}, entry):
            found.changes[name] = differing
    return found


def _write(root: Path, finding: _Finding, version: str, day: date) -> None:
    """Edit the provider's file in place."""
    from engine.documents.edit import EditError, edited
    from engine.runtime.editing import replace_file

    document = finding.document
    edits: dict[tuple[str, ...], Any] = {("prices", "version"): version, ("prices", "as_of"): day.isoformat()}
    for name, differing in finding.changes.items():
        if not document.tree["models"][name].get("price"):
            edits["models", name, "price"] = {key: _number(new) for key, (_, new) in differing.items()}
        else:
            edits.update({("models", name, "price", key): _number(new) for key, (_, new) in differing.items()})
    path = root / document.file
    try:
        text = path.read_text(encoding="utf-8")
        replace_file(path, edited(text, "provider", document.name or "", edits))
    except (OSError, EditError) as problem:
        raise Problem(f'"{path}" cannot be edited: {problem}', "mend that, and run it again") from None


def _number(value: Any) -> Any:
    """As YAML is to show it: a whole number without a point."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: _number(inner) for key, inner in value.items()}
    return [_number(inner) for inner in value] if isinstance(value, list) else value


def _as_json(changed: Sequence[_Finding]) -> str:
    rows = [
        {"target": f"{finding.document.name}/{name}", "price": key, "was": _number(was), "is": _number(new)}
        for finding in changed
        for name, differing in finding.changes.items()
        for key, (was, new) in differing.items()
    ]
    return msgspec.json.format(_json.encode(rows)).decode()


def _as_table(found: Sequence[_Finding], version: str, day: date, checking: bool) -> str:
    rows = [
        (f"{finding.document.name}/{name}", key.replace("_", " "), _text(was), _text(new))
        for finding in found
        for name, differing in finding.changes.items()
        for key, (was, new) in differing.items()
    ]
    parts = [table(("target", "price", "was", "is"), rows, wants_color(sys.stdout)), ""] if rows else []
    left: dict[str, list[str]] = {}
    for finding in found:
        for reason, names in finding.left.items():
            left.setdefault(reason, []).extend(f"{finding.document.name}/{name}" for name in names)
    parts += [f"left alone, {reason}: {_some(names)}" for reason, names in left.items()]
    files = sum(bool(finding.changes) for finding in found)
    what = f"{plural(len(rows), 'price')} of {plural(files, 'provider')} {'differ' if checking else 'rewritten'}"
    done = what if rows else f"the prices of {plural(len(found), 'provider')} are those of the list"
    return "\n".join([*parts, f"{done} (genai-prices {version}, {day})"])


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return "; ".join(", ".join(f"{key} {_text(inner)}" for key, inner in tier.items()) for tier in value)
    return f"{Decimal(str(value)):f}"
