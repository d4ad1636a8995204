"""``interlock serve``: the server, on a configuration that it reloads as it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .options import overlay_option, require_config


@click.command()
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    metavar="FOLDER",
    help="The configuration.",
)
@overlay_option
@click.option("--host", help="Address to listen on (default: the settings document's, else 127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on (default: the settings document's, else 8080)."
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that share the port."
)
@click.option(
    "--last-good",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep the last configuration that compiled here, and start on it if CONFIG does not compile.",
)
@click.option("--watch/--no-watch", default=True, help="Reload the configuration as it changes (default) or never.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="How much to log.",
)
def serve(
    config: Path,
    overlays: Sequence[Path],
    host: str | None,
    port: int | None,
    workers: int,
    last_good: Path | None,
    watch: bool,
    log_level: str,
) -> int:
    """Run the server until it is told to stop; SIGTERM lets requests in flight finish.

    A configuration that does not compile is printed and exits 1. Later edits that do not compile leave the running
    configuration serving; `interlock status` shows why. Without any `key` document it listens on loopback only.
    Several workers need state that they share: `state.store: redis` in the settings document.
    """
    if last_good is None:
        require_config(config, overlays)
    from engine.server.serve import run_server

    return run_server(
        config,
        overlays=tuple(overlays),
        host=host,
        port=port,
        workers=workers,
        last_good=last_good,
        watch=watch,
        log_level=log_level,
    )
