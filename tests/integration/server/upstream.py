"""A well-behaved upstream on a thread of its own: it answers as OpenAI's API does and keeps what it was sent."""

from __future__ import annotations

import threading
from typing import Any

from ..upstream import DONE, Answer, Do, Seen, ThreadedUpstream, error, event, stream, whole

#: What the spoken answer is made of.
SPEECH = bytes(range(256)) * 64
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


class Models(ThreadedUpstream):
    """An upstream whose models have a meaning; those that are not named here serve.

    ``limited`` answers 429, ``picky`` 400, and ``broke`` says that its account is out of credit. ``tattling`` complains
    by the status in ``seed``, and repeats the credential, and the content where it complains of that. ``slow`` waits
    for :attr:`gate`. ``cut`` breaks its stream off after the first word.
    """

    def __init__(self) -> None:
        super().__init__(near=self._near)
        self.gate = threading.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/near/v1"

    def __exit__(self, *details: object) -> None:
        self.gate.set()
        super().__exit__(*details)

    def _near(self, seen: Seen) -> Answer:
        if seen.path == "/audio/speech":
            return whole(200, SPEECH, "audio/mpeg")
        if seen.path.startswith("/audio/"):
            return whole(200, {"text": "what was said"})
        if seen.path.startswith("/images/"):
            return whole(200, {"created": 1, "data": [{"b64_json": "aGk="}]})
        if seen.path == "/models":
            return whole(200, {"object": "list", "data": [{"id": "words"}]})
        body = seen.body
        match body["model"]:
            case "limited":
                return error(429, "slow down", "rate_limit_exceeded", retry_after="1")
            case "picky":
                return error(400, "'temperature' must be at most 2", "invalid_value", param="temperature")
            case "broke":
                return error(429, "you owe us money", "insufficient_quota")
            case "tattling":
                status = int(body["seed"])
                secret = seen.headers.get("authorization", "none").split()[-1]
                about = body["messages"][0]["content"] if status in (400, 413, 422) else "the account"
                return error(status, f"{secret} is not welcome: {about}", param="messages")
        if body.get("stream"):
            return self._stream(seen.path, body)
        return (*((self.gate.is_set,) if body["model"] == "slow" else ()), *whole(200, _reply(seen.path, body)))

    def _stream(self, path: str, body: dict[str, Any]) -> Answer:
        events = [event(chunk) for chunk in _chunks(path, body)]
        match body["model"]:
            case "slow":
                return stream(*events[:2], self.gate.is_set, *events[2:], DONE)
            case "cut":
                return stream(*events[:2], Do.CLOSE, end=False)
        return stream(*events, DONE)


def _reply(path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path == "/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
        return {"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": 2}}
    if path == "/moderations":
        result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
        return {"id": "modr-1", "model": body["model"], "results": [result]}
    if path == "/completions":
        choices = [{"index": 0, "text": "once upon a time", "finish_reason": "stop", "logprobs": None}]
        return {**_wrapped("text_completion", body, choices), "usage": USAGE}
    return completion(body)


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion that shows what the request asked for."""
    message: dict[str, Any] = {"role": "assistant", "content": "hello there"}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
    if body.get("tools"):
        message |= {"content": None, "tool_calls": [_CALL]}
        choice["finish_reason"] = "tool_calls"
    if body.get("response_format"):
        message["content"] = '{"city":"Oslo"}'
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "hello", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    choices = [choice | {"index": index} for index in range(body.get("n", 1))]
    return {**_wrapped("chat.completion", body, choices), "usage": USAGE, "x_upstream": {"kept": [1, 2.50, "x"]}}


def _wrapped(kind: str, body: dict[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "cmpl-1", "object": kind, "created": 1, "model": body["model"], "choices": choices}


def _chunks(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    if path == "/completions":
        texts = [("once ", None), ("upon ", None), ("a time", "stop")]
        chunks = [
            _wrapped("text_completion", body, [{"index": 0, "text": text, "finish_reason": finish}])
            for text, finish in texts
        ]
    elif body.get("tools"):
        opening = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None, "tool_calls": [opening]}]
        pieces = ('{"city"', ':"Oslo"}')
        deltas += ({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces)
        chunks = [_delta(body, delta) for delta in deltas] + [_delta(body, {}, "tool_calls")]
    else:
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in ("hello", " ", "there"))]
        chunks = [_delta(body, delta) for delta in deltas] + [_delta(body, {}, "stop")]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**_wrapped("chat.completion.chunk", body, []), "usage": USAGE})
    return chunks


def _delta(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**_wrapped("chat.completion.chunk", body, [choice]), "x_upstream": "kept"}
