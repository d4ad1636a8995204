"""Signed tokens of declared issuers are accepted, and nothing else is."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from engine.errors import PrepareError
from engine.executor.clients import Clients
from engine.graph import Graph, Issuer, Key, Settings
from engine.server.access import Access, DeniedError, UnverifiedError

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = {
    "keys": [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa", "use": "sig"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key())), "kid": "ec", "use": "sig"},
    ]
}


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(KEYS))
    return Issuer(
        name="sso",
        issuer="https://login.example/",
        audience="interlock",
        keys_file=str(file),
        algorithms=("ES256", "RS256"),
        metadata=(("team", "groups"), ("verified", "email_verified")),
        scopes=frozenset({"use"}),
        routes=("chat",),
    )


def graph_of(*issuers: Issuer) -> Graph:
    return Graph.build(settings=("server", Settings(issuers=issuers)))


def token(key: Any = RSA, kid: str = "rsa", algorithm: str = "RS256", **changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": "https://login.example/",
        "aud": "interlock",
        "sub": "u-17",
        "exp": int(time.time()) + 60,
        "groups": ["search", "all"],
        "email_verified": True,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


def enter(access: Access, graph: Graph, secret: str, scope: str = "use") -> Key | None:
    headers = {"authorization": f"Bearer {secret}"}
    try:
        return access.authorize(graph, headers, scope)
    except UnverifiedError as unverified:
        asyncio.run(access.verify(graph, unverified.token))
    return access.authorize(graph, headers, scope)


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(RSA, "rsa", "RS256"), (CURVE, "ec", "ES256")])
def test_a_good_token_stands_for_a_key(issuer: Issuer, key: Any, kid: str, algorithm: str) -> None:
    access, graph = Access(), graph_of(issuer)
    given = token(key, kid, algorithm)
    found = enter(access, graph, given)
    assert found is not None
    assert found.name == "sso:u-17"
    assert found.metadata == {"team": "search", "verified": "true"}
    assert found.routes == ("chat",)
    # The second time nothing has to be verified.
    assert access.authorize(graph, {"x-api-key": given}, "use") is found


def none_signed() -> str:
    def part(tree: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode().rstrip("=")

    claims = {"iss": "https://login.example/", "aud": "interlock", "sub": "u", "exp": int(time.time()) + 60}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def confused() -> str:
    """Signed with HMAC, the public key as its secret: the classic confusion of algorithms."""
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').decode().rstrip("=")
    return f"{header}.{token().split('.')[1]}.{token().split('.')[2]}"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: token(STRANGER), "not accepted"),
        (lambda: token(kid="other"), "No key of this token's issuer"),
        (lambda: token(exp=int(time.time()) - 120), "expired"),
        (lambda: token(exp=None), "not accepted"),
        (lambda: token(aud="another-service"), "not accepted"),
        (lambda: token(aud=None), "not accepted"),
        (lambda: token(iss="https://evil.example/"), "issuer is not known"),
        (none_signed, "No key"),
        (confused, "not accepted"),
        (lambda: token()[:-4] + "AAAA", "not accepted"),
        (lambda: "eyJ.eyJ.x", "cannot be read"),
    ],
)
def test_any_other_token_is_refused(issuer: Issuer, made: Any, said: str) -> None:
    with pytest.raises(DeniedError, match=said) as refusal:
        enter(Access(), graph_of(issuer), made())
    assert refusal.value.status == 401


def test_scopes_hold_for_tokens_too(issuer: Issuer) -> None:
    with pytest.raises(DeniedError, match="has not the scope 'admin'") as refusal:
        enter(Access(), graph_of(issuer), token(), "admin")
    assert refusal.value.status == 403


def test_keys_that_cannot_be_fetched_are_said(issuer: Issuer) -> None:
    away = replace(issuer, keys_file=None, keys_url="http://127.0.0.1:9/keys")
    with pytest.raises(DeniedError, match="cannot be fetched"):
        enter(Access(), graph_of(away), token())


def test_another_issuers_memory_is_not_used(issuer: Issuer) -> None:
    access = Access()
    given = token()
    assert enter(access, graph_of(issuer), given) is not None
    stricter = replace(issuer, audience="somewhere-else")
    with pytest.raises(DeniedError):
        enter(access, graph_of(stricter), given)


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_without_the_package_no_configuration_with_issuers_goes_live(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    Clients.prepare(graph_of(issuer), {})
    monkeypatch.setitem(sys.modules, missing, None)
    Clients.prepare(graph_of(), {})
    with pytest.raises(PrepareError, match=r"pip install 'interlock\[jwt\]'"):
        Clients.prepare(graph_of(issuer), {})
