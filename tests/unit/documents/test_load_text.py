"""What is read, what is refused, where the finding points and what it advises."""

from __future__ import annotations

import pytest

from engine.documents import load_text, parser

HEAD = "version: 1\nkind: route\nname: chat\n"


@pytest.fixture(params=[True, False], ids=["libyaml", "pure"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this module holds for both parsers."""
    if request.param and not parser.FAST:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(parser, "FAST", request.param)


#: A mistake, the code, and the place (line, column) to which the finding points.
MISTAKES = {
    "a bracket that is never closed": (HEAD + "match: [a\n", "D101", None),
    "a quote that is never closed": (HEAD + 'step: "a\n', "D101", None),
    "a tab as indentation": (HEAD + "match:\n\tmodel: a\n", "D101", (5, 1)),
    "a colon in a plain text": (HEAD + "match: a: b\n", "D101", (4, 9)),
    "an indentation that fits nothing": (HEAD + "match:\n    a: 1\n  b: 2\n", "D101", (6, 3)),
    "a reserved character": (HEAD + "step: @a\n", "D101", (4, 7)),
    "a glob that reads as an alias": (HEAD + "match: {model: *}\n", "D101", None),
    "an unknown escape": (HEAD + 'step: "\\q"\n', "D101", None),
    "a list entry beside keys": (HEAD + "- a\n", "D101", (4, 1)),
    "a missing comma": (HEAD + "match: {a: 1 b: 2}\n", "D101", None),
    "a YAML directive of another version": ("%YAML 3.0\n---\n" + HEAD, "D101", None),
    "a key twice": (HEAD + "name: other\n", "D102", (4, 1)),
    "a key twice in a flow mapping": (HEAD + "match: {a: 1, b: 2, a: 3}\n", "D102", (4, 21)),
    "a key twice, once quoted": (HEAD + 'a: 1\n"a": 2\n', "D102", (5, 1)),
    "a number as a key": (HEAD + "1: a\n", "D103", (4, 1)),
    "a float as a key": (HEAD + "4.5: a\n", "D103", (4, 1)),
    "a truth value as a key": (HEAD + "true: a\n", "D103", (4, 1)),
    "null as a key": (HEAD + "null: a\n", "D103", (4, 1)),
    "no key at all": (HEAD + ": a\n", "D101", (4, 1)),
    "infinity as a key": (HEAD + ".inf: a\n", "D103", (4, 1)),
    "a list as a key": (HEAD + "? [a]\n: b\n", "D103", None),
    "a mapping as a key": (HEAD + "{a: b}: c\n", "D103", None),
    "an alias as a key": (HEAD + "a: &x y\n*x : z\n", "D103", (5, 1)),
    "a tag": (HEAD + "step: !!str 1\n", "D104", (4, 7)),
    "a private tag": (HEAD + "step: !include x.yaml\n", "D104", (4, 7)),
    "a tag on a list": (HEAD + "step: !x [a]\n", "D104", (4, 7)),
    "a tag on a key": (HEAD + "!!str a: b\n", "D104", (4, 1)),
    "a tag that makes objects": (HEAD + "step: !!python/object/apply:os.system [ls]\n", "D104", (4, 7)),
    "a merge key": (HEAD + "a: &a {b: 1}\nc: {<<: *a}\n", "D105", (5, 5)),
    "a NUL": (HEAD + "step: a\0b\n", "D106", (4, 8)),
    "an escape that is a NUL": (HEAD + 'step: "a\\0b"\n', "D106", (4, 7)),
    "a NUL in a key": (HEAD + '"a\\0b": 1\n', "D106", (4, 1)),
    "an ANSI escape": (HEAD + "step: \x1b[31m\n", "D106", (4, 7)),
    "a delete": (HEAD + "step: \x7f\n", "D106", (4, 7)),
    "a line separator": (HEAD + 'step: "a\u2028b"\n', "D106", (4, 9)),
    "a next line": (HEAD + "step: a\x85b\n", "D106", (4, 8)),
    "a change of direction": (HEAD + "step: a\u202eb\n", "D106", (4, 8)),
    "a byte order mark inside": (HEAD + "step: a\ufeffb\n", "D106", (4, 8)),
    "half a surrogate pair as a character": (HEAD + "step: a\ud800b\n", "D106", (4, 8)),
    "a byte that is not UTF-8": ((HEAD + "step: caf").encode() + b"\xe9\n", "D107", (4, 10)),
    "UTF-16": ((HEAD + "step: a\n").encode("utf-16"), "D107", (1, 1)),
    "UTF-16 without a mark": ((HEAD + "step: a\n").encode("utf-16-le"), "D107", (1, 1)),
    "UTF-32": ((HEAD + "step: a\n").encode("utf-32"), "D107", (1, 1)),
    "a byte order mark": (b"\xef\xbb\xbf" + HEAD.encode(), "D108", (1, 1)),
    "an alias without an anchor": (HEAD + "step: *a\n", "D113", (4, 7)),
    "an alias of another document": (
        HEAD + "step: &a b\n---\n" + HEAD.replace("chat", "two") + "step: *a\n",
        "D113",
        (9, 7),
    ),
    "an alias in itself": (HEAD + "step: &a [*a]\n", "D113", (4, 11)),
    "not a number": (HEAD + "weight: .nan\n", "D114", (4, 9)),
    "infinity": (HEAD + "weight: -.inf\n", "D114", (4, 9)),
    "a number too large": (HEAD + "weight: 1e999\n", "D114", (4, 9)),
    "an integer too large": (HEAD + f"weight: {2**64}\n", "D114", (4, 9)),
    "a list as a document": ("- a\n- b\n", "D120", (1, 1)),
    "a text as a document": ("hello\n", "D120", (1, 1)),
    "no version": ("kind: route\nname: chat\n", "D121", (2, 7)),
    "another version": ("version: 2\nkind: route\nname: chat\n", "D122", (1, 10)),
    "a version in quotes": ('version: "1"\nkind: route\nname: chat\n', "D122", (1, 10)),
    "a version with a fraction": ("version: 1.0\nkind: route\nname: chat\n", "D122", (1, 10)),
    "a truth value as the version": ("version: true\nkind: route\nname: chat\n", "D122", (1, 10)),
    "an empty version": ("version:\nkind: route\nname: chat\n", "D122", (1, 1)),
    "no kind": ("version: 1\nname: chat\n", "D123", (2, 7)),
    "an unknown kind": ("version: 1\nkind: Deployment\nname: chat\n", "D124", (2, 7)),
    "a list as the kind": ("version: 1\nkind: [route]\nname: chat\n", "D124", (2, 7)),
    "no name": ("version: 1\nkind: route\n", "D125", (2, 7)),
    "a name with a slash": ("version: 1\nkind: route\nname: a/b\n", "D126", (3, 7)),
    "a name with a space": ("version: 1\nkind: route\nname: a b\n", "D126", (3, 7)),
    "a name that ends a line": ('version: 1\nkind: route\nname: "a\\n"\n', "D126", (3, 7)),
    "a number as the name": ("version: 1\nkind: route\nname: 7\n", "D126", (3, 7)),
    "a name too long": ("version: 1\nkind: route\nname: " + "a" * 129 + "\n", "D126", (3, 7)),
    "an empty name": ('version: 1\nkind: route\nname: ""\n', "D126", (3, 7)),
    "a mapping as the name": ("version: 1\nkind: route\nname: {a: b}\n", "D126", (3, 7)),
    "a test whose name has two lines": ('version: 1\nkind: test\nname: "a\\nb"\n', "D126", (3, 7)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_finding_with_place_and_remedy(mistake: str) -> None:
    content, code, place = MISTAKES[mistake]
    _, findings = load_text(content, "policies/x.yaml")
    assert [found.code for found in findings] == [code]
    (found,) = findings
    assert found.file == "policies/x.yaml"
    assert found.severity == "error"
    assert found.hint
    assert found.end_column > found.column
    if place is not None:
        assert (found.line, found.column) == place


def test_half_a_character_is_refused() -> None:
    """The two parsers differ in who says it."""
    _, findings = load_text(HEAD + 'step: "\\ud83d"\n', "x")
    assert [found.code in ("D101", "D106") for found in findings] == [True]
    assert findings[0].line == 4
    assert findings[0].hint


def test_a_line_end_is_the_same_in_every_convention() -> None:
    text = HEAD + "step: a\n---\n" + HEAD.replace("chat", "two") + 'x: "a\n\n  b"\n'
    trees = [[d.tree for d in load_text(text.replace("\n", end), "x")[0]] for end in ("\n", "\r\n", "\r")]
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) == 2
    places = [load_text((text + "name: again\n").replace("\n", end), "x")[1] for end in ("\n", "\r\n", "\r")]
    assert places[0] == places[1] == places[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# a comment\n",
        "---\n",
        "---\n---\n",
        "---\n# a comment\n...\n",
        "...\n",
        "%YAML 1.2\n---\n",
        "  \n\t\n",
        "--- # c\n",
    ],
)
def test_nothing_is_nothing(text: str) -> None:
    assert load_text(text, "x") == ([], [])


def test_several_documents_in_every_spelling() -> None:
    one = [HEAD.replace("chat", f"r{n}") for n in range(5)]
    text = (
        f"# licence\n%YAML 1.2\n---\n{one[0]}---\n---\n{one[1]}...\n{one[2]}...\n# c\n%YAML 1.2\n"
        f"--- # d\n{one[3]}---\n{one[4]}"
    )
    documents, findings = load_text(text, "x")
    assert findings == []
    assert [(d.name, d.index) for d in documents] == [(f"r{n}", n) for n in range(5)]
    lines = [d.source.span(("name",)).line for d in documents]
    assert lines == [number for number, line in enumerate(text.split("\n"), 1) if "name:" in line]


def test_markers_inside_of_texts_are_text() -> None:
    text = HEAD + "a: |\n  ---\n  ...\nb: '\n ---'\nc: ---x\n---\n" + HEAD.replace("chat", "two")
    documents, findings = load_text(text, "x")
    assert findings == []
    assert len(documents) == 2
    assert dict(documents[0].tree) == {
        "version": 1, "kind": "route", "name": "chat", "a": "---\n...\n", "b": " ---", "c": "---x",
    }  # fmt: skip


def test_a_syntax_error_does_not_hide_other_documents() -> None:
    text = HEAD + "step: [\n---\n" + HEAD.replace("chat", "two") + "---\nversion: 1\nkind: rout\nname: x\n"
    documents, findings = load_text(text, "x")
    assert [(d.kind, d.name) for d in documents] == [("route", "two"), (None, "x")]
    assert [found.code for found in findings] == ["D101", "D124"]
    assert findings[1].line == 11
    assert findings[1].hint == 'did you mean "route"?'


def test_a_document_with_findings_is_still_read() -> None:
    documents, findings = load_text(HEAD + "a: 1\na: 2\n3: x\nb: !t y\n<<: {c: d}\nz: end\n", "x")
    assert [found.code for found in findings] == ["D102", "D103", "D104", "D105"]
    assert dict(documents[0].tree) == {
        "version": 1, "kind": "route", "name": "chat", "a": 1, "3": "x", "b": "y", "z": "end",
    }  # fmt: skip


def test_the_second_of_two_keys_names_the_first() -> None:
    _, findings = load_text("# c\n---\n" + HEAD + "name: b\n", "p/x.yaml")
    assert findings[0].line == 6
    assert findings[0].related == (("p/x.yaml", 5, 1, "the first one"),)


def test_aliases_share_values() -> None:
    documents, findings = load_text(HEAD + "a: &a {x: [1, &t two]}\nb: *a\nc: *t\nd: &t three\ne: *t\n", "x")
    assert findings == []
    tree = documents[0].tree
    assert tree["b"] == {"x": [1, "two"]}
    assert (tree["c"], tree["e"]) == ("two", "three")


@pytest.mark.parametrize("name", ["a", "A.b-c_1", "0", "4o", "a" * 128])
def test_names(name: str) -> None:
    documents, findings = load_text(f'version: 1\nkind: route\nname: "{name}"\n', "x")
    assert findings == []
    assert documents[0].name == name


def test_a_test_has_a_sentence_for_a_name() -> None:
    text = "version: 1\nkind: test\nname: \"chat: falls over to a/b, when 'x' fails\"\n"
    documents, findings = load_text(text, "x")
    assert findings == []
    assert documents[0].name == "chat: falls over to a/b, when 'x' fails"


def test_findings_are_limited() -> None:
    _, findings = load_text(HEAD + "a: 1\n" * 1000, "x")
    assert len(findings) == 101
    assert findings[-1].code == "D115"
    _, findings = load_text("version: 1\n---\n" * 1000, "x")
    assert len(findings) <= 103
    assert findings[-1].code == "D115"


def test_json_is_yaml() -> None:
    documents, findings = load_text('{"version":1,"kind":"route","name":"a","x":[1,2.5,null,true,{"y":""}]}', "x")
    assert findings == []
    assert documents[0].tree["x"] == [1, 2.5, None, True, {"y": ""}]


def test_equal_digests_mean_equal_texts() -> None:
    first, second, third = (load_text(text, "x")[0][0] for text in (HEAD, "# c\n---\n" + HEAD, HEAD + "a: 1\n"))
    assert first.digest == load_text(HEAD, "y")[0][0].digest
    assert len({first.digest, second.digest, third.digest}) == 3
