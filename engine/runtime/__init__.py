"""The library: an engine that holds a snapshot of a configuration and follows its edits."""

from .engine import Engine
from .observers import Observer
from .replies import ChatReply, ChatStream
from .snapshot import Pin, Snapshot
from .sync import SyncEngine

__all__ = ["ChatReply", "ChatStream", "Engine", "Observer", "Pin", "Snapshot", "SyncEngine"]
