"""The engine with its ways of being called by what already speaks HTTP: an ASGI app, and a transport for SDKs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import runtime

if TYPE_CHECKING:
    from engine.server.asgi import App
    from engine.server.embedded import EmbeddedTransport


class Engine(runtime.Engine):
    """Routes requests by a configuration folder and follows its edits. Use as ``async with Engine.open(...)``.

    Belongs to the event loop it was entered on; there may be any number of engines in a process. For code without an
    event loop there is :class:`SyncEngine`.
    """

    # Imported when asked for: programs that only call the engine need not load the server.

    def asgi(self) -> App:
        """The server as an ASGI app, to run or to mount; the engine stays this object's to open and close."""
        from engine.server.asgi import App

        return App(self)

    def transport(self) -> EmbeddedTransport:
        """A transport that answers in this process, for asynchronous clients of ``httpx`` and ``httpx2``.

        For example ``AsyncOpenAI(base_url="http://interlock/v1", api_key="-", http_client=httpx2.AsyncClient(
        transport=engine.transport()))``.
        """
        from engine.server.embedded import EmbeddedTransport
        from engine.server.front import Front

        return EmbeddedTransport(Front(self))
