"""How the tests of a configuration went: for people, for build servers, for comments on pull requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from engine.compiler import Compilation
from engine.diagnostics import Diagnostic, render_github, render_markdown
from engine.diagnostics.human import render_one
from engine.diagnostics.model import Diagnostic as Found
from engine.diagnostics.reports import suite
from engine.documents import diagnose
from engine.graph import Graph, matches
from engine.planner import Request
from engine.proof import Coverage, Example, Step, play
from engine.schema.proof import TestDoc, TestRequest

from .asked import request_from
from .findings import compile_config, from_here, print_findings
from .terminal import Problem, nearest, paint, plural


@dataclass(frozen=True, slots=True)
class Played:
    """All that was played; ``least`` is the coverage that is asked for, 0..1."""

    compilation: Compilation
    examples: tuple[Example, ...]
    coverage: Coverage
    least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether every test holds and enough is reached."""
        return all(example.holds for example in self.examples) and not self.falls_short

    @property
    def falls_short(self) -> bool:
        """Whether tests reach less than asked for."""
        return self.least is not None and self.coverage.share < self.least


def play_all(config: Path, overlays: Sequence[Path], only: Sequence[str], least: float | None) -> Played:
    """Play the tests of a folder. A configuration with errors is printed and ends the command with exit 1."""
    compilation = compile_config(config, overlays)
    graph = compilation.graph
    if graph is None:
        print_findings(compilation.diagnostics, compilation.documents)
        raise click.exceptions.Exit(1)
    documents = [model for model in compilation.declarations if isinstance(model, TestDoc)]
    chosen = [doc for doc in documents if not only or any(matches(name, doc.name) for name in only)]
    if only and not chosen:
        hint = next(filter(None, (nearest(name, (doc.name for doc in documents)) for name in only)), "")
        raise Problem(f"no test is named {' or '.join(only)}", hint or "--only takes the name of a test, or a glob")
    coverage = Coverage(graph)
    examples = []
    for document in chosen:
        example = play(graph, document, lambda asked: request_of_test(graph, asked))
        for step in example.steps:
            coverage.add(step.request, step.course)
        examples.append(example)
    return Played(compilation, tuple(examples), coverage, least)


def request_of_test(graph: Graph, asked: TestRequest) -> Request:
    """The request of a test, read as the server would read it."""
    fields = {"messages": json.dumps(asked.messages).encode()} if asked.messages else None
    request = request_from(
        graph,
        None if fields is None else _raw(fields),
        model=asked.model,
        surface=asked.surface,
        stream=asked.stream,
        user=asked.user,
        max_tokens=asked.max_tokens,
        metadata=dict(asked.metadata),
        headers=asked.headers,
        key=asked.key,
        request_id=asked.request_id or "",
        input_tokens=asked.input_tokens,
        tools=asked.tools,
        vision=asked.vision,
        json_schema=asked.json_schema,
    )
    if asked.team is not None:
        request.team = asked.team
    return request


def _raw(fields: dict[str, bytes]) -> dict[str, Any]:
    from msgspec import Raw

    return {name: Raw(value) for name, value in fields.items()}


def findings(played: Played) -> Iterator[Diagnostic]:
    """One finding for each expectation that was not met, where it is written."""
    for example in played.examples:
        document = played.compilation.sources[("test", example.name)]
        several = "scenario" in document.tree
        for at, step in enumerate(example.steps):
            for number, mismatch in enumerate(step.mismatches):
                place = ("scenario", at, "expect", mismatch.what) if several else ("expect", mismatch.what)
                where = f", step {at + 1}" if several else ""
                yield diagnose(
                    document,
                    "T701",
                    place,
                    f'test "{example.name}"{where}: not the expected {mismatch.what}',
                    label=f"came: {mismatch.actual}",
                    detail="" if number else "\n".join(_course_lines(step)),
                    hint="correct the configuration, or the test",
                )
    if played.falls_short:
        reached, asked = f"{played.coverage.share:.1%}", f"{played.least:.1%}"
        yield Found("T702", "error", f"tests reach {reached} of the configuration, {asked} are asked for", ".", 1, 1, 2,
                    hint="`interlock test --coverage` lists what no test reaches")  # fmt: skip


def _course_lines(step: Step) -> list[str]:
    """What was done, attempt by attempt, beside what was expected."""
    course, expected = step.course, _expected(step)
    rows = []
    for at in range(max(len(course.tries), len(expected or ()))):
        tried = course.tries[at] if at < len(course.tries) else None
        wanted = expected[at] if expected is not None and at < len(expected) else ""
        actual = "nothing more was tried"
        if tried is not None:
            actual = f"{tried.target}  {tried.outcome.value}"
            actual += f", come back in {tried.retry_after:g}s" if tried.retry_after is not None else ""
            actual += f"  (at {tried.began:.3g}s)" if tried.began else ""
        mark = " " if expected is None or (tried is not None and tried.target == wanted) else "≠"
        rows.append((f"{at + 1}.", wanted, mark, actual))
    width = max((len(row[1]) for row in rows), default=0)
    lines = []
    if expected is not None:
        lines.append(f"   {'expected':{width}}    actual")
    lines += [f"{number:3}{wanted:{width}}  {mark} {actual}" if expected is not None else f"{number:3}{actual}"
              for number, wanted, mark, actual in rows]  # fmt: skip
    lines += [f"   passed over: {skip.target}, {skip.reason}: {skip.detail}" for skip in course.passed]
    lines += [
        f"   not tried: {skip.target}, {skip.reason}" + (f": {skip.detail}" if skip.detail else "")
        for skip in course.plan.skips
    ]
    end = f"   ends as {course.outcome.value}, status {course.status}"
    lines.append(end + (f" after {course.seconds:.3g}s" if course.seconds else ""))
    return lines


def _expected(step: Step) -> list[str] | None:
    found = next((one for one in step.mismatches if one.what == "attempts"), None)
    return None if found is None else [] if found.expected == "none" else found.expected.split(", ")


def render(played: Played, format_: str, *, root: Path, color: bool, listed: bool) -> str:
    """How it went, in one of the formats of ``test``."""
    found = list(findings(played))
    if format_ == "human":
        return _human(played, found, color, listed)
    if format_ == "json":
        return json.dumps(_json(played), indent=2, ensure_ascii=False)
    documents = len(played.examples)
    if format_ == "github":
        from engine.diagnostics import relocate

        return render_github(relocate(found, from_here(root)), documents=documents)
    if format_ == "markdown":
        return _markdown(played, found)
    cases = [(example.name, *_case(played, example, found)) for example in played.examples]
    cases += [("coverage", ".", [one for one in found if one.code == "T702"])] if played.falls_short else []
    return suite("interlock test", cases, _summary(played))


def _case(played: Played, example: Example, found: list[Diagnostic]) -> tuple[str, list[Diagnostic]]:
    file = played.compilation.sources[("test", example.name)].source.file_of(())
    return file, [one for one in found if one.summary.startswith(f'test "{example.name}"')]


def _human(played: Played, found: list[Diagnostic], color: bool, listed: bool) -> str:
    blocks = []
    for example in played.examples:
        mark = paint("ok  ", "green", color) if example.holds else paint("FAIL", "red", color)
        blocks.append(f"{mark}  {example.name}")
    blocks += [render_one(one, color=color).rstrip("\n") for one in found if one.code != "T702" or not listed]
    if listed:
        missing = played.coverage.missing()
        blocks.append(paint("no test reaches", "bold", color) if missing else "tests reach everything")
        width = max((len(item.route) for item in missing), default=0)
        blocks += [f"  {item.route:{width}}  {item.kind:8}  {item.path}".rstrip() for item in missing]
    blocks.append(("" if not blocks else "\n") + _summary(played))
    return "\n".join(blocks)


def _summary(played: Played) -> str:
    failed = sum(not example.holds for example in played.examples)
    covered = f"{played.coverage.share:.0%} of the configuration reached"
    if not played.examples:
        return f"There is no document of `kind: test`; {covered}."
    held = f"{plural(len(played.examples), 'test')}, {failed} failed" if failed else (
        f"{plural(len(played.examples), 'test')}, all hold"
    )  # fmt: skip
    return f"{held}; {covered}."


def _markdown(played: Played, found: list[Diagnostic]) -> str:
    text = render_markdown([replace(one, detail="") for one in found], documents=len(played.examples)) if found else ""
    table = "\n".join(text.splitlines()[:-1]).rstrip()
    return "\n\n".join(part for part in (f"**{_summary(played)}**", table) if part)


def _json(played: Played) -> dict[str, Any]:
    coverage = played.coverage
    return {
        "tests": [
            {
                "name": example.name,
                "holds": example.holds,
                "steps": [
                    {
                        "route": step.course.plan.route.name if step.course.plan.route else None,
                        "attempts": [
                            {
                                "target": tried.target,
                                "path": tried.path,
                                "outcome": tried.outcome.value,
                                "began": tried.began,
                                "took": tried.took,
                            }
                            for tried in step.course.tries
                        ],
                        "outcome": step.course.outcome.value,
                        "status": step.course.status,
                        "variants": dict(step.course.plan.variants),
                        "seconds": step.course.seconds,
                        "usd": None if step.course.usd is None else str(step.course.usd),
                        "mismatches": [
                            {"what": one.what, "expected": one.expected, "actual": one.actual}
                            for one in step.mismatches
                        ],
                    }
                    for step in example.steps
                ],
            }
            for example in played.examples
        ],
        "coverage": {
            "share": round(coverage.share, 4),
            "missing": [{"route": item.route, "kind": item.kind, "path": item.path} for item in coverage.missing()],
        },
    }
