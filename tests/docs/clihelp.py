"""The help of every command as Markdown."""

from __future__ import annotations

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
        context = click.Context(command, parent=root, info_name=name, **settings)
        sections.append(f"### `interlock {name}`\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(sections) + "\n"
