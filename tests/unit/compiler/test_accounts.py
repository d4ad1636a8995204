"""Several secrets of a provider: one key or the other, each missing one named at its place, none ever shown."""

from __future__ import annotations

from typing import Any

import pytest

from engine.graph import Auth, Provider, SecretRef


def provider(auth: str) -> str:
    return (
        "version: 1\nkind: provider\nname: acme\ndialect: openai-chat\nbase_url: https://acme.example/v1\n"
        f"auth: {auth}\nlimits: [{{requests: 9, per: 1m}}, {{requests: 5, per: 60s}}]\nmodels: {{large: {{}}}}\n"
    )


def test_several_secrets_become_accounts_and_the_smaller_of_two_limits_holds(compiled: Any, write: Any) -> None:
    auth = "{scheme: bearer, secrets: [{env: SET}, {env: UNSET}]}"
    result = compiled(write.route("chat", "acme/large"), providers=provider(auth))
    found = result.graph.providers["acme"]
    assert found.accounts == ("provider/acme#SET", "provider/acme#UNSET")
    assert [(rate.suffix, rate.limit) for rate in found.limits] == [("/requests/60", 5)]
    (missing,) = [d for d in result.diagnostics if d.code == "W903" and "UNSET" in d.summary]
    assert "other secrets are used" in missing.hint


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ("{scheme: bearer}", "S202"),
        ("{scheme: header, name: x-key}", "S202"),
        ("{scheme: bearer, secret: {env: A}, secrets: [{env: B}]}", "S208"),
        ("{scheme: bearer, secrets: []}", "S2"),
        ("{scheme: none, secrets: [{env: B}]}", "S201"),
    ],
)
def test_one_key_or_the_other(compiled: Any, write: Any, codes: Any, auth: str, code: str) -> None:
    result = compiled(write.route("chat", "acme/large"), providers=provider(auth))
    assert result.graph is None
    assert any(found.startswith(code) for found in codes(result))


def test_accounts_are_called_by_their_variables_and_by_their_places_where_two_are_the_same() -> None:
    def accounts(*names: str) -> tuple[str, ...]:
        first, *others = (SecretRef("env", name) for name in names)
        auth = Auth("bearer", first, others=tuple(others))
        return Provider("p", "cloud", "openai-chat", "https://p.example", "http", auth).accounts

    assert accounts("A") == ("provider/p",)
    assert accounts("A", "B") == ("provider/p#A", "provider/p#B")
    assert accounts("A", "B", "A") == ("provider/p#1", "provider/p#B", "provider/p#3")
