"""Recorded requests go through the canonical form and come back; in every other protocol they still say the same."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from msgspec import structs

from engine.dialects.registry import dialects
from engine.exchange import Shape, UncarriedError
from engine.exchange.canonical import ChatRequest, Media, Message, Text, ToolChoice, ToolResult
from engine.exchange.vectors import EmbedRequest

from ..play import shape, tree
from .shapes import CHAT, COUNT, EMBED, OPENAI, SPOKEN
from .spoken import Recorded

#: A value in a request, by the field that it stands in.
Leaf = tuple[str, str]

#: Fields whose text is told in several notations: as it is, or in parts.
_TEXTS = {"content", "input", "system", "systeminstruction", "prompt", "query", "imageurl", "url"}
#: What says nothing: what is so by default, and what kind of value stands beside it.
_SILENT = {
    ("stream", "False"),
    ("includeusage", "False"),
    ("thought", "False"),
    ("iserror", "False"),
    ("status", "'success'"),
    *(("type", repr(kind)) for kind in ("text", "input_text", "output_text", "function", "image_url", "message")),
}
#: Names that mean the same, where a protocol has two.
_SAME = {"topk": "topn", "reasoning": "reasoningcontent", "maxcompletiontokens": "maxtokens"}
#: What a protocol demands and these requests, which never were whole requests of it, do not have.
_DEMANDED = {"maxtokens", "embeddingtypes", "includeusage"}


def codec_of(found: Recorded) -> Any:
    """The codec of the exchange."""
    assert found.spoken is not None
    dialect = dialects()[found.spoken.dialect]
    return dialect.chat if found.spoken.kind in (CHAT, COUNT) else dialect.codecs[found.spoken.kind]


def check_request(found: Recorded) -> bool:
    """Whether there was a request to check: read and written again, it says what it said.

    One that makes no sense in its protocol may be refused, if the provider refused it too.
    """
    if found.request is None or found.spoken is None:
        return False
    codec = codec_of(found)
    try:
        asked = codec.read_request(found.request)
    except UncarriedError as refused:
        if found.status != 400:
            raise AssertionError(f"a request that was served is refused: {refused.message}") from refused
        return True
    written = codec.write_request(asked, _target(found))
    assert written.dropped == [], f"its own protocol cannot carry {written.dropped}"
    body = tree(written.body)
    again = codec.read_request(body)
    _forget_what_is_demanded(asked, again)
    assert _joined(again) == _joined(asked), "what was written is read as another request"
    lost, made = _difference(found, body)
    assert not lost, f"lost: {sorted(lost)[:5]}"
    assert not made, f"invented: {sorted(made)[:5]}"
    return True


def _target(found: Recorded) -> Shape:
    """The target as the address and the request name it."""
    named = re.search(r"/models?/([^/:]+)", found.path)
    name = (found.request or {}).get("model") or (unquote(named[1]) if named else "m")
    paths = {"embeddings": found.path} if found.path.endswith((":predict", ":embedContent")) else {}
    return shape(str(name), paths=paths)


def _forget_what_is_demanded(asked: Any, again: Any) -> None:
    again.model = asked.model
    for name in ("include_usage", "encoding") if isinstance(asked, ChatRequest | EmbedRequest) else ():
        if hasattr(asked, name):
            setattr(again, name, getattr(asked, name))
    if isinstance(asked, ChatRequest) and asked.max_tokens is None:
        again.max_tokens, again.max_tokens_name = None, asked.max_tokens_name


def _joined(request: Any) -> Any:
    """The request with neighbouring messages of one side as one, as protocols in which sides take turns have them."""
    if not isinstance(request, ChatRequest):
        return request
    turns: list[Message] = []
    for message in request.messages:
        if turns and structs.replace(turns[-1], parts=message.parts) == message:
            turns[-1] = structs.replace(message, parts=[*turns[-1].parts, *message.parts])
        else:
            turns.append(message)
    return structs.replace(request, messages=turns)


def _difference(found: Recorded, body: dict[str, Any]) -> tuple[list[Leaf], list[Leaf]]:
    """What was asked and is not written, and what is written and was not asked."""
    assert found.request is not None
    one, two = Counter(leaves(found.request)), Counter(leaves(body))
    lost, made = [*(one - two)], [leaf for leaf in two - one if leaf[0] not in _DEMANDED]
    if ("toolchoice", "'any'") in lost:  # Mistral's older word
        lost.remove(("toolchoice", "'any'"))
        made.remove(("toolchoice", "'required'"))
    numbered = {("index", repr(number)) for number in range(128)}  # calls in a conversation need no number
    refused = {("dimensions", "-1")} if found.status == 400 else set()
    made_ids = found.spoken is not None and found.spoken.dialect == OPENAI  # where a call had none
    made = [leaf for leaf in made if not (made_ids and leaf[0] in ("id", "toolcallid"))]
    # A thought that is told twice, in one field or in two, is written once or twice.
    texts = {text for name, text in (*one, *two) if name in ("reasoningcontent", "text")}
    lost, made = (
        [leaf for leaf in some if leaf[0] != "reasoningcontent" or leaf[1] not in texts] for some in (lost, made)
    )
    if _words_of(lost) == _words_of(made):  # neighbouring texts became one
        lost, made = ([leaf for leaf in some if leaf[0] != "text"] for some in (lost, made))
    return [leaf for leaf in lost if leaf not in numbered | refused], made


def _words_of(some: list[Leaf]) -> str:
    """The texts among them, without white space."""
    return re.sub(r"\s|\\n", "", "".join(value[1:-1] for name, value in some if name == "text"))


def leaves(value: Any, name: str = "") -> Iterator[Leaf]:
    """Every value that says something, with the name of the field that holds it.

    Notations are evened out: the letter case of names, the place of a text, JSON within texts, the two alphabets of
    base64, the case of words of effort. Roles are left to the comparison of canonical forms, since neighbours of one
    role may be joined; so is the model, which many protocols name in the address.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    elif value is not None and value != "":
        plain = name.replace("_", "").lower()
        plain = "text" if plain in _TEXTS else _SAME.get(plain, plain)
        leaf = (plain, repr(_even(plain, value)))
        if plain not in ("role", "model") and leaf not in _SILENT:
            yield leaf


def _even(name: str, value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    if value[0] in "{[":
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    if name in ("thoughtsignature", "data"):
        return value.translate(str.maketrans("-_", "+/"))
    if name == "format":  # of media, by itself or as the whole type
        return value.rpartition("/")[2]
    return value.lower() if name in ("thinkinglevel", "mode") else value


def check_elsewhere(found: Recorded, others: Iterable[str]) -> None:
    """In each of the other protocols the request is written, or refused in so many words.

    What is written is JSON that the protocol itself reads, with all that was said and all functions that may be called.
    """
    if found.request is None or found.spoken is None or found.spoken.kind == COUNT:
        return
    kind = found.spoken.kind
    try:
        asked = codec_of(found).read_request(found.request)
    except UncarriedError:
        return
    if kind != CHAT and (found.status >= 400 or (kind == EMBED and not asked.input)):
        return  # nonsense, or images to embed, which no client of ours can ask for
    for name in others:
        other: Any = dialects()[name].chat if kind == CHAT else dialects()[name].codecs.get(kind)
        if other is None:
            continue
        try:
            written = other.write_request(asked, shape("m"))
        except UncarriedError as refused:
            if not refused.param or not refused.message:
                raise AssertionError(f"{name} refuses without naming a field, or without a word") from refused
            continue
        body = tree(written.body)
        if kind != CHAT:
            _still_holds(name, asked, other.read_request(body))
        elif name in SPOKEN:  # others are no conversations: a command's arguments, a prediction's input
            _still_says(name, asked, body, other.read_request(body))


def _still_holds(name: str, asked: Any, again: Any) -> None:
    for what in ("input", "query", "top_n", "dimensions"):
        one, two = getattr(asked, what, None), getattr(again, what, None)
        assert two == one or (what == "dimensions" and two is None), f"{name}: another {what}: {two!r}"


def _still_says(name: str, asked: ChatRequest, body: Any, again: ChatRequest) -> None:
    told = "".join(_strings(body))
    missing = [text for text in _said(asked) if text not in told and _plain(text) not in told]
    assert not missing, f"{name}: what was said is missing: {missing[0][:200]!r}"
    choice = asked.tool_choice or ToolChoice("auto")
    callable_ = choice.allowed or ([choice.name] if choice.mode == "named" else [tool.name for tool in asked.tools])
    lost = {tool.name for tool in asked.tools if tool.builtin is None and tool.name in callable_}
    lost -= {tool.name for tool in again.tools}
    assert not lost or choice.mode == "none", f"{name}: functions are missing: {sorted(lost)}"


def _plain(text: str) -> str:
    """The text of JSON as it is written anew."""
    with suppress(ValueError):
        return "".join(json.dumps(json.loads(text), ensure_ascii=False).split())
    return text


def _said(request: ChatRequest) -> Iterator[str]:
    """What people and tools said, text by text, without white space, which protocols set as they like."""
    for message in request.messages:
        for part in message.parts if message.role != "assistant" else ():
            inner = part.content if isinstance(part, ToolResult) else [part]
            for one in inner:
                if isinstance(one, Text | Media) and one.text:
                    yield "".join(one.text.split())


def _strings(value: Any) -> Iterator[str]:
    """All texts in a body without white space, those in base64 too, and objects that a text may have become."""
    if isinstance(value, dict):
        yield "".join(json.dumps(value, ensure_ascii=False).split())
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield "".join(value.split())
        with suppress(ValueError):
            yield "".join(base64.b64decode(value, validate=True).decode().split())
