"""Options and arguments that several commands take, declared once so that they read and behave the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

Command = TypeVar("Command", bound=Callable[..., Any])

#: The folders that make a folder a configuration.
CONFIG_PARTS = ("providers.d", "policies")


def config_argument(command: Command) -> Command:
    """``[CONFIG]``: the configuration folder, the current one by default."""
    return click.argument("config", type=click.Path(path_type=Path), default=".")(command)


def overlay_option(command: Command) -> Command:
    """``--overlay FOLDER``, repeatable."""
    return click.option(
        "--overlay",
        "overlays",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FOLDER",
        help="Merge the documents of this folder over the configuration (repeatable; later ones win).",
    )(command)


def output_option(command: Command) -> Command:
    """``--output FILE``."""
    return click.option(
        "--output",
        "-o",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write to this file instead of standard output.",
    )(command)


def format_option(*names: str, default: str = "human") -> Callable[[Command], Command]:
    """``--format`` with a closed list of names."""
    return click.option(
        "--format",
        "-f",
        "format_",
        type=click.Choice(names),
        default=default,
        show_default=True,
        help="How to print it.",
    )


def pairs(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Mapping[str, str]:
    """Option callback: ``KEY=VALUE`` texts as a mapping; a value may hold further ``=``."""
    result: dict[str, str] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f'"{value}" is not KEY=VALUE', ctx, parameter)
        result[key] = rest
    return result


def duration(ctx: click.Context, parameter: click.Parameter, value: str) -> float:
    """Option callback: seconds for ``30s``, ``500ms``, ``1m30s``."""
    from engine.units import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from error


def share(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Option callback: 0..1 for ``80%``."""
    from engine.units import parse_percent

    try:
        return None if value is None else parse_percent(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from error


def require_config(config: Path, overlays: Sequence[Path] = ()) -> None:
    """Raises :class:`Problem` unless ``config`` is a configuration folder and every overlay is a folder."""
    from .terminal import Problem

    if config.is_file():
        raise Problem(
            f'"{config}" is a file; a configuration is a folder with providers.d/ and policies/',
            f'name the folder instead: "{_root_of(config)}"',
        )
    if not config.is_dir():
        raise Problem(
            f'there is no configuration folder "{config}"',
            f"`interlock init {config}` writes a small working one",
        )
    if not is_config(config):
        raise Problem(
            f'"{config}" is not a configuration: it has neither providers.d/ nor policies/',
            "name the folder that holds them, or start one with `interlock init"
            + ("`" if config == Path() else f" {config}`"),
        )
    for overlay in overlays:
        if not overlay.is_dir():
            raise Problem(
                f'there is no overlay folder "{overlay}"',
                "an overlay has the shape of a configuration: providers.d/ and policies/ with the documents to change",
            )


def is_config(folder: Path) -> bool:
    """Whether this folder looks like a configuration."""
    return any((folder / part).is_dir() for part in CONFIG_PARTS)


def _root_of(file: Path) -> Path:
    """The configuration folder that ``file`` seems to belong to."""
    for parent in file.parents:
        if parent.name in CONFIG_PARTS:
            return parent.parent
    return file.parent


def address(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The address of a server."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port out of range
        good = False
    if not good:
        raise click.BadParameter(
            f'"{value}" is not a server\'s address; write for example http://127.0.0.1:8080', ctx, parameter
        )
    return value
