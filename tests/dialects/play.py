"""Playing bytes to a codec, and JSON that looks like a protocol's without being it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from engine.dialects.protocol import ChatCodec
from engine.exchange import Shape
from engine.exchange.canonical import ChatReply
from engine.exchange.events import Accumulator, Event

encode = msgspec.json.encode


def shape(name: str = "m", **fields: Any) -> Shape:
    """The shape of a target whose upstream calls the model ``name``."""
    return Shape(msgspec.Raw(encode(name)), name, **fields)


def tree(value: Any) -> Any:
    """What an upstream reads of a body."""
    return msgspec.json.decode(encode(value))


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def events(codec: ChatCodec, data: Iterable[bytes]) -> list[Event]:
    """All events of a stream that arrives in these pieces."""
    reader = codec.reader()
    found = [event for piece in data for event in reader.feed(piece)]
    return [*found, *reader.finish()]


def added(found: Iterable[Event], origin: str) -> Accumulator:
    """What events amount to."""
    sum_ = Accumulator(origin)
    for event in found:
        sum_.add(event)
    return sum_


def streamed(codec: ChatCodec, data: bytes, origin: str, cuts: Iterable[int] = ()) -> ChatReply:
    """The reply that a stream amounts to, which must end as it should."""
    sum_ = added(events(codec, pieces(data, cuts)), origin)
    assert sum_.failure is None
    assert sum_.ended
    return sum_.reply()


#: Any cuts of a stream.
CUTS = st.lists(st.integers(0, 1 << 20), max_size=12)


def odd_json(names: Sequence[str]) -> st.SearchStrategy[Any]:
    """JSON whose objects have a protocol's names with values of any type."""
    leaves = st.none() | st.booleans() | st.integers(-3, 1 << 40) | st.floats(allow_nan=False, allow_infinity=False)
    words = st.text(max_size=6) | st.sampled_from(names)
    keys = st.sampled_from(names) | st.text(max_size=3)
    return st.recursive(
        leaves | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
        max_leaves=25,
    )
