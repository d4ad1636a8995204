"""The help of every command as Markdown, and the writer that keeps such generated parts of documents current.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``.
"""

from __future__ import annotations

from pathlib import Path

import click

NAME = "cli-help"
_WIDTH = 100


def render_help() -> str:
    """The ``--help`` of ``interlock`` and of each of its commands, as Markdown. The same on every terminal."""
    from .app import COMMANDS, cli

    settings = {**cli.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    root = click.Context(cli, info_name="interlock", **settings)
    sections = [f"```text\n$ interlock --help\n{cli.get_help(root)}\n```"]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None  # noqa: S101  - the table's names are the group's commands
        context = click.Context(command, parent=root, info_name=name, **settings)
        sections.append(f"### `interlock {name}`\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(sections) + "\n"


def replace_block(text: str, name: str, body: str) -> str:
    """``text`` with what stands between the markers of ``name`` replaced by ``body``.

    Raises ``ValueError`` unless both markers are there exactly once, in order.
    """
    start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"the text needs exactly one line {start} and after it one line {end}")
    head, rest = text.split(start)
    return f"{head}{start}\n\n{body.strip()}\n\n{end}{rest.split(end)[1]}"


def refresh(path: Path, *, check: bool = False) -> bool:
    """Bring the command line's part of the document at ``path`` up to date; whether it was already.

    With ``check`` nothing is written.
    """
    text = path.read_text(encoding="utf-8")
    current = replace_block(text, NAME, render_help())
    if current != text and not check:
        path.write_text(current, encoding="utf-8")
    return current == text
