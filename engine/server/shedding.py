"""Load shedding: what is too much is refused at once, so that what was taken on is answered in time."""

from __future__ import annotations

#: Model requests under way beyond which others are refused, however many file handles there are: at the usual few
#: kilobytes of state and a body of some tens of kilobytes each, this is a gigabyte of memory at most.
MOST = 10_000
#: File handles kept for what is no request: listeners, logs, files of the configuration, the shared store.
SPARE = 128
#: A request has two: its client's connection, and the upstream's.
EACH = 2
#: File handles that are asked of the system at a start.
WANTED = MOST * EACH + SPARE


def raise_file_limit() -> None:
    """Let the process open as many files as the system allows it, up to :data:`WANTED`."""
    try:
        import resource
    except ImportError:  # not every system counts them so
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def most_in_flight() -> int:
    """How many model requests the process has file handles for, at most :data:`MOST`."""
    try:
        import resource
    except ImportError:
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(1, min(MOST, (soft - SPARE) // EACH))
