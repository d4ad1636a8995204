"""One of several workers: what the supervisor starts, and nobody else."""

from __future__ import annotations

import os
import socket

import msgspec

from .serve import serve_as_worker
from .workers import READY, Job


def main(text: str) -> int:
    """Serve on the socket of this job until told to stop. The exit status."""
    job = msgspec.json.decode(text.encode(), type=Job)

    def ready() -> None:
        os.write(job.ready, READY)
        os.close(job.ready)

    return serve_as_worker(job, socket.socket(fileno=job.listener), ready)
