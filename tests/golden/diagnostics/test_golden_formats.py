"""The text of every format for one configuration with mistakes; ``--update-golden`` writes the files anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.diagnostics import CODES, FORMATS, Code, Diagnostic, machine
from engine.documents import diagnose, load_text, place

HERE = Path(__file__).parent
EXTENSION = {"human": "txt", "json": "json", "github": "txt", "sarif": "json", "junit": "xml", "markdown": "md"}


def findings() -> list[Diagnostic]:
    """One finding of each sort: of the loader, inside of a text, with related places, masked, a warning and a note."""
    chat = (HERE / "chat.yaml").read_text(encoding="utf-8")
    (route, provider), loaded = load_text(chat, "policies/chat.yaml")
    variants = ("step", "fallback", "steps", 0, "split", "variants")
    return [
        *loaded,
        diagnose(
            route, "R301", (*variants, "control", "step"),
            'route "chat" refers to unknown target "acme/larg"',
            label="not declared in providers.d/acme.yaml", hint='did you mean "acme/large"?',
        ),
        diagnose(
            route, "W901", (*variants, "préfecture", "step"), "100% of \"日本\": <b>, | and `code`",
            detail="A paragraph that is longer than a line, so that it has to be wrapped somewhere, and where it is "
            "wrapped the second line stands under the first.", span_slice=(5, 10),
        ),
        diagnose(
            provider, "P401", ("auth", "secret"), "a literal secret", label="hunter2hunter2 is shown nowhere",
            hint="write secret: {env: ACME_API_KEY}", related=(place(route, ("name",), "used by this route"),),
        ),
        diagnose(provider, "N911", ("models",), "the models are in no route"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_golden(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file shows four rules of the many; that all of them are there is a test of its own.
    few = {
        code: Code(code, CODES[code].severity, f"title of {code}", "One. Two.\n\nThree.")
        for code in ("D102", "N911", "P401", "R301", "W901")
    }
    monkeypatch.setattr(machine, "CODES", few)
    shown = FORMATS[name](findings(), documents=14)
    golden = HERE / f"{name}.{EXTENSION[name]}"
    if request.config.getoption("--update-golden", default=False):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")
    assert "hunter2" not in shown


def test_the_example_of_the_design() -> None:
    """The shape that the manuals show."""
    text = (
        "\n" * 10
        + "version: 1\nkind: route\nname: chat\nx:\n            control: {weight: 90, step: openai/gpt-4o-mni}\n"
    )
    (route,), _ = load_text(text, "policies/chat.yaml")
    found = diagnose(
        route, "R301", ("x", "control", "step"), 'route "chat" refers to unknown target "openai/gpt-4o-mni"',
        label="not declared in providers.d/openai.yaml", hint='did you mean "openai/gpt-4o-mini"?',
    )  # fmt: skip
    assert FORMATS["human"]([found], documents=14) == (
        'error[R301]: route "chat" refers to unknown target "openai/gpt-4o-mni"\n'
        "  --> policies/chat.yaml:15:41\n"
        "   |\n"
        "15 |             control: {weight: 90, step: openai/gpt-4o-mni}\n"
        "   |                                         ^^^^^^^^^^^^^^^^^ not declared in providers.d/openai.yaml\n"
        '   = did you mean "openai/gpt-4o-mini"?\n'
        "\n"
        "1 error, 0 warnings in 14 documents.\n"
    )
