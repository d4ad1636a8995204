"""Whole replies, both ways (Google's reference, ``GenerateContentResponse``)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.dialects.call_ids import CallIds, prefix_of
from engine.dialects.statuses import unreadable
from engine.dialects.trees import items, json_tree, mappings, number, others, seconds, text
from engine.exchange import OutcomeClass, Usage, Verdict
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Finish,
    Part,
    Refusal,
    Text,
    ToolCall,
    carries_output,
)

from .citations import read_citations, write_citations
from .errors import error_in, verdict_of
from .names import ORIGIN, fields
from .parts import Wording, read_part, write_parts
from .request import tier_name
from .usage import read_usage, write_usage

#: ``google.cloud.aiplatform.v1.Candidate.FinishReason``, for clients that ask for enumerations as numbers.
_NUMBERS = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "BLOCKLIST",
    7: "PROHIBITED_CONTENT",
    8: "SPII",
    9: "MALFORMED_FUNCTION_CALL",
}
_FILTERED = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
)
_FINISH: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(_FILTERED, "content_filter"),
}
_FINISH_NAMES: dict[Finish, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "error": "OTHER",
}
_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})
_READ = frozenset({"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "createTime"})
#: What SDKs add to a reply when they write it down.
SDK_ONLY = frozenset({"sdkHttpResponse", "automaticFunctionCallingHistory", "parsed"})


def read_reply(body: bytes) -> ChatReply | Verdict:
    """See :class:`engine.dialects.protocol.ChatCodec`."""
    try:
        raw = json_tree(body)
    except ValueError as problem:
        return unreadable(body, problem)
    error = error_in(raw)
    if error is not None:
        return verdict_of(error, 200)
    tree = fields(raw)
    usage = read_usage(tree.get("usageMetadata"))
    candidates = mappings(tree.get("candidates"))
    if not candidates:
        return refused(tree) or Verdict(OutcomeClass.GARBLED, detail="the reply holds no candidate", usage=usage)
    reply = ChatReply(usage=usage, origin=ORIGIN)
    reply.id, reply.model, reply.created = text(tree.get("responseId")), text(tree.get("modelVersion")), created(tree)
    reply.service_tier = tier_name(fields(tree.get("usageMetadata")).get("serviceTier"))
    reply.extra = others(tree, _READ | SDK_ONLY)
    ids = CallIds(prefix_of(ORIGIN, reply.id))
    told = [fields(candidate) for candidate in candidates]
    reply.choices = [_read_candidate(candidate, ids) for candidate in told]
    if all(choice.finish == "error" and not any(map(carries_output, choice.parts)) for choice in reply.choices):
        return broken(told[0], usage)
    return reply


def broken(candidate: dict[str, Any], usage: Usage | None) -> Verdict:
    """The verdict on an answer of which nothing came but the reason why: a call that cannot be read, say."""
    reason = finish_name(candidate.get("finishReason")) or ""
    message = text(candidate.get("finishMessage"))
    detail = f"the answer ended without any output: {reason}" + (f": {message}" if message else "")
    return Verdict(OutcomeClass.GARBLED, code=reason, message=message, detail=detail, usage=usage)


def refused(tree: dict[str, Any]) -> Verdict | None:
    """The verdict where the service blocked the prompt."""
    feedback = fields(tree.get("promptFeedback"))
    reason = feedback.get("blockReason")
    if not reason:
        return None
    message = text(feedback.get("blockReasonMessage")) or f"The prompt was blocked ({reason})."
    usage = read_usage(tree.get("usageMetadata"))
    return Verdict(OutcomeClass.CONTENT_REFUSED, code=str(reason), message=message, usage=usage)


def created(tree: dict[str, Any]) -> int | None:
    """When the reply was made, in Unix seconds."""
    return seconds(tree.get("createTime"))


def _read_candidate(candidate: dict[str, Any], ids: CallIds) -> Choice:
    parts: list[Part] = []
    texts: dict[int, Text] = {}
    for index, raw in enumerate(items(fields(candidate.get("content")).get("parts"))):
        before = len(parts)
        read_part(raw, parts, ids)
        last = parts[-1] if len(parts) > before else None
        if isinstance(last, Text):
            if last.text or last.extra:
                texts[index] = last
            else:
                parts.pop()
    for owner, citation in read_citations(candidate, texts):
        owner.citations.append(citation)
    raw_finish = finish_name(candidate.get("finishReason"))
    return Choice(
        parts,
        finish=finish_of(raw_finish, any(isinstance(part, ToolCall) for part in parts)),
        finish_raw=raw_finish,
        logprobs=read_logprobs(candidate.get("logprobsResult")),
        extra=others(candidate, _CANDIDATE),
    )


def finish_name(value: Any) -> str | None:
    """The reason in the protocol's word; ``None`` where nothing is said."""
    if isinstance(value, int):
        return _NUMBERS.get(value)
    name = text(value).upper()
    return None if name in ("", "FINISH_REASON_UNSPECIFIED") else name


def finish_of(name: str | None, called: bool) -> Finish | None:
    """The canonical reason; ``called`` is whether the answer calls tools, for which this wire has no reason."""
    if name is None:
        return None
    found = _FINISH.get(name, "error")
    return "tool_calls" if found == "stop" and called else found


def read_logprobs(raw: Any) -> list[dict[str, Any]] | None:
    """The log probabilities in OpenAI's shape."""
    result = fields(raw)
    if not result:
        return None
    tops = mappings(result.get("topCandidates"))
    out = []
    for at, chosen in enumerate(mappings(result.get("chosenCandidates"))):
        more = mappings(fields(tops[at]).get("candidates")) if at < len(tops) else []
        out.append({**_token(chosen), "top_logprobs": [_token(item) for item in more]})
    return out


def _token(raw: dict[str, Any]) -> dict[str, Any]:
    item = fields(raw)
    return {"token": text(item.get("token")), "logprob": number(item.get("logProbability")) or 0.0, "bytes": None}


def _write_logprobs(tokens: list[dict[str, Any]]) -> dict[str, Any]:
    def named(token: dict[str, Any]) -> dict[str, Any]:
        return {"token": token.get("token"), "logProbability": token.get("logprob")}

    return {
        "chosenCandidates": [named(token) for token in tokens],
        "topCandidates": [
            {"candidates": [named(other) for other in token.get("top_logprobs") or ()]} for token in tokens
        ],
    }


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """See :class:`engine.dialects.protocol.ChatCodec`."""
    writing = Wording(reply.origin == ORIGIN)
    tree: dict[str, Any] = {
        "candidates": [_write_choice(choice, at, writing) for at, choice in enumerate(reply.choices)],
        "modelVersion": reply.model or asked.model,
    }
    if reply.id:
        tree["responseId"] = reply.id
    if reply.created is not None:
        tree["createTime"] = datetime.fromtimestamp(reply.created, UTC).isoformat().replace("+00:00", "Z")
    usage = write_usage(reply.usage)
    if reply.service_tier:
        usage["serviceTier"] = "standard" if reply.service_tier == "default" else reply.service_tier
    if usage:
        tree["usageMetadata"] = usage
    writing.keep(tree, reply.extra)
    return tree


def _write_choice(choice: Choice, index: int, writing: Wording) -> dict[str, Any]:
    raws = write_parts(choice.parts, writing)
    texts: dict[int, Text] = {}
    owners = (part for part in choice.parts if isinstance(part, Text | Refusal))
    for at, raw in enumerate(raws):
        if "text" in raw and not raw.get("thought") and (raw["text"] or "thoughtSignature" not in raw):
            owner = next(owners, None)
            if isinstance(owner, Text):
                texts[at] = owner
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": raws}, "index": index}
    if choice.finish is not None:
        known = choice.finish_raw if writing.same else None
        candidate["finishReason"] = known or _FINISH_NAMES[choice.finish]
    if choice.logprobs is not None:
        candidate["logprobsResult"] = _write_logprobs(choice.logprobs)
    writing.keep(candidate, choice.extra)
    if not {"groundingMetadata", "citationMetadata"} & candidate.keys():
        grounding = write_citations(texts)
        if grounding:
            candidate["groundingMetadata"] = grounding
    return candidate
