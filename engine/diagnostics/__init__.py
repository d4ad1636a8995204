"""Findings of the compiler: what they are, what their codes mean, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from engine.diagnostics.codes import CODES
from engine.diagnostics.explain import explain
from engine.diagnostics.human import render_human
from engine.diagnostics.machine import render_github, render_json, render_sarif, to_dict
from engine.diagnostics.model import Code, Diagnostic, Severity
from engine.diagnostics.order import relocate, sort, summary
from engine.diagnostics.reports import render_junit, render_markdown
from engine.diagnostics.suggest import did_you_mean


class Renderer(Protocol):
    """Findings to text; ``documents`` is how many documents were looked at."""

    def __call__(self, diagnostics: Sequence[Diagnostic], *, documents: int) -> str: ...


#: From the values of ``--format`` to their renderers.
FORMATS: Mapping[str, Renderer] = MappingProxyType(
    {
        "human": render_human,
        "json": render_json,
        "github": render_github,
        "sarif": render_sarif,
        "junit": render_junit,
        "markdown": render_markdown,
    }
)

__all__ = [
    "CODES",
    "FORMATS",
    "Code",
    "Diagnostic",
    "Renderer",
    "Severity",
    "did_you_mean",
    "explain",
    "relocate",
    "render_github",
    "render_human",
    "render_json",
    "render_junit",
    "render_markdown",
    "render_sarif",
    "sort",
    "summary",
    "to_dict",
]
