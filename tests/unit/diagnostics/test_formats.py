"""What every format promises: it can be read by its readers, and nothing in a file can break out of it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.diagnostics import CODES, FORMATS, Diagnostic, render_human, sort
from engine.diagnostics.order import count, relocate, summary
from engine.diagnostics.plain import clean, width

#: The machine may be busy with other things: work is bounded by other tests, not by the clock.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(max_size=30)
FOUND = st.builds(
    Diagnostic,
    code=st.sampled_from(sorted(CODES)),
    severity=st.sampled_from(["error", "warning", "note"]),
    summary=TEXT,
    file=st.sampled_from(["policies/a.yaml", "providers.d/é b.yaml", "../prod/x,y:z.yaml"]),
    line=st.integers(1, 2000),
    column=st.integers(1, 400),
    end_column=st.integers(2, 500),
    excerpt=TEXT | st.text(min_size=200, max_size=300),
    label=TEXT,
    detail=TEXT,
    hint=TEXT,
    related=st.lists(st.tuples(st.just("b.yaml"), st.integers(1, 9), st.integers(1, 9), TEXT), max_size=2).map(tuple),
)
MANY = st.lists(FOUND, max_size=4)


def finding(**changes: object) -> Diagnostic:
    plain = {
        "code": "D102", "severity": "error", "summary": "wrong", "file": "policies/a.yaml",
        "line": 1, "column": 1, "end_column": 2,
    }  # fmt: skip
    return Diagnostic(**{**plain, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMATS)
@UNTIMED
@given(found=MANY)
def test_every_format_ends_with_the_summary(name: str, found: list[Diagnostic]) -> None:
    shown = FORMATS[name](found, documents=14)
    shown.encode("utf-8", "strict" if shown.isascii() else "surrogatepass")
    said = summary(found, 14)
    assert said in shown
    assert shown.endswith("\n")
    if name in ("human", "github", "markdown"):
        assert shown.endswith(f"{said}\n")


@UNTIMED
@given(found=MANY)
def test_json_holds_everything(found: list[Diagnostic]) -> None:
    body = json.loads(FORMATS["json"](found, documents=2))
    assert [one["summary"] for one in body["diagnostics"]] == [one.summary for one in found]
    assert body["summary"] == {**count(found), "documents": 2, "text": summary(found, 2)}


@UNTIMED
@given(found=MANY)
def test_github_has_a_command_a_line(found: list[Diagnostic]) -> None:
    *commands, last = FORMATS["github"](found, documents=2).removesuffix("\n").split("\n")
    assert last == summary(found, 2)
    assert len(commands) == len(found)
    for command, one in zip(commands, found, strict=True):
        match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::([^\r\n]*)", command)
        assert match is not None
        fields = dict(part.split("=", 1) for part in match[2].split(","))
        assert fields["line"] == str(one.line)
        assert unescape(fields["file"]) == one.file


def unescape(text: str) -> str:
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


@UNTIMED
@given(found=MANY)
def test_junit_is_xml(found: list[Diagnostic]) -> None:
    root = ElementTree.fromstring(FORMATS["junit"](found, documents=2))  # noqa: S314 - our own output
    cases = root.findall(".//testcase")
    assert root.attrib["tests"] == str(len(cases))
    if found:
        assert [case.attrib["name"] for case in cases] == sorted({one.file for one in found})
    failed = {one.file for one in found if one.severity == "error"}
    assert {case.attrib["name"] for case in cases if case.find("failure") is not None} == failed
    assert root.attrib["failures"] == str(len(failed))


@UNTIMED
@given(found=MANY)
def test_sarif_refers_to_its_rules(found: list[Diagnostic]) -> None:
    log = json.loads(FORMATS["sarif"](found, documents=2))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(CODES)
    assert len(run["results"]) == len(found)
    for result, one in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == one.code
        (location,) = result["locations"]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert re.fullmatch(r"[\w./%~-]+", artifact["uri"], re.ASCII)
        assert not artifact["uri"].startswith("/")


@UNTIMED
@given(found=MANY)
def test_a_row_of_markdown_is_a_row(found: list[Diagnostic]) -> None:
    lines = FORMATS["markdown"](found, documents=2).split("\n")
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == (len(found) + 2 if found else 0)
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 6


@UNTIMED
@given(found=MANY)
def test_nothing_steers_a_terminal(found: list[Diagnostic]) -> None:
    for name in ("human", "github", "markdown", "junit"):
        shown = FORMATS[name](found, documents=2)
        assert all(character == "\n" or character == clean(character) for character in shown), name


@UNTIMED
@given(found=FOUND)
def test_carets_stand_under_the_place(found: Diagnostic) -> None:
    lines = render_human([found], documents=1).split("\n")
    if not found.excerpt or found.excerpt != found.excerpt.rstrip():
        return  # nothing is shown, or less than there is: lines are printed without the white space at their ends
    shown, marks = lines[3], lines[4]
    gutter = marks.index("|") + 2
    carets = re.match(r" *(\^*)", marks[gutter:])
    assert carets is not None
    assert carets[1]
    # The mark may stand one column behind the text, where something is missing.
    assert width(marks[:gutter]) + width(carets[0]) <= max(width(shown), gutter) + 1
    assert width(shown) <= 330


def test_wide_characters_and_tabs() -> None:
    excerpt = "\tx: {日本: é, e\u0301: acme/larg}"
    at = excerpt.index("acme/larg")
    shown = render_human([finding(excerpt=excerpt, column=at + 1, end_column=at + 10)], documents=1)
    line, marks = shown.split("\n")[3:5]
    assert width(line[: line.index("acme")]) == marks.index("^")
    assert marks.count("^") == len("acme/larg")


def test_a_long_line_is_cut_around_the_place() -> None:
    excerpt = "a" * 500 + "WRONG" + "b" * 500
    shown = render_human([finding(excerpt=excerpt, column=501, end_column=506)], documents=1)
    line, marks = shown.split("\n")[3:5]
    assert line.endswith("...")
    assert "   | ..." not in line
    assert line[marks.index("^") : marks.rindex("^") + 1] == "WRONG"
    assert len(line) < 160


def test_color_only_when_asked() -> None:
    found = [finding(severity=severity, excerpt="x", label="l", hint="h") for severity in ("error", "warning", "note")]
    plain = render_human(found, documents=1)
    colored = render_human(found, documents=1, color=True)
    assert "\x1b" not in plain
    assert colored != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_the_order() -> None:
    found = [
        finding(file="b"), finding(file="a", line=10), finding(file="a", line=9, column=2), finding(file="a", line=9),
        finding(file="a", line=9, code="D101"), finding(file="b"),
    ]  # fmt: skip
    assert [(one.file, one.line, one.column, one.code) for one in sort(found)] == [
        ("a", 9, 1, "D101"), ("a", 9, 1, "D102"), ("a", 9, 2, "D102"), ("a", 10, 1, "D102"), ("b", 1, 1, "D102"),
    ]  # fmt: skip
    assert sort(reversed(found)) == sort(found)


@pytest.mark.parametrize(
    ("severities", "documents", "said"),
    [
        ([], 0, "0 errors, 0 warnings in 0 documents."),
        (["error"], 14, "1 error, 0 warnings in 14 documents."),
        (["error", "error", "warning"], 1, "2 errors, 1 warning in 1 document."),
        (["note"], 2, "0 errors, 0 warnings, 1 note in 2 documents."),
    ],
)
def test_summaries(severities: list[str], documents: int, said: str) -> None:
    assert summary([finding(severity=severity) for severity in severities], documents) == said


@pytest.mark.parametrize(
    ("prefix", "file"),
    [("", "a"), (".", "a"), ("config", "config/a"), ("./config/", "config/a"), ("/etc/x", "/etc/x/a")],
)
def test_files_as_seen_from_elsewhere(prefix: str, file: str) -> None:
    (found,) = relocate([finding(file="a", related=(("a", 1, 2, "x"),))], prefix)
    assert (found.file, found.related) == (file, ((file, 1, 2, "x"),))
