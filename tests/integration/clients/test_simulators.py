"""Other people's simulators as upstreams: they check requests, keep state, break streams and judge their clients.

``llmock`` answers in five of our protocols, calls the tools that it is offered by their schemas, breaks streams on
demand and tells how a client coped. ``llm-katan`` echoes in four what it understood of the request; its stream of
Bedrock's is not the binary one that Bedrock sends, so that only its whole replies count there. Both are installed into
an environment of their own; where nothing can be fetched, these tests are skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from ..server.harness import PATIENCE, Server
from .conftest import write

pytestmark = pytest.mark.slow

#: By simulator, its protocols with the base URL of each.
BASES = {
    "llmock": {
        "anthropic-messages": "/anthropic/v1",
        "cohere": "/cohere/v2",
        "gemini": "/gemini/v1beta",
        "openai-chat": "/v1",
        "openai-responses": "/v1",
    },
    "llm-katan": {
        "anthropic-messages": "/v1",
        "bedrock-converse": "/",
        "gemini": "/v1beta",
        "openai-chat": "/v1",
    },
}
MODELS = {
    "anthropic-messages": "claude-sonnet-4-5",
    "bedrock-converse": "anthropic.claude-3-haiku",
    "cohere": "command-a-03-2025",
    "gemini": "gemini-2.5-flash",
    "openai-chat": "gpt-4o-mini",
    "openai-responses": "gpt-4o-mini",
}
#: Where a simulator looks for its key, if not in a bearer's header.
HEADERS = {
    ("llmock", "anthropic-messages"): "x-api-key",
    ("llmock", "gemini"): "x-goog-api-key",
    ("llm-katan", "anthropic-messages"): "x-api-key",
}
SUPPORTS = ["chat", "stream", "tools", "vision", "json_schema", "reasoning"]
RETRY = {"retry": {"max_attempts": 3, "per_target": 3, "backoff": {"initial": "10ms", "max": "1s"}, "budget": "100%"}}
#: A simulator that fails on demand is not to be left alone for it.
NEVER = {"breaker": {"consecutive": 100_000, "min_requests": 100_000}}
#: Shorter than the wait that a simulator asks for when it is busy, which then makes no sense.
TIMES = {"timeouts": {"total": "15s"}}
MOCKED = sorted(BASES["llmock"])
ECHOED = sorted(BASES["llm-katan"])
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": CITY}}
HELLO: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulators' commands are."""
    folder = tmp_path_factory.mktemp("simulators")
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "llmock", "llm-katan"]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"the simulators could not be installed: {done.stderr.strip()[-200:]}")
    return folder / "bin"


@contextmanager
def running(command: list[str], home: Path) -> Iterator[str]:
    """The simulator's address while it runs; it is told a free port as the last argument."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ = {**os.environ, "HOME": str(home)}
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, "--port", str(port)], stdout=quiet, stderr=quiet, env=environ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + PATIENCE
            while not answers(url):
                assert time.monotonic() < end, "the simulator did not start"
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def llmock(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [str(commands / "llmock"), "serve", "--host", "127.0.0.1", "--log-level", "error"]
    with running([*command, "--stream-chunk-delay-ms", "1"], tmp_path_factory.mktemp("home")) as url:
        yield url


@pytest.fixture(scope="module")
def katan(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    command = [str(commands / "llm-katan"), "--model", "echo", "--backend", "echo", "--host", "127.0.0.1"]
    command += ["--providers", "openai,anthropic,bedrock,vertexai", "--stats-file", str(home / "stats.json")]
    with running(command, home) as url:
        yield url


@pytest.fixture(scope="module")
def server(llmock: str, katan: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A route ``<simulator>.<dialect>`` for each."""
    documents: list[dict[str, Any]] = [
        {"kind": "policy", "name": "retry", "applies_to": {"all": True}, **RETRY, **TIMES, **NEVER}
    ]
    for simulator, url in (("llmock", llmock), ("llm-katan", katan)):
        for dialect, base in BASES[simulator].items():
            name = f"{simulator}-{dialect}"
            provider = {"kind": "provider", "name": name, "dialect": dialect, "base_url": url + base}
            auth: dict[str, Any] = {"scheme": "bearer", "secret": {"env": "SIMULATED_KEY"}}
            if (simulator, dialect) in HEADERS:
                auth |= {"scheme": "header", "name": HEADERS[simulator, dialect]}
            model = {"model": MODELS[dialect], "supports": SUPPORTS}
            documents.append({**provider, "auth": auth, "models": {"m": model}})
            documents.append({"kind": "route", "name": f"{simulator}.{dialect}", "step": f"{name}/m"})
    folder = write(tmp_path_factory.mktemp("simulated"), documents)
    with Server(folder, environ={"SIMULATED_KEY": "sk-simulated"}) as running_:
        yield running_


@pytest.fixture
def sdk(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(server: Server) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("dialect", ECHOED)
def test_an_echo_of_what_the_upstream_understood(sdk: OpenAI, claude: Anthropic, dialect: str) -> None:
    model = f"llm-katan.{dialect}"
    messages: Any = [{"role": "system", "content": "Be brief."}, *HELLO]
    reply = sdk.chat.completions.create(model=model, messages=messages, max_tokens=77, temperature=0.25)
    echo = reply.choices[0].message.content or ""
    assert "What is the weather in Oslo?" in echo
    assert "max_tokens=77 temperature=0.25" in echo
    assert reply.usage is not None
    assert reply.usage.completion_tokens > 0
    message = claude.messages.create(model=model, max_tokens=78, system="Be brief.", messages=HELLO)
    assert "max_tokens=78" in str(message.content)
    response = sdk.responses.create(model=model, max_output_tokens=79, instructions="Be brief.", input="Oslo?")
    assert "max_tokens=79" in response.output_text


@pytest.mark.parametrize("dialect", sorted(set(ECHOED) - {"bedrock-converse"}))
def test_an_echo_in_a_stream(sdk: OpenAI, claude: Anthropic, dialect: str) -> None:
    model = f"llm-katan.{dialect}"
    stream = sdk.chat.completions.create(model=model, messages=HELLO, stream=True)
    assert "weather in Oslo?" in "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    with claude.messages.stream(model=model, max_tokens=99, messages=HELLO) as told:
        assert "weather in Oslo?" in told.get_final_text()


@pytest.mark.parametrize("dialect", MOCKED)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop(sdk: OpenAI, llmock: str, dialect: str, streamed: bool) -> None:
    """The upstream calls the tool by its schema, and answers in words once it sees the result."""
    model, history = f"llmock.{dialect}", list(HELLO)

    def ask() -> Any:
        options: Any = {"model": model, "messages": history, "tools": [WEATHER]}
        if not streamed:
            return sdk.chat.completions.create(**options).choices[0]
        with sdk.chat.completions.stream(**options) as stream:
            return stream.get_final_completion().choices[0]

    first = ask()
    (call,) = first.message.tool_calls
    assert (call.function.name, first.finish_reason) == ("get_weather", "tool_calls")
    assert list(httpx.Response(200, text=call.function.arguments).json()) == ["city"]
    history += [
        {"role": "assistant", "tool_calls": [call.model_dump(exclude={"function": {"parsed_arguments"}})]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    last = ask()
    assert last.message.content
    assert last.finish_reason == "stop"


def scripted(llmock: str, *behaviors: dict[str, Any]) -> None:
    httpx.post(f"{llmock}/_llmock/reset", trust_env=False).raise_for_status()
    body = {"behaviors": list(behaviors)}
    httpx.post(f"{llmock}/_llmock/scenario", json=body, trust_env=False).raise_for_status()


def findings(llmock: str) -> list[str]:
    """What the simulator has against its client, which is the server."""
    verdict = httpx.get(f"{llmock}/_llmock/verdict", trust_env=False).json()
    return [finding["code"] for finding in verdict["findings"]]


@pytest.mark.parametrize("dialect", MOCKED)
def test_an_overloaded_upstream_is_asked_again_with_patience(sdk: OpenAI, llmock: str, dialect: str) -> None:
    scripted(llmock, {"type": "fail", "status": 503, "times": 2})
    reply = sdk.chat.completions.with_raw_response.create(model=f"llmock.{dialect}", messages=HELLO)
    assert reply.headers["x-interlock-attempts"] == "3"
    assert reply.parse().choices[0].message.content
    assert findings(llmock) == []


@pytest.mark.parametrize("dialect", MOCKED)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, openai.BadRequestError), (401, openai.InternalServerError), (429, openai.RateLimitError)]
)
def test_errors(sdk: OpenAI, llmock: str, dialect: str, status: int, kind: type[Exception]) -> None:
    """In the words of each protocol, as somebody else knows them; what cannot be helped is not sent again."""
    scripted(
        llmock,
        {"type": "fail", "status": status, "retry_after": 60} if status == 429 else {"type": "fail", "status": status},
    )
    with pytest.raises(kind):
        sdk.chat.completions.create(model=f"llmock.{dialect}", messages=HELLO)
    assert findings(llmock) in ([], ["gave_up"])


@pytest.mark.parametrize("dialect", MOCKED)
@pytest.mark.parametrize("fault", ["disconnect", "truncate", "malformed"])
def test_a_broken_stream_is_an_error_in_the_clients_own_type(
    sdk: OpenAI, claude: Anthropic, llmock: str, dialect: str, fault: str
) -> None:
    # Behind the first of the answer, which comes after four events at the latest.
    broken = {"type": "stream_fault", "kind": fault, "after_chunks": 6 if dialect == "openai-responses" else 4}
    scripted(llmock, broken)
    chunks: list[Any] = []
    with pytest.raises(openai.APIError):
        chunks.extend(sdk.chat.completions.create(model=f"llmock.{dialect}", messages=HELLO, stream=True))
    scripted(llmock, broken)
    with (
        claude.messages.stream(model=f"llmock.{dialect}", max_tokens=99, messages=HELLO) as stream,
        pytest.raises((anthropic.APIStatusError, anthropic.APIConnectionError)),
    ):
        stream.until_done()
