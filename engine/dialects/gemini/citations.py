"""Where an answer comes from: ``groundingMetadata`` and ``citationMetadata``, both ways.

Places in a text are counted in bytes of its UTF-8 on this wire, in characters in the canonical form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.dialects.trees import count, items, mappings, text
from engine.exchange.canonical import Citation, Text

from .names import fields

_CHUNKS = ("web", "retrievedContext", "maps", "image")


def read_citations(candidate: dict[str, Any], texts: Mapping[int, Text]) -> list[tuple[Text, Citation]]:
    """The citations of a candidate with the text that each belongs to; ``texts`` are by their place in the content."""
    if not texts:
        return []
    found = _read_grounding(fields(candidate.get("groundingMetadata")), texts)
    metadata = fields(candidate.get("citationMetadata"))
    for raw in mappings(metadata.get("citationSources") or metadata.get("citations")):
        source = fields(raw)
        owner = _owner(texts, source)
        start, end = _span(owner.text, source)
        url, title = text(source.get("uri")) or None, text(source.get("title")) or None
        found.append((owner, Citation(url, title, start=start, end=end, extra=raw)))
    return found


def _read_grounding(metadata: dict[str, Any], texts: Mapping[int, Text]) -> list[tuple[Text, Citation]]:
    chunks = [fields(raw) for raw in mappings(metadata.get("groundingChunks"))]
    found: list[tuple[Text, Citation]] = []
    used: set[int] = set()
    for raw in mappings(metadata.get("groundingSupports")):
        support = fields(raw)
        segment = fields(support.get("segment"))
        owner = _owner(texts, segment)
        start, end = _span(owner.text, segment)
        for at in items(support.get("groundingChunkIndices")):
            if isinstance(at, int) and 0 <= at < len(chunks):
                used.add(at)
                found.append((owner, _source(chunks[at], start, end)))
    last = texts[max(texts)]
    found.extend((last, _source(chunk, None, None)) for at, chunk in enumerate(chunks) if at not in used)
    return found


def _source(chunk: dict[str, Any], start: int | None, end: int | None) -> Citation:
    source = next((fields(chunk[kind]) for kind in _CHUNKS if kind in chunk), {})
    return Citation(
        url=text(source.get("uri")) or None,
        title=text(source.get("title")) or None,
        quote=text(source.get("text")) or None,
        start=start,
        end=end,
        document=text(source.get("documentName")) or text(source.get("fileSearchStore")) or None,
        extra=chunk,
    )


def _owner(texts: Mapping[int, Text], segment: dict[str, Any]) -> Text:
    """The text that a segment lies in: the one it names if its words stand there, else one where they do."""
    named = texts.get(count(segment.get("partIndex")) or 0)
    words = text(segment.get("text"))
    order = [named] if named is not None else []
    order.extend(owner for owner in texts.values() if owner is not named)
    return next((owner for owner in order if words in owner.text), order[0])


def _span(content: str, segment: dict[str, Any]) -> tuple[int | None, int | None]:
    end = count(segment.get("endIndex"))
    if end is None:
        return None, None
    return _characters(content, count(segment.get("startIndex")) or 0), _characters(content, end)


def _characters(content: str, place: int) -> int:
    return place if content.isascii() else len(content.encode()[:place].decode(errors="ignore"))


def write_citations(texts: Mapping[int, Text]) -> dict[str, Any]:
    """``groundingMetadata`` for the citations of texts, by their place in the content; empty where there are none."""
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    for index, owner in texts.items():
        for citation in owner.citations:
            kind = "web" if citation.quote is None and citation.document is None else "retrievedContext"
            named = {
                "uri": citation.url,
                "title": citation.title,
                "text": citation.quote,
                "documentName": citation.document,
            }
            chunks.append({kind: {name: value for name, value in named.items() if value is not None}})
            if citation.end is not None:
                supports.append(_support(owner.text, index, citation, len(chunks) - 1))
    if not chunks:
        return {}
    return {"groundingChunks": chunks, "groundingSupports": supports}


def _support(content: str, index: int, citation: Citation, chunk: int) -> dict[str, Any]:
    start, end = citation.start or 0, citation.end or 0
    segment = {
        "partIndex": index,
        "startIndex": len(content[:start].encode()),
        "endIndex": len(content[:end].encode()),
        "text": content[start:end],
    }
    return {"segment": segment, "groundingChunkIndices": [chunk]}
