"""Starts the HTTP gateway inside TensorZero's wheel, the one that its ``patch_openai_client`` starts, and stays up.

Prints the gateway's base URL. The gateway is native code on its own threads; this interpreter only sleeps.
"""

import asyncio
import sys

from tensorzero.tensorzero import _start_http_gateway


async def main() -> None:
    """Serves until the process is ended."""
    gateway = await _start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=True
    )
    print(gateway.base_url, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
