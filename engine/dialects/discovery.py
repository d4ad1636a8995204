"""Reading a provider's own list of its models.

Where each protocol keeps that list, and which fields of an entry say what the model is for, follows the providers' API
references; what an entry does not say stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field


class FoundModel(Struct, frozen=True):
    """One model that a provider offers. ``kinds`` is what it is for, empty where the provider does not say."""

    id: str
    kinds: frozenset[str] = frozenset()
    context_window: int | None = None
    max_output: int | None = None
    features: frozenset[str] = field(default_factory=frozenset)


class Discovery(Struct, frozen=True):
    """Where the list is, below ``base_url``, and how an entry is read."""

    path: str
    entries: Callable[[Any], list[Any]]
    read: Callable[[Mapping[str, Any]], FoundModel | None]

    def models(self, body: bytes) -> list[FoundModel]:
        """The models in a reply, by id. Raises ``ValueError`` where the reply is not such a list."""
        try:
            tree = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ValueError("the list of models is not JSON") from None
        entries = self.entries(tree)
        if not isinstance(entries, list):
            raise ValueError("the reply is not a list of models")
        found = [self.read(entry) for entry in entries if isinstance(entry, dict)]
        by_id = {model.id: model for model in found if model is not None}
        return [by_id[name] for name in sorted(by_id)]


#: Words in a model's name that say what it is for, for services whose lists do not; the first that fits counts.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "rerank": ("rerank",),
    "embeddings": ("embed", "bge-", "e5-", "gte-", "minilm"),
    "audio": ("whisper", "tts", "transcribe", "speech"),
    "images": ("dall-e", "image", "flux", "stable-diffusion"),
    "moderations": ("moderation",),
}


def kinds_of(name: str) -> frozenset[str]:
    """What a model is for, guessed from its name: what is named for nothing else is for chat."""
    lowered = name.lower()
    for kind, words in _NAMES.items():
        if any(word in lowered for word in words):
            return frozenset({kind})
    return frozenset({"chat"})


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _listed(*names: str) -> Callable[[Any], list[Any]]:
    """Entries under the first of these fields, or the reply itself where it is a list."""

    def entries(tree: Any) -> Any:
        if isinstance(tree, dict):
            return next((tree[name] for name in names if name in tree), None)
        return tree

    return entries


def _openai(entry: Mapping[str, Any]) -> FoundModel | None:
    """OpenAI's entry, with what OpenRouter, Groq, Mistral, vLLM and others add to it."""
    name = _text(entry.get("id")) or _text(entry.get("name"))
    if not name:
        return None
    top = entry.get("top_provider")
    window = next(
        (found for key in ("context_length", "context_window", "max_context_length", "max_model_len")
         if (found := _count(entry.get(key)))),
        None,
    )  # fmt: skip
    output = _count(entry.get("max_completion_tokens")) or _count(entry.get("max_output_tokens"))
    if isinstance(top, dict):
        output = output or _count(top.get("max_completion_tokens"))
    return FoundModel(name, _openai_kinds(entry, name), window, output, _openai_features(entry))


def _openai_kinds(entry: Mapping[str, Any], name: str) -> frozenset[str]:
    said = _text(entry.get("type")) or _text(entry.get("task"))
    kinds = {"chat": "chat", "language": "chat", "embedding": "embeddings", "embeddings": "embeddings",
             "rerank": "rerank", "image": "images", "audio": "audio", "moderation": "moderations",
             "llm": "chat", "vlm": "chat"}  # fmt: skip
    if said in kinds:
        return frozenset({kinds[said]})
    capabilities = entry.get("capabilities")
    if isinstance(capabilities, dict) and capabilities.get("completion_chat") is True:
        return frozenset({"chat"})
    return kinds_of(name)


def _openai_features(entry: Mapping[str, Any]) -> frozenset[str]:
    features = set()
    parameters = entry.get("supported_parameters")
    if isinstance(parameters, list):
        features |= {name for name, word in (("tools", "tools"), ("json_schema", "structured_outputs"),
                                             ("reasoning", "reasoning")) if word in parameters}  # fmt: skip
    architecture = entry.get("architecture")
    inputs = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    if isinstance(inputs, list) and "image" in inputs:
        features.add("vision")
    capabilities = entry.get("capabilities")
    if isinstance(capabilities, dict):
        features |= {name for name, word in (("tools", "function_calling"), ("vision", "vision"))
                     if capabilities.get(word) is True}  # fmt: skip
    return frozenset(features)


def _anthropic(entry: Mapping[str, Any]) -> FoundModel | None:
    name = _text(entry.get("id"))
    return FoundModel(name, frozenset({"chat"})) if name else None


def _gemini(entry: Mapping[str, Any]) -> FoundModel | None:
    name = _text(entry.get("name")).removeprefix("models/")
    methods = entry.get("supportedGenerationMethods")
    methods = methods if isinstance(methods, list) else []
    kinds = {"chat"} if "generateContent" in methods else set()
    if "embedContent" in methods or "batchEmbedContents" in methods:
        kinds.add("embeddings")
    window, output = _count(entry.get("inputTokenLimit")), _count(entry.get("outputTokenLimit"))
    return FoundModel(name, frozenset(kinds), window, output) if name else None


def _cohere(entry: Mapping[str, Any]) -> FoundModel | None:
    name = _text(entry.get("name"))
    endpoints = entry.get("endpoints")
    known = {"chat": "chat", "embed": "embeddings", "rerank": "rerank"}
    kinds = {known[e] for e in endpoints if e in known} if isinstance(endpoints, list) else set()
    return FoundModel(name, frozenset(kinds), _count(entry.get("context_length"))) if name else None


def _ollama(entry: Mapping[str, Any]) -> FoundModel | None:
    name = _text(entry.get("model")) or _text(entry.get("name"))
    details = entry.get("details")
    families = details.get("families") if isinstance(details, dict) else None
    if isinstance(families, list) and any(_text(family) in ("bert", "nomic-bert") for family in families):
        return FoundModel(name, frozenset({"embeddings"}))
    return FoundModel(name, kinds_of(name)) if name else None


OPENAI = Discovery("/models", _listed("data", "models"), _openai)
ANTHROPIC = Discovery("/models?limit=1000", _listed("data"), _anthropic)
GEMINI = Discovery("/models?pageSize=1000", _listed("models"), _gemini)
COHERE = Discovery("/models?page_size=1000", _listed("models"), _cohere)
OLLAMA = Discovery("/tags", _listed("models"), _ollama)
