"""Where requests to the catalogue's providers go, and what their quirks make of a body; nothing is sent."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from engine.compiler import compile_folder
from engine.dialects import dialects
from engine.exchange import Call
from engine.executor.clients import ProviderClient, default_transport, shape_of
from engine.executor.transport import TransportOptions
from engine.graph import Auth, Graph, Provider, TargetStep

ROOT = Path(__file__).parents[2]
CHAT = {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}], "max_tokens": 9}
TEXT = {"input": "Hi"}
FRONTS = {
    "openai-chat": ("/chat/completions", CHAT),
    "openai-responses": ("/responses", {"input": "Hi"}),
    "anthropic-messages": ("/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}),
}


@cache
def catalogue() -> Graph:
    """The repository's configuration."""
    graph = compile_folder(ROOT, environ={}).graph
    assert graph is not None
    return graph


def client_of(provider: Provider) -> ProviderClient:
    """A client that needs no credential of this machine."""
    open_ = dataclasses.replace(provider, auth=Auth("none"))
    return ProviderClient(open_, TransportOptions(1.0), {}, default_transport)


def sent(
    target_id: str, front: str, kind: str = "chat", *, stream: bool = False
) -> tuple[str, dict[str, Any], set[str]]:
    """Address, body and dropped fields of a request to a target, from a client that speaks ``front``."""
    target = catalogue().targets[target_id]
    path, said = ("/embeddings", TEXT) if kind == "embeddings" else FRONTS[front]
    body = {"model": "x", **said, **({"stream": True} if stream else {})}
    fields = {name: Raw(json.dumps(value).encode()) for name, value in body.items()}
    call = Call("r", kind, path, "x", kind, front, stream, fields)
    way = client_of(target.provider).way(front, kind)
    assert way is not None
    request = way.link.encode(call, shape_of(TargetStep(target)))
    return way.base + request.path, json.loads(request.body), set(request.dropped)


GOOGLE = "https://aiplatform.googleapis.com/v1/projects/PROJECT/locations/global/publishers"
CLASSIC = "https://RESOURCE.openai.azure.com/openai/deployments"
WATSONX = "https://us-south.ml.cloud.ibm.com/ml/v1/text"


@pytest.mark.parametrize(
    ("target", "front", "stream", "address"),
    [
        ("openai/gpt-5.2", "openai-chat", False, "https://api.openai.com/v1/chat/completions"),
        ("openai/gpt-5.2", "openai-responses", False, "https://api.openai.com/v1/responses"),
        ("openai/gpt-5.2", "anthropic-messages", False, "https://api.openai.com/v1/chat/completions"),
        ("openai-responses/gpt-5.2", "openai-chat", False, "https://api.openai.com/v1/responses"),
        ("anthropic/claude-opus-5", "openai-chat", False, "https://api.anthropic.com/v1/messages"),
        ("azure-anthropic/claude-opus-4-5", "openai-chat", False,
         "https://RESOURCE.services.ai.azure.com/anthropic/v1/messages"),
        ("gemini/gemini-2.5-pro", "openai-chat", False,
         "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent"),
        ("vertex/gemini-2.5-pro", "openai-chat", False, f"{GOOGLE}/google/models/gemini-2.5-pro:generateContent"),
        ("vertex-anthropic/claude-sonnet-4-5", "anthropic-messages", False,
         f"{GOOGLE}/anthropic/models/claude-sonnet-4-5%4020250929:rawPredict"),
        ("vertex-anthropic/claude-sonnet-4-5", "openai-chat", True,
         f"{GOOGLE}/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict"),
        ("bedrock/nova-lite", "openai-chat", False,
         "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse"),
        ("azure-openai-classic/gpt-4o", "openai-chat", False,
         f"{CLASSIC}/gpt-4o/chat/completions?api-version=2024-10-21"),
        ("cohere/command-a", "openai-chat", False, "https://api.cohere.com/v2/chat"),
        ("deepseek/deepseek-v4-pro", "openai-responses", False, "https://api.deepseek.com/responses"),
        ("perplexity/sonar", "openai-chat", False, "https://api.perplexity.ai/chat/completions"),
        ("writer/palmyra-x5", "openai-chat", False, "https://api.writer.com/v1/chat"),
        ("ollama-v1/llama3.2", "anthropic-messages", False, "http://127.0.0.1:11434/v1/messages"),
        ("ollama/llama3.2", "openai-chat", False, "http://127.0.0.1:11434/api/chat"),
        ("openrouter/gpt-5.2", "anthropic-messages", False, "https://openrouter.ai/api/v1/messages"),
        ("watsonx/gpt-oss-120b", "openai-chat", True, f"{WATSONX}/chat_stream?version=2024-10-08"),
        ("watsonx/gpt-oss-120b", "openai-chat", False, f"{WATSONX}/chat?version=2024-10-08"),
        ("sagemaker/my-endpoint", "openai-chat", False,
         "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/my-endpoint/invocations"),
    ],
)  # fmt: skip
def test_where_a_chat_goes(target: str, front: str, stream: bool, address: str) -> None:
    assert sent(target, front, stream=stream)[0] == address


def test_claude_on_google_cloud_has_its_model_in_the_path_and_its_version_in_the_body() -> None:
    for front in ("openai-chat", "anthropic-messages"):
        _, body, _ = sent("vertex-anthropic/claude-sonnet-4-5", front)
        assert body["anthropic_version"] == "vertex-2023-10-16"
        assert "model" not in body
        assert body["max_tokens"] == 9


def test_a_service_with_its_own_name_for_the_model_gets_it() -> None:
    _, body, _ = sent("watsonx/gpt-oss-120b", "openai-chat", stream=True)
    assert body["model_id"] == "openai/gpt-oss-120b"
    assert body["project_id"] == "PROJECT"
    assert not {"model", "stream", "stream_options"} & set(body)


each = pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "providers.d").glob("*.yaml")))


@each
def test_every_model_can_be_asked(name: str) -> None:
    provider = catalogue().providers[name]
    if provider.transport != "http":
        return
    renamed = dict(provider.quirks.rename)
    limits = {renamed.get(field, field) for field in ("max_tokens", "max_completion_tokens")}
    for target in catalogue().targets.values():
        if target.provider is not provider:
            continue
        if "embeddings" in target.supports:
            address, body, _ = sent(target.id, "openai-chat", "embeddings")
            assert address.startswith(provider.base_url)
            assert "Hi" in json.dumps(body)
        for front in FRONTS if "chat" in target.supports else ():
            address, body, _ = sent(target.id, front, stream="stream" in target.supports)
            assert address.startswith(provider.base_url)
            assert len(limits & set(body)) <= 1, "one limit, under the name the service knows"


@each
def test_a_further_protocol_is_one_that_clients_speak_and_has_no_other_paths(name: str) -> None:
    provider = catalogue().providers[name]
    assert set(provider.also_speaks) <= set(FRONTS)
    assert set(provider.also_speaks) <= set(dialects())
    if provider.also_speaks:
        assert not provider.quirks.paths, "a template is for one protocol"
    if "anthropic-messages" in provider.also_speaks:
        assert "max_tokens" not in dict(provider.quirks.rename), "that protocol has no other name for it"
