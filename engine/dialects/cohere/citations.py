"""Citations, both ways: a span of a text with the sources that bear it.

The canonical form has a citation for each source. ``extra`` keeps the whole citation as it came, which is what this
protocol writes again.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import count, mapping, mappings, text
from engine.exchange.canonical import Citation, Part, Text

_QUOTES = ("text", "snippet", "content", "output")


def read_citation(raw: dict[str, Any]) -> list[Citation]:
    """One citation for each source."""
    start, end = count(raw.get("start")), count(raw.get("end"))
    sources = mappings(raw.get("sources")) or [{}]
    return [_of_source(source, start, end, raw) for source in sources]


def _of_source(source: dict[str, Any], start: int | None, end: int | None, raw: dict[str, Any]) -> Citation:
    told = mapping(source.get("document")) or mapping(source.get("tool_output"))
    quote = next((text(told.get(name)) for name in _QUOTES if text(told.get(name))), None)
    return Citation(
        url=text(told.get("url")) or None,
        title=text(told.get("title")) or None,
        quote=quote,
        start=start,
        end=end,
        document=text(source.get("id")) or text(told.get("id")) or None,
        extra=raw,
    )


def is_of_text(raw: dict[str, Any]) -> bool:
    """Whether the citation belongs to the answer itself, not to a thought or a plan."""
    return raw.get("type") in (None, "TEXT_CONTENT")


def attach(raws: list[dict[str, Any]], parts: list[Part]) -> None:
    """Hang the citations of an answer on its texts; ``parts`` are its content, item by item."""
    texts = [part for part in parts if isinstance(part, Text)]
    for raw in raws:
        index = count(raw.get("content_index"))
        owner = parts[index] if index is not None and index < len(parts) else None
        if not isinstance(owner, Text):
            owner = texts[0] if texts else None
        if owner is not None and is_of_text(raw):
            owner.citations.extend(read_citation(raw))


def write_citations(content: list[Part], own: bool, dropped: list[str]) -> list[dict[str, Any]]:
    """The citations of all texts of an answer; those without a place in the text cannot be written."""
    found: list[dict[str, Any]] = []
    for index, part in enumerate(content):
        if not isinstance(part, Text):
            continue
        for citation in part.citations:
            if own and citation.extra:
                if citation.extra not in found:
                    found.append(citation.extra)
            elif citation.start is None or citation.end is None:
                dropped.append("citations")
            else:
                found.append(_write_citation(citation, part.text, index))
    return found


def _write_citation(citation: Citation, content: str, index: int) -> dict[str, Any]:
    told = {"title": citation.title, "url": citation.url, "text": citation.quote}
    document = {name: value for name, value in told.items() if value is not None}
    source: dict[str, Any] = {"type": "document", "document": document}
    name = citation.document or citation.url
    if name:
        source["id"] = name
    return {
        "start": citation.start,
        "end": citation.end,
        "text": content[citation.start : citation.end],
        "sources": [source],
        "content_index": index,
        "type": "TEXT_CONTENT",
    }
