"""LangChain and pydantic-ai, each by every protocol it speaks, against upstreams of every protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, Tool
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from ..server.harness import PATIENCE, Server
from .conftest import Asked
from .played import INNER, Played
from .told import DIALECTS, Told
from .wires import results, schema

TIMES = {"timeout": PATIENCE, "max_retries": 0}


def langchain(server: Server, front: str, model: str) -> BaseChatModel:
    """LangChain's client that speaks this protocol."""
    if front == "anthropic":
        return ChatAnthropic(model=model, base_url=server.url, api_key="-", **TIMES)
    responses = front == "responses"
    return ChatOpenAI(model=model, base_url=f"{server.url}/v1", api_key="-", use_responses_api=responses, **TIMES)


@asynccontextmanager
async def pydantic_ai(server: Server, front: str, model: str) -> AsyncIterator[Model]:
    """pydantic-ai's model that speaks this protocol; Anthropic's answers by schemas though its name is not Claude."""
    if front == "anthropic":
        async with AsyncAnthropic(base_url=server.url, api_key="-", **TIMES) as claude:
            profile = ModelProfile(supports_json_schema_output=True)
            yield AnthropicModel(model, provider=AnthropicProvider(anthropic_client=claude), profile=profile)
    else:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="-", **TIMES) as sdk:
            kind = OpenAIResponsesModel if front == "responses" else OpenAIChatModel
            yield kind(model, provider=OpenAIProvider(openai_client=sdk))


def answer(server: Server, front: str, model: str, *, listen: Any = None, **options: Any) -> Any:
    """The result of an agent's run with this model."""

    async def scenario() -> Any:
        async with pydantic_ai(server, front, model) as used:
            return await Agent(used, **options).run("hello", event_stream_handler=listen)

    return asyncio.run(scenario())


@pytest.fixture(params=["anthropic", "chat", "responses"])
def front(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def functions(told: Told, called: list[tuple[str, dict[str, Any]]]) -> dict[str, Callable[..., str]]:
    """The tools of a recording, which note how they are called."""

    def made(name: str) -> Callable[..., str]:
        def tool(**arguments: Any) -> str:
            called.append((name, arguments))
            return f"result of {name}"

        tool.__name__ = name
        return tool

    return {name: made(name) for name, _ in told.calls}


def parameters(told: Told, tool: str) -> dict[str, Any]:
    """The schema of the arguments that this tool is called with."""
    names = {key: {"type": "string"} for name, arguments in told.calls if name == tool for key in arguments}
    return {"type": "object", "properties": names}


def said(message: AIMessage) -> str:
    return str(message.text)


def test_langchain_text(server: Server, front: str, dialect: str) -> None:
    told = DIALECTS[dialect].text
    reply = langchain(server, front, f"{dialect}.text").invoke("hello")
    assert said(reply).startswith(told.text)
    assert said(reply).endswith(told.ends)
    usage = reply.usage_metadata
    assert usage is not None
    assert (usage["input_tokens"], usage["output_tokens"]) == (told.input, told.output)
    assert usage.get("input_token_details", {}).get("cache_read", 0) == told.cached


def test_langchain_stream(server: Server, upstream: Played, front: str, dialect: str) -> None:
    told = DIALECTS[dialect].text_stream
    upstream.gate.clear()
    whole: AIMessageChunk | None = None
    for chunk in langchain(server, front, f"{dialect}.text").stream("hello"):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
        if chunk.text:
            upstream.gate.set()
    assert whole is not None
    assert said(whole).startswith(told.text)
    assert said(whole).endswith(told.ends)


def test_langchain_tools(server: Server, front: str, dialect: str, asked: Asked) -> None:
    told = DIALECTS[dialect].calls
    called: list[tuple[str, dict[str, Any]]] = []
    tools = {
        name: StructuredTool.from_function(function, name=name, description=name, args_schema=parameters(told, name))
        for name, function in functions(told, called).items()
    }
    model = langchain(server, front, f"{dialect}.calls").bind_tools(list(tools.values()))
    question = HumanMessage("hello")
    reply = model.invoke([question])
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == list(told.calls)
    answers = [
        ToolMessage(tools[call["name"]].invoke(call["args"]), tool_call_id=call["id"]) for call in reply.tool_calls
    ]
    last = model.invoke([question, reply, *answers])
    assert said(last).startswith(DIALECTS[dialect].text.text)
    assert called == list(told.calls)
    assert [text for _, text in results(dialect, asked())] == [f"result of {name}" for name, _ in told.calls]


def test_langchain_tools_in_a_stream(server: Server, front: str, dialect: str) -> None:
    told = DIALECTS[dialect].calls_stream
    tools = [{"name": name, "description": name, "parameters": parameters(told, name)} for name in functions(told, [])]
    whole: Any = None
    for chunk in langchain(server, front, f"{dialect}.calls").bind_tools(tools).stream("hello"):
        whole = chunk if whole is None else whole + chunk
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == list(told.calls)


def test_langchain_structured_output(server: Server, front: str, dialect: str, asked: Asked) -> None:
    expected = DIALECTS[dialect].answer
    model = langchain(server, front, f"{dialect}.structured")
    reply = model.with_structured_output(type(expected), method="json_schema").invoke("hello")
    assert type(reply) is type(expected)
    assert set(schema(dialect, asked())["properties"]) == set(type(expected).model_fields)


LIMITS = {"anthropic": anthropic.RateLimitError, "chat": openai.RateLimitError, "responses": openai.RateLimitError}
REFUSALS = {"anthropic": anthropic.BadRequestError, "chat": openai.BadRequestError, "responses": openai.BadRequestError}
BROKEN = {"anthropic": anthropic.APIStatusError, "chat": openai.APIError, "responses": openai.APIError}


def test_langchain_errors(server: Server, front: str, dialect: str) -> None:
    with pytest.raises(LIMITS[front]):
        langchain(server, front, f"{dialect}.429").invoke("hello")
    with pytest.raises(REFUSALS[front]):
        langchain(server, front, f"{dialect}.too-long").invoke("hello")
    with pytest.raises(BROKEN[front]) as caught:
        list(langchain(server, front, f"{dialect}.broken").stream("hello"))
    assert INNER not in str(caught.value)


def test_pydantic_ai_text(server: Server, front: str, dialect: str) -> None:
    told = DIALECTS[dialect].text
    result = answer(server, front, f"{dialect}.text", instructions="Be brief.")
    assert result.output.startswith(told.text)
    usage = result.usage
    assert (usage.input_tokens, usage.output_tokens) == (told.input, told.output)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (told.cached, told.written)


def test_pydantic_ai_stream(server: Server, upstream: Played, front: str, dialect: str) -> None:
    told = DIALECTS[dialect].text_stream

    async def scenario() -> str:
        got = ""
        async with (
            pydantic_ai(server, front, f"{dialect}.text") as model,
            Agent(model).run_stream("hello") as result,
        ):
            async for piece in result.stream_text(delta=True, debounce_by=None):
                got += piece
                upstream.gate.set()
        return got

    upstream.gate.clear()
    got = asyncio.run(scenario())
    assert got.startswith(told.text)
    assert got.endswith(told.ends)


async def listen(_: object, events: AsyncIterable[object]) -> None:
    """With a listener the agent streams."""
    async for event in events:
        assert event is not None


@pytest.mark.parametrize("streamed", [False, True])
def test_pydantic_ai_tools(server: Server, front: str, dialect: str, streamed: bool, asked: Asked) -> None:
    """The agent calls the tools that the answer names, sends what they gave, and gets the answer in words."""
    all_told = DIALECTS[dialect]
    told, last = (all_told.calls_stream, all_told.text_stream) if streamed else (all_told.calls, all_told.text)
    called: list[tuple[str, dict[str, Any]]] = []
    tools = [
        Tool.from_schema(function, name=name, description=name, json_schema=parameters(told, name))
        for name, function in functions(told, called).items()
    ]
    reply = answer(server, front, f"{dialect}.calls", tools=tools, listen=listen if streamed else None)
    assert reply.output.startswith(last.text)
    assert sorted(called, key=str) == sorted(told.calls, key=str)
    assert sorted(text for _, text in results(dialect, asked())) == sorted(f"result of {name}" for name, _ in called)


def test_pydantic_ai_structured_output(server: Server, front: str, dialect: str, asked: Asked) -> None:
    expected = type(DIALECTS[dialect].answer)
    result = answer(server, front, f"{dialect}.structured", output_type=NativeOutput(expected))
    assert type(result.output) is expected
    assert set(schema(dialect, asked())["properties"]) == set(expected.model_fields)


@pytest.mark.parametrize(("scene", "status"), [("429", 429), ("too-long", 400), ("503", 503), ("401", 502)])
def test_pydantic_ai_errors(server: Server, front: str, dialect: str, scene: str, status: int) -> None:
    with pytest.raises(ModelHTTPError) as caught:
        answer(server, front, f"{dialect}.{scene}")
    assert caught.value.status_code == status
    assert INNER not in str(caught.value)
