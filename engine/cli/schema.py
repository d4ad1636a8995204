"""``interlock schema``: the generated JSON Schemas that editors and other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from .terminal import Problem


@click.command()
@click.option(
    "--check", "checking", is_flag=True, help="Write nothing; exit 1 and name the files that are not current."
)
@click.option(
    "--output",
    "-o",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="schemas",
    show_default=True,
    metavar="FOLDER",
    help="Where the schemas are.",
)
def schema(checking: bool, folder: Path) -> int:
    """Write the JSON Schema of every document kind, or compare what is there with what would be written.

    Editors find them through a first line such as `# yaml-language-server: $schema=../schemas/route.schema.json`.
    """
    from engine.schema import SCHEMAS, check_schemas, write_schemas

    if not checking:
        try:
            write_schemas(folder)
        except OSError as error:
            raise Problem(
                f'cannot write schemas to "{folder}": {error.strerror}', "choose a folder with --output"
            ) from error
        click.echo(f'wrote the schemas of {len(SCHEMAS)} document kinds to "{folder}"')
        return 0
    if not folder.is_dir():
        raise Problem(f'there is no folder "{folder}"', "`interlock schema` writes it; --output names another")
    stale = check_schemas(folder)
    if not stale:
        click.echo(f'the schemas in "{folder}" are current')
        return 0
    for difference in stale:
        click.echo(difference)
    again = "" if folder == Path("schemas") else f" --output {folder}"
    click.echo(f'the schemas in "{folder}" are not current; `interlock schema{again}` writes them again', err=True)
    return 1
