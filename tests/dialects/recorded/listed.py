"""Recordings that are not decoded, and why. Nothing else decides by the name of a file."""

from __future__ import annotations

#: File of the corpus -> the reason, which the table of conformance shows.
LISTED = {
    "providers/openai/reasoning-openinference__agent_run_reasoning.yaml": (
        "recorded as it was compressed with brotli, which we never ask for"
    ),
    "providers/anthropic/tool-stream-ai__spliced-message-start.chunks.txt": (
        "two answers in one stream, made so on purpose: it is refused as garbled, which a test of the dialect shows"
    ),
}
