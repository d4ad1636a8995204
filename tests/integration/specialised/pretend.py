"""Stands in for the ``claude`` command in headless mode: checks its flags, reads the question, answers in its lines."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

FLAGS = ["-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages", "--input-format"]


def say(entry: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()


def event(kind: str, **fields: object) -> None:
    say({"type": "stream_event", "event": {"type": kind, **fields}})


def main() -> int:
    arguments = sys.argv[1:]
    assert arguments[:6] == FLAGS, arguments
    model = arguments[arguments.index("--model") + 1]
    question = json.loads(sys.stdin.readline())["message"]["content"]
    asked = "".join(block["text"] for block in question)
    if model == "broken":
        sys.stderr.write("cannot start: no licence\n")
        return 3
    say({"type": "system", "subtype": "init", "cwd": str(Path.cwd()), "model": model})
    if model == "slow":
        time.sleep(60)
    if model == "logged-out":
        say({"type": "assistant", "error": "authentication_failed", "message": {"model": "<synthetic>", "content": []}})
        say({"type": "result", "subtype": "success", "is_error": True, "result": "Invalid API key. Please run /login"})
        return 1
    text = f"{len(list(Path().iterdir()))} files; asked: {asked}"
    usage = {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 5}
    event("message_start", message={"id": "msg_1", "model": model, "role": "assistant", "content": [], "usage": usage})
    event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for piece in (text[:9], text[9:]):
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        time.sleep(0.05)
    event("content_block_stop", index=0)
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    event("message_stop")
    say({"type": "assistant", "message": {"model": model, "content": [{"type": "text", "text": text}]}})
    say({"type": "result", "subtype": "success", "is_error": False, "result": text, "usage": usage, "session_id": "s"})
    return 0


sys.exit(main())
