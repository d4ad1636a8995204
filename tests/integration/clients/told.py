"""What the recordings say that the scripted upstream plays, read off them by hand: what every client has to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

#: Names of tools with their arguments.
Calls = list[tuple[str, dict[str, Any]]]
_SEARCHES: Calls = [
    (f"parallel_local_search_{number}", {"query": f"latest {maker} model release notes"})
    for number, maker in (("one", "OpenAI"), ("two", "Anthropic"), ("three", "Gemini"))
]
_LABELS: Calls = [("lookup_harbor_label", {}), ("lookup_orchard_label", {})]


@dataclass(frozen=True)
class Told:
    """One recording. ``text`` is how its text begins, ``ends`` how it ends; counts of tokens include their parts."""

    recording: str
    text: str = ""
    ends: str = ""
    thought: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    input: int | None = None
    output: int | None = None
    cached: int = 0
    written: int = 0
    reasoning: int = 0


def _called(recording: str, calls: Calls, text: str = "", thought: str = "", **counts: Any) -> Told:
    return Told(recording, text, "", thought, tuple(calls), **counts)


@dataclass(frozen=True)
class Dialect:
    """A protocol's recordings: an answer and calls of several tools, whole and streamed, and an answer by a schema."""

    text: Told
    text_stream: Told
    calls: Told
    calls_stream: Told
    structured: str
    answer: BaseModel


class Event(BaseModel):
    title: str
    category: str
    summary: str


class Answer(BaseModel):
    answer: str


class Person(BaseModel):
    name: str
    age: int


class Fact(BaseModel):
    city: str
    country: str
    population_millions: float


class Score(BaseModel):
    score_eval: float


class Release(BaseModel):
    lane: str
    risk: str


class Check(BaseModel):
    name: str
    required: bool


class Plan(BaseModel):
    release: Release
    checks: list[Check]


_SEATTLE = (
    "A local gathering in Seattle for Rust programming language enthusiasts to network, share projects, and discuss "
    "best practices in systems programming."
)

DIALECTS: dict[str, Dialect] = {
    "anthropic-messages": Dialect(
        Told("cache-write-and-read", "391", "391", "391", (), 1453, 13, 0, 1425, 7),
        Told("cached-stream", "391", "391", "391", (), 1453, 13, 1425, 0, 7),
        _called("three-calls", _SEARCHES, "I'll execute all 3 parallel searches", input=914, output=169),
        _called(
            "parallel-tools-stream",
            [("get_weather", {"location": "New York, NY"}), ("get_time", {"timezone": "America/New_York"})],
            "I'll check both the current weather and time",
            input=721,
            output=113,
        ),
        "structured",
        Event(title="Seattle Rust Meetup", category="Technology", summary=_SEATTLE),
    ),
    "bedrock-converse": Dialect(
        Told("cache", "# Machine Learning (ML) Application", "improve over time.", "", (), 1040, 185, 1028),
        Told("tool-result-stream", "The current temperature in Paris", "is 30°C.", "", (), 577, 18),
        _called("three-calls", _SEARCHES, "I'll execute all 3 parallel searches", input=914, output=169),
        _called("tools-stream", [("get_temperature", {"city": "Paris"})], "<thinking> To find", input=471, output=91),
        "structured",
        Score(score_eval=8),
    ),
    "cohere": Dialect(
        Told("thinking", "2 + 2 = 4", "2 + 2 = 4", "Okay, so I need to figure out", (), 8, 578),
        Told("thinking-stream", "The answer to 2 + 2 is 4.", "is 4.", "The user is asking for the sum", (), 8, 50),
        _called(
            "plan",
            [("weather", {"location": "San Francisco"}), ("cityAttractions", {"city": "San Francisco"})],
            thought="I will use the weather tool to find out",
            input=119,
            output=52,
        ),
        _called(
            "plan-stream",
            [("weather", {"location": "San Francisco"}), ("cityAttractions", {"city": "San Francisco"})],
            thought="I will use the weather tool to find the",
            input=119,
            output=44,
        ),
        "structured",
        Person(name="John", age=30),
    ),
    "gemini": Dialect(
        Told("cached", "That's the Consolidated Version", "financial provisions.\n", "", (), 88775, 116, 88759),
        Told("thinking-stream", 'There are **3** "r"s in strawberry.', "rr**y.", "", (), 9, 285, 0, 0, 256),
        _called("three-calls", _SEARCHES, input=291, output=137, reasoning=67),
        _called(
            "two-calls-stream",
            [("weather", {"city": "San Francisco"}), ("weather", {"city": "Santa Cruz"})],
            input=68,
            output=107,
            reasoning=79,
        ),
        "structured",
        Answer(answer="Hello! How can I help you today?"),
    ),
    "ollama": Dialect(
        Told("thinking", "Got it! How can I help", "with your test?", 'User just says "Test prompt".', (), 69, 67),
        Told("thinking-stream", "Here is the answer:", "Have a great day!", "Let me think about that."),
        _called(
            "two-calls",
            [("search", {"query": "time of Detroit Tigers game today"}), ("weather", {"city": "Detroit"})],
            input=235,
            output=111,
        ),
        _called(
            "calls-stream",
            [("weather", {"city": "Detroit"}), ("search", {"query": "Detroit Tigers game time today"})],
            input=218,
            output=306,
        ),
        "structured",
        Event(title="Seattle Rust Meetup", category="Tech", summary="Join us for a local Rust community gathering"),
    ),
    "openai-chat": Dialect(
        Told("calls", "The harbor label is", "**silver-orchard**.", "", (), 482, 23, 384),
        Told("cached-stream", "The alpha signal marker is", "**crimson-harbor**.", "", (), 384, 13, 256),
        _called(
            "parallel-tools",
            [("alpha", {"value": "red"}), ("beta", {"value": "blue"})],
            input=148,
            output=19,
            cached=128,
        ),
        _called("two-calls-stream", _LABELS, input=404, output=48, cached=384),
        "json-schema",
        Fact(city="Paris", country="France", population_millions=2.14),
    ),
    "openai-responses": Dialect(
        Told(
            "summary",
            "6 \n\nThe calculation follows",
            "remains additive.",
            "The problem is:",
            (),
            166,
            255,
            128,
            0,
            200,
        ),
        Told("text-stream", "The harbor label is", "crimson-harbor.", "", (), 138, 24, 0, 0, 9),
        _called("three-calls", [("dice_roll", {})] * 3, input=303, output=272, cached=128, reasoning=257),
        _called("two-calls-stream", _LABELS, input=352, output=267, cached=320, reasoning=252),
        "structured",
        Plan(
            release=Release(lane="canary", risk="low"),
            checks=[Check(name="compile", required=True), Check(name="replay", required=True)],
        ),
    ),
}
