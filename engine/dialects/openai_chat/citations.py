"""Where texts come from: OpenAI's annotations, and the lists of sources that some services put beside the choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.dialects.trees import count, items, mapping, mappings, text
from engine.exchange.canonical import Citation, Text

#: Fields of a reply, or of a stream's events, that list the answer's sources (Perplexity).
SOURCES = frozenset({"citations", "search_results"})


def read_annotations(tree: Any) -> list[Citation]:
    """The citations in a message's ``annotations``; those without an address keep only their own words."""
    return [_annotation(entry) for entry in mappings(tree)]


def _annotation(entry: dict[str, Any]) -> Citation:
    kind = text(entry.get("type"))
    told = mapping(entry.get(kind)) or entry
    start, end = count(told.get("start_index")), count(told.get("end_index"))
    if not end:  # services that do not know write 0 for both
        start = end = None
    return Citation(
        url=text(told.get("url")) or None,
        title=text(told.get("title")) or text(told.get("filename")) or None,
        quote=text(told.get("content")) or text(told.get("quote")) or None,
        start=start,
        end=end,
        document=text(told.get("file_id")) or text(told.get("document")) or None,
        extra=entry,
    )


def read_sources(reply: dict[str, Any]) -> list[Citation]:
    """The citations that a reply lists beside its choices; the text refers to them as ``[1]``, ``[2]`` and so on."""
    found = {text(source.get("url")): source for source in mappings(reply.get("search_results"))}
    cited = [url for url in items(reply.get("citations")) if isinstance(url, str)] or list(found)
    return [_source(url, found.get(url, {})) for url in cited if url]


def _source(url: str, told: dict[str, Any]) -> Citation:
    return Citation(url=url, title=text(told.get("title")) or None, quote=text(told.get("snippet")) or None)


def placed(citations: list[Citation], parts: Iterable[Any]) -> None:
    """Hang the citations of a whole message on the texts that they stand in; their places count from there on."""
    texts = [part for part in parts if isinstance(part, Text)]
    if not texts:
        return
    for citation in citations:
        at, index = citation.start or 0, 0
        while index + 1 < len(texts) and at >= len(texts[index].text):
            at -= len(texts[index].text)
            index += 1
        if citation.start is not None and index:
            shift = citation.start - at
            citation.start -= shift
            citation.end = None if citation.end is None else citation.end - shift
        texts[index].citations.append(citation)


def write_annotations(part: Text, before: int, own: bool) -> list[dict[str, Any]]:
    """The annotations of one text that ``before`` characters of the same message precede.

    A citation that does not say which characters it covers covers the whole text.
    """
    return [write_annotation(citation, before, len(part.text), own) for citation in part.citations]


def write_annotation(citation: Citation, before: int, length: int, own: bool) -> dict[str, Any]:
    """One annotation; as it came where it was read from this protocol and nothing has moved."""
    if own and citation.extra and not before:
        return citation.extra
    start = before + (citation.start or 0)
    end = before + (citation.end if citation.end is not None else length)
    inner: dict[str, Any] = {"start_index": start, "end_index": end, "title": citation.title or citation.url or ""}
    if citation.url is None:
        inner.update(document=citation.document, quote=citation.quote)
        return {"type": "document_citation", "document_citation": inner}
    inner["url"] = citation.url
    if citation.quote is not None:
        inner["content"] = citation.quote
    return {"type": "url_citation", "url_citation": inner}
