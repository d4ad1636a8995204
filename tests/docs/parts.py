"""The generated parts of the documents, each from what the code says.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial

from clihelp import render_help
from pages import ROOT
from tables import fields, rules

import engine
from engine.cli.app import COMMANDS
from engine.diagnostics import CODES
from engine.dialects import Front, dialects
from engine.documents import Folder
from engine.exchange import RULES, OutcomeClass
from engine.executor.intake import SURFACES
from engine.schema import ProviderDoc, validate
from engine.server.management import ROUTES
from engine.telemetry.definitions import METRICS

_C = OutcomeClass

#: When a class is the outcome: what no table of the code can say. A test walks the enum.
WHEN: Mapping[OutcomeClass, str] = {
    _C.SERVED: "answered",
    _C.INVALID_REQUEST: "any other 4xx; 413 too, unless its code says context",
    _C.CONTEXT_EXCEEDED: "the input does not fit: by the error's code, or its words where it has none",
    _C.CONTENT_REFUSED: "moderation or a filter: by the error's code, or the finish reason of an empty answer",
    _C.UNAUTHORIZED: "401, 403, or a secret that is not set: ours to mend",
    _C.QUOTA_EXHAUSTED: "402, or a code that says the account is out of credit",
    _C.MODEL_GONE: "404, 410",
    _C.RATE_LIMITED: "429",
    _C.OVERLOADED: "503, 529",
    _C.SERVER_ERROR: "409, any other 5xx",
    _C.CONNECTION: "DNS, connect, TLS, reset",
    _C.TIMEOUT: "408, or the limit `connect`, `first_token`, `idle` or `attempt` passed",
    _C.GARBLED: "unreadable, empty, redirected, or a stream without its end marker",
    _C.DEADLINE: "the request's `total`, or what the client allowed, passed",
    _C.CANCELLED: "the client left; the status is for the log",
    _C.UNROUTABLE: "no route, or no step of it, is for this request",
    _C.OVER_BUDGET: "no budget is acted on in this version",
    _C.OVER_LIMIT: "a client limit is used up, or smaller than what the request asks for",
    _C.REJECTED: "a `reject` step (its own status), or a key that may not use the route",
}
_RETRY_NOTE = {_C.RATE_LIMITED: "as a last resort"}
_FAIL_OVER_NOTE = {_C.CONTEXT_EXCEEDED: "to a larger window", _C.CONTENT_REFUSED: "with `also_on`"}

#: Why a target of the route is not tried, and what the client gets where that leaves none. A test holds it to the list.
SKIPS: Mapping[str, tuple[str, str]] = {
    "capability": ("it cannot do what the request needs", "400 `unsupported_capability`"),
    "conversation": ("another target keeps the conversation that it goes on with", "400 `conversation_elsewhere`"),
    "context": ("the estimated input is larger than its context window", "400 `context_length_exceeded`"),
    "credential": ("its provider's secret is not set, or its provider refuses it", "502 `unauthorized`"),
    "breaker": ("it failed too often of late", "503 `overloaded`, with Retry-After"),
    "held": ("it asked to be left alone for a while", "429 `rate_limited`, with Retry-After"),
    "limit": (
        "what may be sent to it, or asked by this caller, is used up for now",
        "429 `rate_limited` or `over_limit`, with Retry-After",
    ),
    "no_fallback": ("the client sent `x-interlock-no-fallback`", ""),
    "not_assigned": ("it stands in another variant of a split", ""),
    "not_selected": ("it stands in another case of a switch", "404 `model_not_found`"),
    "not_mirrored": ("it gets copies of requests, and none of this one", ""),
    "rejected": ("it stands behind a `reject` step, or the key may not use the route", "the step's status, or 403"),
}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, *rows]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]])


def first_line(docstring: str | None) -> str:
    """The first paragraph of a docstring as one line of Markdown."""
    text = " ".join((docstring or "").split("\n\n")[0].split())
    for role in (":class:", ":meth:", ":attr:", ":func:"):
        text = text.replace(role, "")
    return text.replace("``", "`")


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
        breaker = rule.breaker.value
        rows.append((f"`{outcome}`", WHEN[outcome], str(rule.status), kind, retry, onward, breaker, words, final))
    head = ("class", "when", "status", "`type` / `code`", "retry the target", "fail over")
    head += ("breaker", "message shown", "final")
    return table(head, rows)


def skips() -> str:
    """Every reason to pass over a target."""
    head = ("reason", "why the target is not tried", "what the client gets if that leaves none")
    return table(head, [(f"`{reason}`", *texts) for reason, texts in SKIPS.items()])


def endpoints() -> str:
    """Every endpoint, the scope it needs, and what it answers."""
    rows = [
        (f"`POST /v1{path}`", "`use`", f"surface `{surface.name}`" + ("; streams" if surface.streams else ""))
        for path, surface in SURFACES.items()
    ]
    for path, methods in ROUTES.items():
        for method, (scope, function) in methods.items():
            rows.append((f"`{method} {path}`", f"`{scope}`" if scope else "none", first_line(function.__doc__)))
    return table(("endpoint", "scope", "what it answers"), rows)


def metrics() -> str:
    """Every metric of ours."""
    rows = [
        (f"`{d.name}`", d.kind, " ".join(f"`{label}`" for label in d.labels), d.text, f"`{d.otel}`") for d in METRICS
    ]
    return table(("metric", "kind", "labels", "what it says", "in OTLP"), rows)


def surfaces() -> str:
    """Every surface as conditions name it, with its endpoints and the dialect that its clients speak."""
    paths: dict[str, list[str]] = {}
    for path, surface in SURFACES.items():
        paths.setdefault(surface.name, []).append(f"`/v1{path}`")
    fronts = {surface.name: surface.front for surface in SURFACES.values()}
    needs = {surface.name: surface.needs or surface.kind for surface in SURFACES.values()}
    rows = [(f"`{name}`", ", ".join(at), f"`{fronts[name]}`", f"`{needs[name]}`") for name, at in paths.items()]
    return table(("surface", "endpoint", "clients speak", "a target supports"), rows)


def dialect_table() -> str:
    """Every dialect that is built in, as its class says."""
    rows = []
    for name, dialect in dialects().items():
        if not type(dialect).__module__.startswith("engine."):
            continue
        said = first_line(type(dialect).__doc__)
        paths = [f"`/v1{path}`" for path, surface in SURFACES.items() if surface.front == name]
        if len(paths) > 3:
            paths = [*paths[:1], "and all others below `/v1`"]
        found = dialect.discovery
        rows.append(
            (
                f"`{name}`",
                said,
                ", ".join(paths) if isinstance(dialect, Front) else "",
                ", ".join([*(["chat"] if dialect.chat else []), *sorted(dialect.codecs)]),
                ", ".join(f"`{need}`" for need in sorted(dialect.lacks)),
                f"`{dialect.prefix}`" if dialect.prefix else "",
                f"`{found.path.split('?')[0]}`" if found else "",
            )
        )
    head = ("dialect", "what it is", "clients speak it at", "translates", "cannot carry", "version", "lists models at")
    return table(head, rows)


def count() -> str:
    """How large the catalogue is, in one sentence."""
    providers, models, kinds = _shipped()
    return f"{len(providers)} providers ({kinds}) with {models} models."


def catalogue_size() -> str:
    """The same for the first page, with the protocols that are built in."""
    spoken = ", ".join(f"`{name}`" for name, d in dialects().items() if type(d).__module__.startswith("engine."))
    return f"The catalogue that is shipped has {count()} The protocols that are built in: {spoken}."


def ranks() -> str:
    """The parts of the package by rank, each with the first line of its docstring."""
    tree = ast.parse((ROOT / "tests/architecture/test_imports.py").read_text(encoding="utf-8"))
    values = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RANKS"
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


def exports() -> str:
    """Every name that ``import engine`` offers."""
    rows = [(f"`{name}`", first_line(inspect.getdoc(getattr(engine, name)))) for name in engine.__all__]
    return table(("name", "what it is"), rows)


def methods() -> str:
    """Every public method and property of ``Engine``."""
    rows = []
    for name, value in inspect.getmembers(engine.Engine):
        if not name.startswith("_"):
            called = "" if isinstance(value, property) else "()"
            rows.append((f"`{name}{called}`", first_line(inspect.getdoc(value))))
    return table(("member", "what it does"), rows)


def codes() -> str:
    """Every diagnostic code."""
    return table(("code", "severity", "what it says"), [(f"`{c.code}`", c.severity, c.title) for c in CODES.values()])


def targets() -> str:
    """Every target of the Makefile with its own words."""
    found = re.findall(r"^([a-z]+):.*?## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return table(("command", "what it does"), [(f"`make {name}`", words) for name, words in found])


def catalogue() -> str:
    """Every shipped provider, and how many there are of each category."""
    providers = _shipped()[0]
    rows = [
        (
            f"[`{provider.name}`]({provider.name}.yaml)",
            provider.category,
            ", ".join(f"`{dialect}`" for dialect in (provider.dialect, *provider.also_speaks)),
            str(len(provider.models)),
            _signed_in(provider),
            provider.tier or "",
        )
        for provider in providers
    ]
    head = ("provider", "category", "speaks", "models", "signs in with", "tier")
    return f"{count()}\n\n{table(head, rows)}"


@cache
def _shipped() -> tuple[list[ProviderDoc], int, str]:
    """The catalogue's providers, how many models they have, and how many there are of each category."""
    found = [validate(document)[0] for document in Folder(ROOT).load().documents if document.kind == "provider"]
    providers = [provider for provider in found if isinstance(provider, ProviderDoc)]
    number = Counter(provider.category for provider in providers)
    kinds = ", ".join(f"{number[kind]} {kind}" for kind in ("cloud", "gateway", "local", "specialized"))
    return providers, sum(len(provider.models) for provider in providers), kinds


def _signed_in(provider: ProviderDoc) -> str:
    secret = next(iter(provider.auth.secret_refs), None)
    scheme = getattr(provider.auth, "scheme", "")
    return f"`{secret.env}`" if secret is not None and secret.env else "" if scheme == "none" else f"scheme `{scheme}`"


def replace_part(text: str, name: str, body: str) -> str:
    """``text`` with what stands between the markers of ``name`` replaced by ``body``.

    Raises ``ValueError`` unless both markers are there exactly once, in order.
    """
    start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"the text needs exactly one line {start} and after it one line {end}")
    head, rest = text.split(start)
    return f"{head}{start}\n\n{body.strip()}\n\n{end}{rest.split(end)[1]}"


def renewed(name: str) -> str:
    """The text of the document ``name`` with its generated parts as they have to be."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for part, render in PARTS[name].items():
        text = replace_part(text, part, render())
    return text


_POLICY_KINDS = ("route", "policy", "key", "settings", "budget", "limit", "invariant", "test")

#: File -> name of the part -> what it has to be.
PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"catalogue": catalogue_size, "commands": commands},
    "CONTRIBUTING.md": {"targets": targets},
    "providers.d/README.md": {"catalogue": catalogue, "fields provider": partial(fields, "provider")},
    "policies/README.md": {
        "surfaces": surfaces,
        **{f"fields {kind}": partial(fields, kind) for kind in _POLICY_KINDS},
    },
    "engine/dialects/README.md": {"dialects": dialect_table},
    "schemas/README.md": {"rules": rules},
    "engine/cli/README.md": {"help": render_help},
    "engine/README.md": {
        "ranks": ranks,
        "outcomes": outcomes,
        "skips": skips,
        "endpoints": endpoints,
        "exports": exports,
        "methods": methods,
        "metrics": metrics,
        "codes": codes,
    },
}
