"""The library: an engine that holds a snapshot of a configuration and follows its edits."""

from .engine import Engine
from .observers import Observer
from .replies import ChatStream, Reply
from .snapshot import Pin, Snapshot
from .sync import SyncEngine

__all__ = ["ChatStream", "Engine", "Observer", "Pin", "Reply", "Snapshot", "SyncEngine"]
