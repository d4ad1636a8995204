"""Chat in this dialect, both ways."""

from __future__ import annotations

from engine.dialects.functions import ChatFunctions

from .reader import ChatReader
from .reply_read import read_reply
from .reply_write import write_reply
from .request_read import read_request
from .request_write import write_request
from .writer import ChatWriter

CHAT = ChatFunctions(read_request, write_request, read_reply, write_reply, ChatReader, ChatWriter)
