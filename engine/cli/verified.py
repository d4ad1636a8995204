"""What was proved of a configuration: for people, for build servers, for comments on pull requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import click

from engine.compiler import Compilation
from engine.diagnostics import FORMATS, Diagnostic, relocate, render_markdown, sort
from engine.diagnostics.human import render_one
from engine.diagnostics.reports import suite
from engine.documents import diagnose
from engine.documents.edit import written
from engine.executor.intake import SURFACES
from engine.graph import Graph, matches
from engine.proof.verify import Loose, Verdict, Verifier, excuse
from engine.proof.witness import Example, explain_line, in_words
from engine.proof.worst import Worst, worst
from engine.schema import InvariantDoc
from engine.units import format_duration

from .findings import compile_config, from_here, print_findings
from .terminal import Problem, nearest, paint, plural, table
from .tested import request_of_test


@dataclass(frozen=True, slots=True)
class Proved:
    """All that was asked. ``waived`` are the names of invariants and findings that are put up with."""

    compilation: Compilation
    verdicts: tuple[Verdict, ...]
    loose: tuple[Loose, ...]
    worst: tuple[Worst, ...]
    findings: tuple[Diagnostic, ...]
    waived: frozenset[str]

    @property
    def holds(self) -> bool:
        """Whether nothing is left that must be mended."""
        return not any(found.severity == "error" for found in self.findings)


def prove(config: Path, overlays: Sequence[Path], only: Sequence[str], today: date) -> Proved:
    """Prove what a folder states. A configuration with errors is printed and ends the command with exit 1."""
    compilation = compile_config(config, overlays)
    graph = compilation.graph
    if graph is None:
        print_findings(compilation.diagnostics, compilation.documents)
        raise click.exceptions.Exit(1)
    documents = [model for model in compilation.declarations if isinstance(model, InvariantDoc)]
    statements = [doc for doc in documents if doc.finding is None]
    chosen = [doc for doc in statements if not only or any(matches(name, doc.name) for name in only)]
    if only and not chosen:
        hint = next(filter(None, (nearest(name, (doc.name for doc in statements)) for name in only)), "")
        raise Problem(f"no invariant is named {' or '.join(only)}", hint or "--only takes the name of one, or a glob")
    verifier = _verifier(graph)
    verdicts = tuple(verifier.invariant(document) for document in sorted(chosen, key=lambda doc: doc.name))
    loose = () if only else tuple(verifier.loose_ends())
    judge = _Judge(compilation, documents, today)
    found = [*judge.verdicts(verdicts), *judge.loose(loose)]
    if not only:
        found += judge.idle()
    bounds = tuple(worst(route) for route in graph.routes.values())
    return Proved(compilation, verdicts, loose, bounds, tuple(sort(found)), frozenset(judge.waived))


def _verifier(graph: Graph) -> Verifier:
    return Verifier(graph, SURFACES.values(), lambda asked: request_of_test(graph, asked))


class _Judge:
    """Turns what was found into findings, with waivers and their last days in view."""

    def __init__(self, compilation: Compilation, documents: Sequence[InvariantDoc], today: date) -> None:
        self.compilation = compilation
        self.documents = documents
        self.today = today
        self.waived: set[str] = set()
        self._used: set[str] = set()

    def verdicts(self, verdicts: Sequence[Verdict]) -> Iterator[Diagnostic]:
        by_name = {document.name: document for document in self.documents}
        for verdict in verdicts:
            document = by_name[verdict.name]
            if verdict.state == "proved":
                if document.waive is not None:
                    yield self._idle(document, "the invariant is proved")
                continue
            if document.waive is not None:
                ended = self._ended(document)
                if ended is None:
                    self.waived.add(verdict.name)
                    continue
                yield ended
            yield self._refuted(document, verdict.example) if verdict.example else self._unknown(document)

    def loose(self, loose: Sequence[Loose]) -> Iterator[Diagnostic]:
        for one in loose:
            document = excuse(self.documents, one)
            if document is not None:
                self._used.add(document.name)
                ended = self._ended(document)
                if ended is None:
                    self.waived.add(document.name)
                    continue
                yield ended
            yield self._loose(one)

    def idle(self) -> Iterator[Diagnostic]:
        """Waivers of findings that nothing has."""
        for document in self.documents:
            if document.finding is not None and document.name not in self._used:
                yield self._idle(document, "no such route has this finding")

    def _idle(self, document: InvariantDoc, why: str) -> Diagnostic:
        summary = f'invariant "{document.name}" waives what does not happen'
        return self._at(document, "W807", ("waive",), summary, label=why, hint="remove the waiver", key=True)

    def _ended(self, document: InvariantDoc) -> Diagnostic | None:
        waive = document.waive
        if waive is None or self.today <= date.fromisoformat(waive.until):
            return None
        summary = f'the waiver of invariant "{document.name}" has ended'
        return self._at(
            document,
            "V806",
            ("waive", "until"),
            summary,
            label=f"today is {self.today.isoformat()}",
            detail=f"It was put up with because: {waive.because}",
            hint="mend it; or decide again, with a new day and a reason",
        )

    def _refuted(self, document: InvariantDoc, example: Example) -> Diagnostic:
        what = "a copy of a request goes" if example.copy else "a request comes"
        summary = f'invariant "{document.name}" does not hold: {what} to {example.target}'
        because = f"it stands for: {document.because}" if document.because else ""
        return self._at(
            document,
            "V801",
            (_statement(document),),
            summary,
            key=True,
            label=because,
            detail="\n".join(example_lines(example)),
            hint=f"put the test into policies/tests/, or try `{explain_line(example.request)}`",
        )

    def _unknown(self, document: InvariantDoc) -> Diagnostic:
        summary = f'invariant "{document.name}" could not be decided'
        return self._at(
            document,
            "V802",
            (_statement(document),),
            summary,
            key=True,
            label="some way might break it, and no request was found that does",
            hint="`interlock explain-error V802` says what may help",
        )

    def _at(self, document: InvariantDoc, code: str, path: tuple[str, ...], summary: str, **more: Any) -> Diagnostic:
        return diagnose(self.compilation.sources[("invariant", document.name)], code, path, summary, **more)

    def _loose(self, loose: Loose) -> Diagnostic:
        document = self.compilation.sources[("route", loose.route)]
        if loose.name == "one_provider":
            label = "when it fails, they are not answered"
            summary = f'some requests of route "{loose.route}" have provider "{loose.provider}" only'
            return diagnose(
                document,
                "W805",
                ("step",),
                summary,
                label=label,
                key=True,
                detail=f"For example: {loose.words}" if loose.words else "",
                hint="add a step at another provider, or an invariant with `finding: one_provider`",
            )
        if not loose.path:
            summary = f'no request of route "{loose.route}" ever reaches a target'
            return diagnose(
                document,
                "V803",
                ("step",),
                summary,
                key=True,
                hint="correct the conditions, or what the targets support",
            )
        summary = f'no request ever comes to {loose.target} in route "{loose.route}"'
        return diagnose(
            document,
            "W804",
            ("step",),
            summary,
            key=True,
            label=f"at {loose.path}",
            hint="remove that step, or correct what keeps requests from it",
        )


def _statement(document: InvariantDoc) -> str:
    return "never" if document.never is not None else "always"


def example_lines(example: Example) -> list[str]:
    """A counter-example for people: the request, what goes wrong, what is attempted, and the test that shows it."""
    document = example.document
    lines = [f"request: {in_words(example.request)}"]
    lines += [f"fault:   {fault['target']} ends as {fault['outcome']}" for fault in document.get("faults", ())]
    for name, values in document.get("state", {}).items():
        words = {"open": "open breakers", "no_credential": "no secret"}
        lines.append(f"state:   {words[name]}: {', '.join(values)}")
    tried = [f"{one.target} ({one.outcome.value})" for one in example.course.tries]
    lines.append(f"tried:   {', '.join(tried)}")
    if example.course.mirrors:
        lines.append(f"copies:  {', '.join(example.course.mirrors)}")
    return [*lines, "", *written(document).rstrip("\n").splitlines()]


def render(proved: Proved, format_: str, *, root: Path, color: bool, worst: bool) -> str:
    """What came of it, in one of the formats of ``verify``."""
    found = list(proved.findings)
    if format_ == "human":
        return _human(proved, color, worst)
    if format_ == "json":
        return json.dumps(_json(proved), indent=2, ensure_ascii=False)
    documents = proved.compilation.documents
    if format_ in ("github", "sarif"):
        return FORMATS[format_](relocate(found, from_here(root)), documents=documents)
    if format_ == "markdown":
        short = [replace(one, detail=one.detail.partition("\n\n")[0]) for one in found]
        text = render_markdown(short, documents=documents) if found else ""
        parts = [f"**{_summary(proved)}**", "\n".join(text.splitlines()[:-1]).rstrip()]
        parts += [f"```yaml\n{written(v.example.document)}```" for v in proved.verdicts if v.example is not None]
        if worst:
            parts.append("\n".join(_markdown_table(proved.worst)))
        return "\n\n".join(part for part in parts if part)
    cases = []
    for verdict in proved.verdicts:
        own = [one for one in found if f'invariant "{verdict.name}"' in one.summary]
        document = proved.compilation.sources[("invariant", verdict.name)]
        cases.append((verdict.name, document.source.file_of(()), own))
    rest = [one for one in found if not any(one in case[2] for case in cases)]
    cases.append(("routes", ".", rest))
    return suite("interlock verify", cases, _summary(proved))


def _human(proved: Proved, color: bool, worst: bool) -> str:
    blocks = []
    for verdict in proved.verdicts:
        waived = verdict.name in proved.waived
        style = {"proved": "green", "refuted": "red", "unknown": "yellow"}[verdict.state]
        mark = paint(f"{verdict.state:8}", "yellow" if waived else style, color)
        blocks.append(f"{mark}  {verdict.name}" + ("  (waived)" if waived else ""))
    for one in proved.findings:
        # What is to be pasted stands by itself.
        told, _, document = one.detail.partition("\n\n")
        blocks.append(render_one(replace(one, detail=told), color=color).rstrip("\n"))
        if document:
            blocks.append(f"\n{document}\n")
    if worst:
        blocks.append(
            ("\n" if blocks else "") + table(_HEAD, [_cells(one) for one in proved.worst], color).rstrip("\n")
        )
    blocks.append(("\n" if blocks else "") + _summary(proved))
    return "\n".join(blocks)


_HEAD = ("route", "attempts", "seconds", "USD", "copies")


def _cells(one: Worst) -> tuple[str, ...]:
    usd = "unknown" if one.usd is None else f"{one.usd.quantize(one.usd.__class__('0.0001')).normalize():f}"
    return (one.route, str(one.attempts), format_duration(one.seconds), usd, str(one.copies))


def _markdown_table(bounds: Sequence[Worst]) -> Iterator[str]:
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for one in bounds:
        yield f"| {' | '.join(_cells(one))} |"


def _summary(proved: Proved) -> str:
    states = [verdict.state for verdict in proved.verdicts]
    parts = [f"{states.count(state)} {state}" for state in ("proved", "refuted", "unknown") if state in states]
    said = f"{plural(len(states), 'invariant')}: {', '.join(parts)}" if states else "There is no invariant"
    waived = f"; {len(proved.waived)} waived" if proved.waived else ""
    others = [one for one in proved.findings if one.code not in ("V801", "V802")]
    more = f"; {plural(len(others), 'other finding')}" if others else "; nothing else was found"
    return f"{said}{waived}{more}."


def _json(proved: Proved) -> dict[str, Any]:
    from engine.diagnostics import to_dict

    return {
        "invariants": [
            {
                "name": verdict.name,
                "state": verdict.state,
                "waived": verdict.name in proved.waived,
                "example": None if verdict.example is None else _example(verdict.example),
            }
            for verdict in proved.verdicts
        ],
        "findings": [to_dict(replace(one, detail="") if one.code == "V801" else one) for one in proved.findings],
        "worst": [
            {
                "route": one.route,
                "attempts": one.attempts,
                "seconds": one.seconds,
                "usd": None if one.usd is None else str(one.usd),
                "copies": one.copies,
            }
            for one in proved.worst
        ],
    }


def _example(example: Example) -> dict[str, Any]:
    return {
        "target": example.target,
        "route": example.route,
        "copy": example.copy,
        "test": example.document,
        "explain": explain_line(example.request),
    }
