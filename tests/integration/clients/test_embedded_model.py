"""Clients of one protocol and a model that lives: the embedded one, whose own server (llama.cpp's) speaks three.

That server's responses end as completed where the limit cut them off, hold no answer to a schema, and tell their
streams without the indexes that OpenAI's client needs: what is told of it here is told through another protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from engine.cli.demo import model_server
from engine.cli.demo.processes import Child

from ..server.harness import Server
from .conftest import write

pytestmark = pytest.mark.skipif(
    bool(model_server.missing_packages()), reason="the embedded model is not installed (`make test` installs it)"
)
#: Seconds for the model, on a machine that is busy.
PATIENCE = 120
DIALECTS = ["anthropic-messages", "openai-chat", "openai-responses"]
TRAINS: Any = [{"role": "user", "content": "Tell me a long story about trains."}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A route for each protocol that the model's server speaks."""
    log = tmp_path_factory.mktemp("model") / "log"
    with Child("the model", "engine.cli.demo.model_server", "--until-stdin-closes", log=log) as child:
        url = child.wait_for_line("ready ", PATIENCE).split()[1]
        # Without chance it always says the same.
        calm = {"applies_to": {"all": True}, "params": {"set": {"temperature": 0}}}
        documents: list[dict[str, Any]] = [{"kind": "policy", "name": "calm", **calm}]
        for dialect in DIALECTS:
            model = {"model": model_server.MODEL, "supports": ["chat", "stream", "tools", "json_schema"]}
            provider = {"kind": "provider", "name": dialect, "dialect": dialect, "base_url": url}
            documents.append({**provider, "auth": {"scheme": "none"}, "models": {"m": model}})
            documents.append({"kind": "route", "name": dialect, "step": f"{dialect}/m"})
        with Server(write(tmp_path_factory.mktemp("embedded"), documents)) as running:
            yield running


@pytest.fixture
def sdk(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(server: Server) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("dialect", DIALECTS)
def test_messages(claude: Anthropic, dialect: str) -> None:
    message = claude.messages.create(model=dialect, max_tokens=7, messages=TRAINS)
    assert message.content[0].type == "text"
    ended = "end_turn" if dialect == "openai-responses" else "max_tokens"
    assert (message.stop_reason, message.usage.output_tokens) == (ended, 7)
    with claude.messages.stream(model=dialect, max_tokens=20, messages=TRAINS) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 5
    assert (final.stop_reason, final.usage.output_tokens) == (ended, 20)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_chat(sdk: OpenAI, dialect: str) -> None:
    reply = sdk.chat.completions.create(model=dialect, max_tokens=7, messages=TRAINS)
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason == ("stop" if dialect == "openai-responses" else "length")
    options: Any = {"include_usage": True}
    chunks = list(
        sdk.chat.completions.create(model=dialect, max_tokens=20, messages=TRAINS, stream=True, stream_options=options)
    )
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 5
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-chat"])
def test_responses(sdk: OpenAI, dialect: str) -> None:
    reply = sdk.responses.create(model=dialect, max_output_tokens=7, input="Tell me a long story about trains.")
    assert reply.output_text
    assert reply.status == "incomplete"
    assert reply.usage is not None
    assert reply.usage.output_tokens == 7
    events = list(sdk.responses.create(model=dialect, max_output_tokens=20, input="Tell me about trains.", stream=True))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(pieces) > 5
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == "".join(pieces)


def test_an_answer_by_a_schema(claude: Anthropic) -> None:
    """The model is held to it, as small as it is."""
    schema = {"type": "object", "properties": {"color": {"enum": ["red", "blue"]}}, "required": ["color"]}
    form: Any = {"format": {"type": "json_schema", "schema": schema}}
    message = claude.messages.create(model="openai-chat", max_tokens=60, messages=TRAINS, output_config=form)
    assert message.content[0].type == "text"
    assert json.loads(message.content[0].text)["color"] in ("red", "blue")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_prompt_that_is_too_long(sdk: OpenAI, claude: Anthropic, dialect: str) -> None:
    long: Any = [{"role": "user", "content": "train " * 5000}]
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model=dialect, max_tokens=7, messages=long)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model=dialect, max_tokens=7, messages=long)
