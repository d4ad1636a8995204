"""The cases that every dialect must have a cassette of."""

CASES = frozenset(
    {
        "bad-key",
        "basic",
        "content-filter",
        "cut-stream",
        "empty-success",
        "error-in-stream",
        "finish-length",
        "invalid-request",
        "malformed-reply",
        "overloaded",
        "parallel-tools",
        "rate-limited",
        "streaming",
        "streaming-tools",
        "tools",
        "usage",
        "vision",
    }
)
