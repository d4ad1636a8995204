"""The exceptions Interlock raises.

    EngineError                     catch this to catch everything of ours
     + ConfigError                  the configuration does not compile; carries every diagnostic
     + RequestError                 a request did not end in an answer; carries its outcome
     |  + StreamError               ... after part of the answer had been delivered
     + PrepareError                 a compiled graph could not be made ready (client, certificate, token source)

A configuration problem is a list of diagnostics, not an exception, until it reaches the edge of the library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.diagnostics import Diagnostic
    from engine.exchange import Outcome


class EngineError(Exception):
    """Base class of every exception that Interlock raises on purpose."""


class ConfigError(EngineError):
    """The configuration has errors.

    ``diagnostics`` holds every finding, warnings included, sorted by file and line.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [d for d in self.diagnostics if d.severity == "error"]
        lines = [f"{d.file}:{d.line}:{d.column}: {d.code}: {d.summary}" for d in errors]
        count = f"{len(errors)} error{'s' if len(errors) != 1 else ''} in the configuration"
        super().__init__("\n".join([count, *lines]))


class PrepareError(EngineError):
    """A compiled graph could not be made ready to serve; the message says what and how to mend it."""


class RequestError(EngineError):
    """A request ended without an answer.

    ``outcome`` is the frozen record; ``status`` the HTTP status a client of the server would see; ``body`` the error
    in OpenAI's shape; ``headers`` what would accompany it (``retry-after`` among them, where it is known).
    """

    def __init__(self, outcome: Outcome, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.outcome = outcome
        self.status = status
        self.body = body
        self.headers = headers
        super().__init__(str(body.get("error", {}).get("message", f"the request failed with status {status}")))


class StreamError(RequestError):
    """A stream broke after part of the answer had been delivered; what arrived before stands, nothing was replayed."""
