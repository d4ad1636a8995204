"""How requests to providers are authenticated: found, kept fresh, sent in headers, never printed."""

from __future__ import annotations

from collections.abc import Mapping

from engine.graph import Auth

from .base import Credential, Pairs
from .secret import RECHECK, Secret, Source
from .static import StaticCredential

__all__ = ["RECHECK", "Credential", "Pairs", "Secret", "Source", "credential_of"]


def credential_of(auth: Auth, base_url: str, environ: Mapping[str, str]) -> Credential:
    """The credential that a provider's ``auth`` declares. Raises ``PrepareError`` where a package for it is missing."""
    if auth.scheme == "aws":
        from .aws import AwsCredential

        return AwsCredential(auth, base_url, environ)
    if auth.scheme == "google":
        from .tokens import google

        return google(auth, environ)
    if auth.scheme == "entra":
        from .tokens import entra

        return entra(auth, environ)
    return StaticCredential(auth, environ)
