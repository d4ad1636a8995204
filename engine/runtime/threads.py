"""A thread beside the event loop, for what would block it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


async def run_in(thread: ThreadPoolExecutor, function: Callable[..., _T], *arguments: Any) -> _T:
    """What ``function`` returns or raises, called in ``thread``.

    Raises ``CancelledError`` where the thread takes nothing more: the program is ending without having closed the
    engine, and whoever watches or reloads then is to end as quietly.
    """
    try:
        future = asyncio.get_running_loop().run_in_executor(thread, function, *arguments)
    except RuntimeError:
        raise asyncio.CancelledError from None
    return await future
