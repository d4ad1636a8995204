"""``interlock key``: a client's secret, shown once, and the document that lets the server recognise it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence

import click

from .options import pairs
from .terminal import Problem

_SCOPES = ("use", "read", "admin")


@click.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(_SCOPES), multiple=True, help="What it may do (repeatable; default: use)."
)
@click.option(
    "--route", "routes", multiple=True, metavar="NAME", help="A route it may use, or a glob (repeatable; default: all)."
)
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=pairs,
    help="Metadata fixed for all its requests (repeatable).",
)
def key(name: str, scopes: Sequence[str], routes: Sequence[str], metadata: Mapping[str, str]) -> int:
    """Make a key for the client NAME.

    The document goes to standard output, ready for `>> policies/keys.yaml`. The secret goes to standard error, this
    once: only its SHA-256 is in the document, and nobody can show it again.
    """
    secret = make_secret()
    document = key_document(name, secret, tuple(scopes) or ("use",), routes, metadata)
    _refuse_bad(name, document)
    click.echo(
        f'secret of "{name}", shown this once (Authorization: Bearer ..., or x-api-key):\n\n    {secret}\n', err=True
    )
    click.echo(document, nl=False)
    return 0


def make_secret() -> str:
    """A fresh secret ``il_<public prefix>_<random>``: 32 bits that may be logged, and 192 that may not."""
    return f"il_{secrets.token_hex(4)}_{secrets.token_hex(24)}"


def key_document(
    name: str, secret: str, scopes: Sequence[str], routes: Sequence[str], metadata: Mapping[str, str]
) -> str:
    """The ``kind: key`` document of ``secret``, as YAML that starts a document of its own."""
    # JSON strings are YAML strings.
    lines = [
        "---",
        f"# The secret starts with {'_'.join(secret.split('_')[:2])}.",
        "version: 1",
        "kind: key",
        f"name: {json.dumps(name, ensure_ascii=False)}",
        f'sha256: "{hashlib.sha256(secret.encode()).hexdigest()}"',
        f"scopes: [{', '.join(scopes)}]",
    ]
    if routes:
        lines.append(f"routes: {json.dumps(list(routes), ensure_ascii=False)}")
    if metadata:
        lines.append(f"metadata: {json.dumps(dict(metadata), ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _refuse_bad(name: str, text: str) -> None:
    """Raises :class:`Problem` unless the document passes the same validation that ``check`` applies."""
    from engine.documents import load_text
    from engine.schema import validate

    documents, findings = load_text(text, "key.yaml")
    for document in documents:
        findings = [*findings, *validate(document)[1]]
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise Problem(f'"{name}" cannot be declared: {errors[0].summary}', *(e.hint for e in errors if e.hint))
