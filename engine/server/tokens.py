"""Clients that bring a signed token (JWT, OpenID Connect) instead of a key of ours."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.graph import Issuer, Key

if TYPE_CHECKING:
    import jwt

#: Tokens whose verification is remembered until they expire.
ROOM = 10_000
#: Seconds an issuer's keys are kept before they are fetched again, and a fetch may take.
KEEP, PATIENCE = 600.0, 5.0
#: Seconds by which an issuer's clock may differ from ours.
LEEWAY = 30.0


class TokenError(Exception):
    """The token is not one that is accepted; the message is for the caller."""


def looks_like_token(secret: str) -> bool:
    """Whether a secret has the form of a signed JWT: three dotted parts, the first a JSON object in base64."""
    return secret.startswith("eyJ") and secret.count(".") == 2


class Tokens:
    """Verifies tokens against the issuers that the settings declare.

    Signatures, issuer, audience and expiry are checked by PyJWT (RFC 7519, RFC 7515); an issuer's keys (RFC 7517) come
    from its address or a file, are fetched in a thread, and kept for :data:`KEEP` seconds.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Issuer], tuple[float, Key]] = OrderedDict()
        self._clients: dict[str, jwt.PyJWKClient] = {}

    def remembered(self, token: str, issuers: tuple[Issuer, ...]) -> Key | None:
        """The key that stands for this token, where it was verified before and is still good."""
        for issuer in issuers:
            found = self._known.get((token, issuer))
            if found is not None and found[0] > time.time():
                return found[1]
        return None

    async def verify(self, token: str, issuers: tuple[Issuer, ...]) -> Key:
        """The key that stands for this token. Raises :class:`TokenError`."""
        return await asyncio.to_thread(self._verify, token, issuers)

    def _verify(self, token: str, issuers: tuple[Issuer, ...]) -> Key:
        import jwt

        try:
            says = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            raise TokenError("This token cannot be read.") from None
        issuer = next((i for i in issuers if i.issuer == says), None)
        if issuer is None:
            raise TokenError("This token's issuer is not known here.")
        try:
            signed_with = self._signed_with(issuer, token)
            claims = jwt.decode(
                token,
                signed_with,
                algorithms=list(issuer.algorithms),
                issuer=issuer.issuer,
                audience=issuer.audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWKClientError:
            raise TokenError("No key of this token's issuer fits it, or its keys cannot be fetched.") from None
        except jwt.ExpiredSignatureError:
            raise TokenError("This token has expired.") from None
        except (jwt.PyJWTError, OSError, ValueError) as problem:
            raise TokenError(f"This token is not accepted: {type(problem).__name__}.") from None
        key = _key_of(issuer, claims)
        self._known[token, issuer] = (float(claims["exp"]), key)
        if len(self._known) > ROOM:
            self._known.popitem(last=False)
        return key

    def _signed_with(self, issuer: Issuer, token: str) -> jwt.PyJWK:
        """The issuer's key that the token names. Raises ``PyJWKClientError``, ``OSError`` or ``ValueError``."""
        import jwt

        if issuer.keys_file is not None:
            keys = jwt.PyJWKSet.from_json(Path(issuer.keys_file).read_text(encoding="utf-8")).keys
            named = jwt.get_unverified_header(token).get("kid")
            for key in keys:
                if key.key_id == named or (named is None and len(keys) == 1):
                    return key
            raise jwt.PyJWKClientError("no key of that id")
        where = issuer.keys_url or ""
        found = self._clients.get(where)
        if found is None:
            found = self._clients[where] = jwt.PyJWKClient(where, lifespan=KEEP, timeout=PATIENCE)
        return found.get_signing_key_from_jwt(token)


def _key_of(issuer: Issuer, claims: dict[str, Any]) -> Key:
    """A key made of the token's claims: its name is that of the subject at this issuer."""
    metadata = {name: _plain(claims[claim]) for name, claim in issuer.metadata if claim in claims}
    subject = _plain(claims.get(issuer.user, ""))
    return Key(f"{issuer.name}:{subject}", "", issuer.scopes, issuer.routes, metadata)


def _plain(value: Any) -> str:
    """A claim as metadata: the first of a list, words for booleans."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
