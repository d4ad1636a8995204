"""No literal secret is shown, whatever the finding is about."""

from __future__ import annotations

import pytest

from engine.diagnostics import FORMATS
from engine.documents import diagnose, load_text
from engine.documents.mask import mask_line

SECRET = "Tr0ub4dor&3"
HEAD = "version: 1\nkind: provider\nname: acme\n"


@pytest.mark.parametrize(
    "written",
    [
        f"auth: {{scheme: bearer, secret: {SECRET}}}",
        f"auth: {{scheme: bearer, secret: '{SECRET}'}}",
        f'{{"auth": {{"secret":"{SECRET}", "scheme": "bearer"}}}}',
        f"secret:   {SECRET}   # the key of production",
        f"api_key: {SECRET}",
        f"apiKey: {SECRET}",
        f"X-Api-Key: {SECRET}",
        f"client_secret: {SECRET}",
        f"headers: {{Authorization: Bearer {SECRET}}}",
        f"password: {SECRET}",
        f"  access_token: {SECRET}",
        "base_url: https://host/v1?k=sk-0123456789abcdef01",
        "note: my key is gk_0123456789ABCDEFghij",
        f"docs: https://reader:{SECRET}@host/v1",
        f"{{url: 'redis://:{SECRET}@host:6379/0'}}",
        f"proxy: http://{SECRET}@host",
    ],
)
def test_lines(written: str) -> None:
    masked = mask_line(written)
    assert SECRET not in masked
    assert "0123456789" not in masked
    assert "**" in masked
    assert len(masked) == len(written)


@pytest.mark.parametrize(
    "written",
    [
        "auth: {scheme: bearer, secret: {env: ACME_API_KEY}}",
        "auth: {scheme: bearer, secret: {file: /run/secrets/acme}}",
        "secret:",
        "secret: *shared",
        "limits: [{tokens: 6000, per: 1m}]",
        "timeouts: {first_token: 20s}",
        "  - {weight: 90, step: acme/large-chat-model-2026-preview}",
        "supports: [tools, json_schema]",
        "rename: {max_completion_tokens: max_tokens}",
        "budget_tokens: 2000",
        "base_url: https://host/v1/accounts/me@host",
        'models: {"@cf/large": {}}',
    ],
)
def test_what_is_no_secret_stays(written: str) -> None:
    assert mask_line(written) == written


@pytest.mark.parametrize(
    "auth",
    [
        f"auth: {{scheme: bearre, secret: {SECRET}}}\n",
        f"auth:\n  scheme: bearre\n  secret: {SECRET}\n",
        f"auth:\n  scheme: bearre\n  secret:\n    {SECRET}\n",
        f"auth:\n  scheme: bearre\n  secret: |\n    {SECRET}\n    {SECRET}\n",
        f"auth:\n  scheme: bearre\n  secret: {{env: '{SECRET}'}}\n",
        f"auth:\n  scheme: bearre\n  secret: {{value: {SECRET}}}\n",
        f"auth:\n  scheme: bearre\n  secret: [{SECRET}]\n",
        f"auth:\n  scheme: bearre\n  secret: &s {SECRET}\n  again: *s\n",
    ],
)
@pytest.mark.parametrize("path", [("auth", "secret"), ("auth", "scheme"), ("auth",), ()])
def test_no_format_shows_a_literal_secret(auth: str, path: tuple[str, ...]) -> None:
    (document,), findings = load_text(HEAD + auth, "providers.d/acme.yaml")
    assert findings == []
    said = f"'{SECRET}' is not a reference"
    found = diagnose(document, "R301", path, said, label=said, detail=said, hint=said)
    for render in FORMATS.values():
        assert SECRET not in render([found], documents=1)


def test_a_syntax_error_beside_a_secret_does_not_show_it() -> None:
    _, findings = load_text(HEAD + f"auth: {{secret: {SECRET}, scheme: bearer\n", "x")
    _, more = load_text(HEAD + f"secret: {SECRET}\nsecret: {SECRET}\n", "x")
    assert findings
    assert more
    assert SECRET not in "".join(found.excerpt for found in [*findings, *more])


def test_a_name_of_a_variable_is_no_secret() -> None:
    (document,), _ = load_text(HEAD + "auth: {secret: {env: ACME_API_KEY}}\n", "x")
    found = diagnose(document, "R301", ("auth", "secret", "env"), "ACME_API_KEY is not set")
    assert found.summary == "ACME_API_KEY is not set"
    assert "ACME_API_KEY" in found.excerpt
