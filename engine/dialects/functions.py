"""A chat codec put together of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.exchange import Shape, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest

from .protocol import EventReader, EventWriter, Written


def no_writer(asked: ChatRequest) -> EventWriter:
    """For a dialect that no client speaks to us: none of its streams is ever written."""
    raise TypeError("this is a provider's protocol: no client's stream is written in it")


@dataclass(frozen=True)
class ChatFunctions:
    """A :class:`engine.dialects.protocol.ChatCodec`; its fields are that protocol's methods."""

    read_request: Callable[[dict[str, Any]], ChatRequest]
    write_request: Callable[[ChatRequest, Shape], Written]
    read_reply: Callable[[bytes], ChatReply | Verdict]
    write_reply: Callable[[ChatReply, ChatRequest], dict[str, Any]]
    reader: Callable[[], EventReader]
    writer: Callable[[ChatRequest], EventWriter] = no_writer
