"""Where texts come from: citations, both ways."""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import text
from engine.exchange.canonical import Citation


def read_citation(tree: dict[str, Any]) -> Citation:
    """The citation, with its original beside it."""
    return Citation(
        url=text(tree.get("url")) or None,
        title=text(tree.get("title")) or text(tree.get("document_title")) or None,
        quote=text(tree.get("cited_text")) or None,
        document=text(tree.get("source")) or text(tree.get("file_id")) or None,
        extra=tree,
    )


def write_citations(citations: list[Citation]) -> list[dict[str, Any]]:
    """Citations as a client of this protocol knows them, those of this protocol as they came.

    One that came from elsewhere is a result of a web search if it has an address, else of a search; the positions that
    its form demands are unknown and stand at their beginning.
    """
    return [_write(one) for one in citations]


def _write(one: Citation) -> dict[str, Any]:
    if "cited_text" in one.extra:
        return one.extra
    if one.url is not None:
        return {
            "type": "web_search_result_location",
            "url": one.url,
            "title": one.title,
            "cited_text": one.quote or "",
            "encrypted_index": "",
        }
    return {
        "type": "search_result_location",
        "source": one.document or one.title or "",
        "title": one.title,
        "cited_text": one.quote or "",
        "search_result_index": 0,
        "start_block_index": 0,
        "end_block_index": 1,
    }
