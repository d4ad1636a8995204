"""Codes L5xx, going live: what can keep a configuration that compiles from being served."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "L501",
        "error",
        "the configuration compiles but could not be made ready",
        "Everything in the documents is in order, but something outside of them that serving needs is not: the file of "
        "certificate authorities that `settings` names, say. A running server goes on with the configuration it has "
        "and tries this one again by itself, at first every second, then less and less often, at least once a minute. "
        "Mend what the message names, or revert the edit.",
    ),
    Code(
        "L502",
        "error",
        "reading the configuration failed unexpectedly",
        "Interlock itself failed while it read this configuration; that is a fault in it, whatever the files say. A "
        "running server goes on with the configuration it has. The log holds the traceback, which a report of the "
        "fault should quote. Meanwhile change the edit that set it off, or revert it; the next edit is read afresh.",
    ),
    Code(
        "L503",
        "error",
        "the configuration may not be served as this server was started",
        "The configuration is in order, but not together with how the running server was started: the server listens "
        "on an address that other machines can reach, say, and the edit removes the last `key` document, after which "
        "everyone who can connect could use it. The server goes on with the configuration it has. Revert the edit, or "
        "restart the server in a way that fits it (there: on 127.0.0.1).",
    ),
)
