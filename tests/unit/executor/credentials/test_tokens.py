"""Tokens are fetched by the vendors' libraries from token services on loopback, kept, and replaced in time."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from engine.executor.credentials import credential_of
from engine.executor.credentials.tokens import AGAIN, TokenCredential
from engine.graph import Auth, SecretRef


class TokenService(BaseHTTPRequestHandler):
    """Answers every request with the next token, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        tree = {
            "access_token": f"token-{len(self.asked)}",
            "expires_in": 3600,
            "expires_on": str(int(time.time()) + 3600),
            "token_type": "Bearer",
        }
        data = json.dumps(tree).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def token_service() -> Iterator[str]:
    TokenService.asked = []
    server = HTTPServer(("127.0.0.1", 0), TokenService)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_google_signs_for_a_service_account() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with token_service() as url:
        account = {
            "type": "service_account",
            "client_email": "router@example.iam.example",
            "private_key": pem,
            "private_key_id": "1",
            "token_uri": f"{url}/token",
        }
        credential = credential_of(Auth("google", SecretRef("env", "ACCOUNT")), "", {"ACCOUNT": json.dumps(account)})
        assert credential.available(0)
        assert credential.due(0)

        async def go() -> None:
            await asyncio.gather(*(credential.refresh(0) for _ in range(3)))

        asyncio.run(go())
        assert credential.headers(None, 1) == (("authorization", "Bearer token-1"),)
        assert not credential.due(1)
        ((path, _, body),) = TokenService.asked
    assert path == "/token"
    claims = jwt.decode(
        parse_qs(body.decode())["assertion"][0], key.public_key(), ["RS256"], options={"verify_aud": False}
    )
    assert claims["iss"] == "router@example.iam.example"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_entra_asks_the_managed_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    with token_service() as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "header-secret")
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)
        credential = credential_of(Auth("entra"), "", {})
        asyncio.run(credential.refresh(0))
        assert credential.headers(None, 1) == (("authorization", "Bearer token-1"),)
        path, headers, _ = TokenService.asked[0]
    assert "resource=https" in path
    assert headers["x-identity-header"] == "header-secret"


def test_a_secret_that_is_missing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    for scheme in ("google", "entra"):
        credential = credential_of(Auth(scheme, SecretRef("env", "NOPE")), "", {})
        asyncio.run(credential.refresh(0))
        assert credential.headers(None, 1) is None
        assert not credential.available(1)
        assert credential.available(AGAIN + 1)
    assert caplog.text.count("is not set") == 2


def test_a_failed_renewal_keeps_the_token_while_it_is_good() -> None:
    answers: list[Any] = [("one", time.time() + 60), OSError("away"), ("two", time.time() + 3600)]

    def fetch() -> tuple[str, float]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    credential = TokenCredential("a service", fetch)

    async def go() -> None:
        await credential.refresh(0)
        assert credential.due(1)  # it ends within the margin
        await credential.refresh(1)
        await asyncio.sleep(0.1)
        assert credential.headers(None, 2) == (("authorization", "Bearer one"),)
        assert not credential.due(2)
        assert credential.due(1 + AGAIN)
        await credential.refresh(1 + AGAIN)
        await asyncio.sleep(0.1)
        assert credential.headers(None, 30) == (("authorization", "Bearer two"),)

    asyncio.run(go())
