"""The help of every command as Markdown."""

from __future__ import annotations

from typing import Any

import click

from engine.cli.app import COMMANDS, cli

_WIDTH = 100


def render_help() -> str:
    """The ``--help`` of ``interlock`` and of each of its commands, as Markdown. The same on every terminal."""
    settings = {**cli.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    root = click.Context(cli, info_name="interlock", **settings)
    sections = [f"```text\n$ interlock --help\n{cli.get_help(root)}\n```"]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        sections += _sections(command, root, f"interlock {name}", settings)
    return "\n\n".join(sections) + "\n"


def _sections(command: click.Command, parent: click.Context, title: str, settings: dict[str, Any]) -> list[str]:
    """The help of a command, and of the commands below it."""
    context = click.Context(command, parent=parent, info_name=title.rsplit(" ", 1)[1], **settings)
    found = [f"### `{title}`\n\n```text\n{command.get_help(context)}\n```"]
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            found += _sections(inner, context, f"{title} {name}", settings)
    return found
