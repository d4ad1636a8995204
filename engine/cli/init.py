"""``interlock init``: a small working configuration to start from."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from .terminal import Problem, plural

_SCAFFOLD = Path(__file__).parent / "scaffold"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option(
    "--providers", "names", multiple=True, metavar="NAMES", help="Providers of the shipped catalogue, such as a,b,c."
)
@click.option("--force", is_flag=True, help="Overwrite files that are in the way.")
def init(folder: Path, names: Sequence[str], force: bool) -> int:
    """Write a small working configuration into FOLDER (default: this folder): a provider, a route, a policy, a test,
    and the JSON Schemas that editors check them against.

    With --providers, those of the shipped catalogue, and a route that falls over between them in that order.
    Files of yours are never overwritten without --force; what is already the same is left alone.
    """
    if folder.exists() and not folder.is_dir():
        raise Problem(f'"{folder}" is a file', "name a folder; it need not exist yet")
    wanted, to_do = _contents(names)
    existing = {name: folder / name for name in wanted if (folder / name).exists()}
    changed = [name for name, path in existing.items() if not path.is_file() or path.read_bytes() != wanted[name]]
    if changed and not force:
        raise Problem(
            f'these files in "{folder}" are in the way, and nothing was written: {", ".join(changed)}',
            "choose another folder, or overwrite them with --force",
        )
    _write(folder, {name: data for name, data in wanted.items() if name not in existing or name in changed})
    here = "" if folder == Path() else f" {folder}"
    click.echo(f'"{folder}" holds a configuration of {plural(_documents(wanted), "document")}:')
    for name in wanted:
        if not name.startswith("schemas/"):
            click.echo(f"  {name}")
    click.echo("  schemas/ (generated; for editors)")
    click.echo("\n".join(to_do) + (", then:" if to_do else "now:"))
    click.echo(f"  interlock check{here}")
    if "policies/chat.yaml" in wanted:
        click.echo(f"  interlock explain{here} --model chat")
    click.echo(f"  interlock serve{here and f' --config{here}'}")
    return 0


def _contents(names: Sequence[str]) -> tuple[dict[str, bytes], list[str]]:
    """File name (relative, posix) -> content of everything that ``init`` writes; and what is left to do by hand."""
    from engine.schema import write_schemas

    files = {p.relative_to(_SCAFFOLD).as_posix(): p.read_bytes() for p in sorted(_SCAFFOLD.rglob("*.yaml"))}
    to_do = ["set base_url and model in providers.d/local.yaml to your server's"]
    if names:
        files, to_do = _chosen(names, files)
    with tempfile.TemporaryDirectory() as scratch:
        write_schemas(Path(scratch))
        for path in sorted(Path(scratch).iterdir()):
            files[f"schemas/{path.name}"] = path.read_bytes()
    return files, to_do


def _chosen(names: Sequence[str], scaffold: dict[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """The same for providers of the catalogue: their files as they are, and routes over them."""
    from . import starter

    found = starter.load(starter.parsed(names))
    documents = {name: document for name, (_, document) in found.items()}
    texts = {f"providers.d/{name}.yaml": text for name, (text, _) in found.items()}
    files = {name: text.encode() for name, text in {**texts, **starter.policies(documents)}.items()}
    files["policies/everywhere.yaml"] = scaffold["policies/everywhere.yaml"]
    return dict(sorted(files.items())), starter.to_do(documents)


def _documents(files: dict[str, bytes]) -> int:
    return sum(not name.startswith("schemas/") for name in files)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise Problem(
                f'cannot write "{path}": {error.strerror}', "choose a folder that you may write to"
            ) from error
