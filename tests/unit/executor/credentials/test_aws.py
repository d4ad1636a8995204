"""Signature Version 4: what botocore signs is what AWS's documents describe."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from engine.executor.credentials import credential_of
from engine.graph import Auth, SecretRef

URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-x-v1%3A0/converse"
ENV = {"ID": "AKIDEXAMPLE", "SECRET": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "TOKEN": "session"}
BODY = b'{"messages": []}'


def declared(token: bool = False) -> Auth:
    return Auth(
        "aws",
        SecretRef("env", "SECRET"),
        access_key=SecretRef("env", "ID"),
        session_token=SecretRef("env", "TOKEN") if token else None,
    )


def by_hand(secret: str, url: str, headers: dict[str, str], body: bytes, scope: str, signed: str) -> str:
    """The signature as the AWS General Reference defines it."""

    def mac(key: bytes, text: str) -> bytes:
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    lines = "".join(f"{name}:{headers[name]}\n" for name in signed.split(";"))
    path = quote(urlsplit(url).path, safe="/~")
    payload = hashlib.sha256(body).hexdigest()
    canonical = f"POST\n{path}\n\n{lines}\n{signed}\n{payload}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = mac(key, part)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("token", [False, True])
def test_the_signature_is_the_documented_one(token: bool) -> None:
    credential = credential_of(declared(token), URL, ENV)
    assert not credential.due(0)
    assert credential.headers(None, 0) == ()
    sent = [("content-type", "application/json")]
    added = dict(credential.sign("POST", URL, sent, BODY))
    assert added.get("x-amz-security-token") == ("session" if token else None)
    match = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\d{8}/eu-west-1/bedrock/aws4_request), "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        added["authorization"],
    )
    assert match
    headers = {**dict(sent), **added, "host": urlsplit(URL).hostname or ""}
    assert match[3] == by_hand(ENV["SECRET"], URL, headers, BODY, match[1], match[2])


def test_a_missing_half_is_no_credential() -> None:
    credential = credential_of(declared(), URL, {"ID": "AKID"})
    assert not credential.available(0)
    assert credential.headers(None, 0) is None


def test_the_chain_finds_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id = AKFROMFILE\naws_secret_access_key = s3cret\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    credential = credential_of(Auth("aws", region="us-west-2", service="sagemaker"), URL, {})

    async def go() -> None:
        assert credential.due(0)
        await credential.refresh(0)

    asyncio.run(go())
    assert credential.headers(None, 1) == ()
    assert not credential.due(1)
    added = dict(credential.sign("POST", URL, [], BODY))
    assert "AKFROMFILE/" in added["authorization"]
    assert "/us-west-2/sagemaker/" in added["authorization"]


def test_an_empty_chain_is_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    credential = credential_of(Auth("aws"), URL, {})
    assert credential.available(0)
    asyncio.run(credential.refresh(0))
    assert credential.headers(None, 1) is None
    assert not credential.available(1)
