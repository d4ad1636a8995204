"""The generated parts of README.md and engine/README.md, each from what the code says."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from pages import ROOT

from engine.cli.app import COMMANDS
from engine.diagnostics import CODES
from engine.exchange import RULES, OutcomeClass
from engine.executor.intake import SURFACES
from engine.server.management import ROUTES

_C = OutcomeClass

#: When a class is the outcome: what no table of the code can say.
WHEN: Mapping[OutcomeClass, str] = {
    _C.SERVED: "answered",
    _C.INVALID_REQUEST: "400, 422; 413 unless its code says context",
    _C.CONTEXT_EXCEEDED: "the input does not fit, by the error's code",
    _C.CONTENT_REFUSED: "moderation or a filter, by the error's code or the finish reason",
    _C.UNAUTHORIZED: "401, 403, or a secret that is not set: ours to mend",
    _C.QUOTA_EXHAUSTED: "402, or a code that says the account is out of credit",
    _C.MODEL_GONE: "404, 410",
    _C.RATE_LIMITED: "429",
    _C.OVERLOADED: "503, 529",
    _C.SERVER_ERROR: "409, any other 5xx",
    _C.CONNECTION: "DNS, connect, TLS, reset",
    _C.TIMEOUT: "408, or the limit `connect`, `first_token`, `idle` or `attempt` passed",
    _C.GARBLED: "unreadable, empty, or a stream without its end marker",
    _C.DEADLINE: "the request's `total`, or what the client allowed, passed",
    _C.CANCELLED: "the client left; the status is for the log",
    _C.UNROUTABLE: "no route answers to the model",
    _C.OVER_BUDGET: "no budget is acted on in this version",
    _C.OVER_LIMIT: "no limit is acted on in this version",
    _C.REJECTED: "a `reject` step (its own status), or a key that may not use the route",
}
_RETRY_NOTE = {_C.RATE_LIMITED: "as a last resort"}
_FAIL_OVER_NOTE = {_C.CONTEXT_EXCEEDED: "to a larger window", _C.CONTENT_REFUSED: "with `also_on`"}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, *rows]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]])


def first_line(docstring: str | None) -> str:
    """The first paragraph of a docstring as one line."""
    return " ".join((docstring or "").split("\n\n")[0].replace("``", "`").split())


def commands() -> str:
    """Every command and its one line."""
    return table(("command", "what it does"), [(f"`interlock {name}`", c.summary) for name, c in COMMANDS.items()])


def outcomes() -> str:
    """The outcome table."""
    rows = []
    for outcome, rule in RULES.items():
        kind = f"`{rule.type}` / `{rule.code}`" if rule.type else ""
        retry = "yes" if rule.retry_same else _RETRY_NOTE.get(outcome, "")
        onward = _FAIL_OVER_NOTE.get(outcome, "yes" if rule.fail_over else "")
        words = "yes" if rule.shows_message else ""
        final = "yes" if rule.terminal else ""
        rows.append((f"`{outcome}`", WHEN[outcome], str(rule.status), kind, retry, onward, words, final))
    head = ("class", "when", "status", "`type` / `code`", "retry the target", "fail over", "message shown", "final")
    return table(head, rows)


def endpoints() -> str:
    """Every endpoint, the scope it needs, and what it answers."""
    rows = [
        (f"`POST /v1{path}`", "`use`", f"{surface}" + ("; streams" if surface in ("chat", "completions") else ""))
        for path, surface in SURFACES.items()
    ]
    for path, methods in ROUTES.items():
        for method, (scope, function) in methods.items():
            rows.append((f"`{method} {path}`", f"`{scope}`" if scope else "none", first_line(function.__doc__)))
    return table(("endpoint", "scope", "what it answers"), rows)


def ranks() -> str:
    """The parts of the package by rank, each with the first line of its docstring."""
    tree = ast.parse((ROOT / "tests/architecture/test_imports.py").read_text(encoding="utf-8"))
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RANKS"
    ]
    order: dict[str, int] = ast.literal_eval(values[0])
    rows = []
    for part, rank in order.items():
        module, package = ROOT / f"engine/{part}.py", ROOT / f"engine/{part}/__init__.py"
        path = package if package.is_file() else module
        if path.is_file():
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            rows.append((str(rank), f"`{path.relative_to(ROOT / 'engine')}`", first_line(said)))
    return table(("rank", "part", "what it is"), rows)


def codes() -> str:
    """Every diagnostic code."""
    return table(("code", "severity", "what it says"), [(f"`{c.code}`", c.severity, c.title) for c in CODES.values()])


#: File -> name of the part -> what it has to be.
PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"commands": commands},
    "engine/README.md": {"ranks": ranks, "outcomes": outcomes, "endpoints": endpoints, "codes": codes},
}
