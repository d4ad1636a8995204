"""Imports go strictly downwards, and what touches the world is touched in one named place only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"

#: A part may import parts of a lower rank, and itself.
RANKS = {
    "errors": 0,
    "diagnostics": 0,
    "places": 0,
    "units": 0,
    "documents": 1,
    "exchange": 1,
    "schema": 2,
    "graph": 3,
    "dialects": 3,
    "compiler": 4,
    "state": 5,
    "planner": 6,
    "executor": 7,
    "proof": 7,
    "ledger": 7,
    "telemetry": 7,
    "runtime": 8,
    "server": 9,
    "cli": 9,
    "library": 10,
    "__init__": 10,
}

#: The one sideways step: a command that starts the server is the server's own edge.
SIDEWAYS = {("cli", "server")}

NETWORK_CLIENTS = {"httpx", "httpx2", "pyreqwest", "aiohttp", "requests", "urllib.request", "http.client", "urllib3"}
CLOCKS_AND_DICE = {"time", "random", "secrets", "uuid"}
PURE_PARTS = ("planner", "state", "proof")

#: Where an exception of any kind may end, and why nothing narrower will do there: (file, function) -> reason.
#: The handler must log it. (Handlers that clean up and raise the same exception again are not boundaries.)
BOUNDARIES: dict[tuple[str, str], str] = {
    ("engine/cli/app.py", "_guarded"): "a defect of ours ends in a sentence for the user, not in a traceback",
    ("engine/executor/run.py", "serve"): "a defect in one request must not take a connection down",
    ("engine/executor/mirroring.py", "_work"): "a copy that goes wrong must not keep others from being sent",
    ("engine/executor/credentials/aws.py", "refresh"): "the vendor's chain of sources raises what it likes",
    ("engine/executor/credentials/tokens.py", "_refresh"): "the vendors' libraries raise what they like",
    ("engine/ledger/writer.py", "_attempt"): "what databases and their drivers raise must not end the record",
    ("engine/runtime/live.py", "_let_go"): "a client that does not close well must not hurt requests",
    ("engine/runtime/observers.py", "__call__"): "an observer is somebody else's code",
    ("engine/runtime/observers.py", "decided"): "an observer is somebody else's code",
    ("engine/runtime/probes.py", "_probe"): "a defect in one probe must not end the others",
    ("engine/runtime/observers.py", "mirrored"): "an observer is somebody else's code",
    ("engine/runtime/reading.py", "read"): "a defect in the compiler must not end the watch, nor what runs",
    ("engine/runtime/reloader.py", "run"): "the watch goes on whatever happens in one reload",
    ("engine/runtime/watch.py", "_try_to_look"): "a look at the files that fails must not end the watch",
    ("engine/runtime/watch.py", "_follow"): "without file-system events the regular looks go on",
    ("engine/telemetry/otlp.py", "_send"): "the exporter's library and the collector are somebody else's",
    ("engine/server/http11.py", "_serve"): "a defect in one answer must not take other connections down",
}


@dataclass(frozen=True)
class Import:
    file: str
    line: int
    module: str
    part: str


def sources() -> list[Path]:
    return sorted(ENGINE.rglob("*.py"))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def part_of(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def walk_runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only the type checker sees."""
    for child in ast.iter_child_nodes(node):
        if is_typing_only(child):
            assert isinstance(child, ast.If)
            for other in child.orelse:
                yield other
                yield from walk_runtime(other)
            continue
        yield child
        yield from walk_runtime(child)


def modules_of(path: Path, node: ast.AST) -> list[str]:
    """The absolute names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = ["engine", *path.relative_to(ENGINE).parent.parts]
        package = package[: len(package) - node.level + 1]
        base = ".".join([*package, *([node.module] if node.module else [])])
    if base == "engine":
        return [f"engine.{a.name}" if a.name in RANKS else "engine.__init__" for a in node.names]
    return [base, *(f"{base}.{a.name}" for a in node.names)] if base in {"urllib", "http"} else [base]


def imports(path: Path) -> list[Import]:
    found = []
    for node in walk_runtime(parse(path)):
        for module in modules_of(path, node):
            assert isinstance(node, ast.Import | ast.ImportFrom)
            found.append(Import(str(path.relative_to(ROOT)), node.lineno, module, part_of(path)))
    return found


def all_imports() -> list[Import]:
    return [found for path in sources() for found in imports(path)]


def named(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def test_every_part_has_a_rank() -> None:
    assert {part_of(path) for path in sources()} <= set(RANKS)


def test_imports_go_strictly_down() -> None:
    wrong = []
    for found in all_imports():
        if found.module != "engine" and not found.module.startswith("engine."):
            continue
        target = found.module.split(".")[1] if "." in found.module else "__init__"
        if target == found.part or (found.part, target) in SIDEWAYS:
            continue
        if RANKS[target] >= RANKS[found.part]:
            wrong.append(f"{found.file}:{found.line}: {found.part} imports {target}")
    assert wrong == []


def test_yaml_is_read_in_one_place() -> None:
    names = {"yaml", "ruamel", "strictyaml"}
    wrong = [f"{i.file}:{i.line}" for i in all_imports() if named(i.module, names) and i.part != "documents"]
    assert wrong == []
    # Reading is one thing, with one notation; ruamel writes into people's files without losing their comments.
    written = {i.file for i in all_imports() if named(i.module, {"ruamel"})}
    assert written == {"engine/documents/edit.py"}


def test_network_clients_live_in_the_transports() -> None:
    wrong = [
        f"{i.file}:{i.line}: {i.module}"
        for i in all_imports()
        if named(i.module, NETWORK_CLIENTS) and not i.file.startswith("engine/executor/transport")
    ]
    assert wrong == []


def test_the_planner_has_neither_clock_nor_dice() -> None:
    wrong = [
        f"{i.file}:{i.line}: {i.module}"
        for i in all_imports()
        if i.part in PURE_PARTS and named(i.module, CLOCKS_AND_DICE)
    ]
    for path in sources():
        if part_of(path) in PURE_PARTS:
            wrong += [
                f"{path.relative_to(ROOT)}:{node.lineno}: .{node.attr}"
                for node in ast.walk(parse(path))
                if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today", "urandom"}
            ]
    assert wrong == []


def broad_handlers() -> Iterator[tuple[str, str, ast.ExceptHandler]]:
    for path in sources():
        for function in ast.walk(parse(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and catches_everything(node) and not raises_again(node):
                    yield str(path.relative_to(ROOT)), function.name, node


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(name).split(".")[-1] in {"Exception", "BaseException"} for name in names)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler always ends with the exception it caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def speaks_up(handler: ast.ExceptHandler) -> bool:
    """Whether the handler calls something of a logger, or throws the exception on."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.endswith(".throw") or "log" in called.split(".")[0].lower():
                return True
    return False


def test_everything_is_caught_only_at_named_boundaries() -> None:
    found = {(file, function) for file, function, _ in broad_handlers()}
    assert found - set(BOUNDARIES) == set(), "catch something narrower, or name the boundary with its reason"
    assert set(BOUNDARIES) - found == set(), "these boundaries are gone; remove them from the list"
    assert all(len(reason.split()) >= 5 for reason in BOUNDARIES.values())


def test_no_boundary_is_silent() -> None:
    silent = [f"{file}:{handler.lineno}" for file, _, handler in broad_handlers() if not speaks_up(handler)]
    assert silent == []


#: Services that people know by name. ``openai`` is not among them: it is the name of the protocol that clients speak.
WELL_KNOWN = {
    "ai21", "anyscale", "anthropic", "azure", "baichuan", "baseten", "bedrock", "cerebras", "claude", "cloudflare",
    "cohere", "databricks", "deepgram", "deepinfra", "deepseek", "dashscope", "elevenlabs", "friendliai", "gemini",
    "groq", "huggingface", "hyperbolic", "jina", "litellm", "lmstudio", "mistral", "moonshot", "nebius", "novita",
    "nvidia", "octoai", "ollama", "openrouter", "perplexity", "portkey", "qwen", "replicate", "sambanova", "sagemaker",
    "sglang", "siliconflow", "stability", "togetherai", "vertex", "vertexai", "vllm", "voyage", "watsonx", "xai",
    "xinference", "zhipu",
}  # fmt: skip

#: File names in providers.d/ that are also ordinary English, or the protocol's name: only ``name/model`` is telling.
ALSO_WORDS = {
    "ai", "custom", "demo", "fireworks", "gateway", "inference", "lambda", "local", "meta", "openai", "stability",
    "together", "writer",
}  # fmt: skip

#: Protocols, sign-in schemes and package extras are named after who invented them, and are ours to name.
NOT_A_PROVIDER = re.compile(
    r"anthropic-messages|bedrock-converse|openai-(?:chat|responses)|(?<=[\"'`])(?:gemini|cohere|ollama)(?=[\"'`])"
)


def provider_words() -> set[str]:
    folder = ROOT / "providers.d"
    shipped = {p.stem.lower() for p in folder.rglob("*.yaml")} | {p.stem.lower() for p in folder.rglob("*.yml")}
    return (WELL_KNOWN | shipped) - ALSO_WORDS


def test_no_provider_is_named_outside_the_dialects() -> None:
    words = "|".join(sorted(map(re.escape, provider_words()), key=len, reverse=True))
    also = "|".join(sorted(map(re.escape, ALSO_WORDS - {"openai"}), key=len, reverse=True))
    name = re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])", re.IGNORECASE)
    reference = re.compile(rf"[\"'`](?:{also})/[a-z0-9]")
    wrong = []
    for path in sources():
        # How a cloud signs its callers in is its own protocol too.
        if part_of(path) == "dialects" or path.is_relative_to(ENGINE / "executor/credentials"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            rest = NOT_A_PROVIDER.sub("", line)
            wrong += [
                f"{path.relative_to(ROOT)}:{number}: {match[0]}"
                for match in (name.search(rest), reference.search(rest))
                if match
            ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("dialect: openai-chat", True),
        ("a body in OpenAI's shape", True),
        ("KNOWN = ('anthropic-messages', 'gemini')", True),
        ("# Groq sends this twice", False),
        ("if host == 'api.mistral.ai':", False),
        ("call_anthropic()", False),
    ],
)
def test_the_rule_about_names_tells_apart(line: str, clean: bool) -> None:
    words = "|".join(sorted(map(re.escape, provider_words()), key=len, reverse=True))
    name = re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])", re.IGNORECASE)
    assert (name.search(NOT_A_PROVIDER.sub("", line)) is None) is clean
