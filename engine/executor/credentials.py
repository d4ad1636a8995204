"""Secrets at run time: resolved from where the configuration points, sent in headers, never printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.graph import Auth

#: Seconds after which a secret's file is looked at again, so that a rotated one is taken up.
RECHECK = 5.0


class Secret:
    """A value that cannot be printed, formatted, pickled or serialised by accident; ``reveal`` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for a header that is about to be sent."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


class Credential:
    """Makes the authentication headers of one provider.

    An environment variable is read once; a file again when it changes (looked at every :data:`RECHECK` seconds). An
    empty value, or one that could not be sent in a header, counts as unset.
    """

    __slots__ = ("_auth", "_checked", "_headers", "_path", "_stamp")

    def __init__(self, auth: Auth, environ: Mapping[str, str]) -> None:
        self._auth = auth
        self._path: Path | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._checked = float("-inf")
        self._headers: tuple[tuple[str, str], ...] | None = ()
        if auth.secret is not None and auth.secret.kind == "file":
            self._path = Path(auth.secret.name)
        elif auth.secret is not None:
            self._headers = self._made(Secret(environ.get(auth.secret.name, "")))

    def headers(self, caller: str | None, now: float) -> tuple[tuple[str, str], ...] | None:
        """The headers to send, ``None`` if the secret is unset. ``caller`` is the client's own ``authorization``."""
        if self._auth.scheme == "caller":
            return None if caller is None else (("authorization", caller),)
        if self._path is not None and now - self._checked >= RECHECK:
            self._checked = now
            self._reread(self._path)
        return self._headers

    def available(self, now: float) -> bool:
        """Whether there is a secret to send (for the ``caller`` scheme: always, the client brings it)."""
        return self._auth.scheme == "caller" or self.headers(None, now) is not None

    def _reread(self, path: Path) -> None:
        try:
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                self._headers = self._made(Secret(path.read_text(encoding="utf-8")))
                self._stamp = stamp
        except (OSError, UnicodeDecodeError):
            self._headers = None
            self._stamp = None

    def _made(self, secret: Secret) -> tuple[tuple[str, str], ...] | None:
        value = secret.reveal().strip()
        if not value or not value.isascii() or not value.isprintable():
            return None
        if self._auth.scheme == "header" and self._auth.header:
            return ((self._auth.header.lower(), value),)
        return (("authorization", f"Bearer {value}"),)
