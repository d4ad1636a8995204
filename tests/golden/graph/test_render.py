"""Every format's text for one graph, as a file; ``--update-golden`` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.graph import Graph, Issuer, Settings, render

FILES = {
    "tree": "graph.txt",
    "mermaid": "graph.mmd",
    "dot": "graph.dot",
    "json": "graph.json",
    "svg": "graph.svg",
}


@pytest.mark.parametrize("format_", FILES)
def test_a_graph_is_drawn_as_in_the_golden_file(sample: Graph, format_: str, request: pytest.FixtureRequest) -> None:
    text = render(sample, format_)
    golden = Path(__file__).parent / FILES[format_]
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("format_", FILES)
def test_no_format_shows_a_secret(sample: Graph, format_: str) -> None:
    text = render(sample, format_)
    assert "hunter2" not in text
    assert "abab" not in text


@pytest.mark.parametrize("format_", FILES)
def test_one_route_is_drawn_without_the_others(sample: Graph, format_: str) -> None:
    text = render(sample, format_, "sorted")
    assert "451" in text
    assert "trial" not in text
    assert text.endswith("\n")


@pytest.mark.parametrize("format_", FILES)
def test_an_empty_graph_can_be_drawn(format_: str) -> None:
    text = render(Graph.empty(), format_)
    assert Graph.empty().fingerprint in text


def test_json_is_complete_for_the_whole_graph_and_without_keys_for_one_route(sample: Graph) -> None:
    whole = json.loads(render(sample, "json"))
    assert list(whole) == ["fingerprint", "routes", "targets", "providers", "keys", "limits", "settings", "declared"]
    assert whole["routes"]["chat"]["at"] == "policies/chat.yaml:3"
    assert whole["targets"]["north/large"]["price"]["tiers"] == [{"above": 128000, "input": "1.18", "output": "1.58"}]
    part = json.loads(render(sample, "json", "sorted"))
    assert list(part) == ["fingerprint", "routes", "targets", "providers"]
    assert list(part["targets"]) == ["local/tiny", "north/large", "north/small"]


def test_svg_is_well_formed_and_names_every_box_for_screen_readers(sample: Graph) -> None:
    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(render(sample, "svg"))  # noqa: S314  - our own text
    assert root.get("role") == "img"
    boxes = root.findall(f"{space}g")
    titles = [box.findtext(f"{space}title") or "" for box in boxes]
    assert 'reject: reject 451\nnot "here" <b>&</b> | #1; `x` \\ %%' in titles
    assert all(titles)
    assert len(boxes) == 21


def test_boxes_of_the_svg_do_not_overlap(sample: Graph) -> None:
    root = ElementTree.fromstring(render(sample, "svg"))  # noqa: S314  - our own text
    rects = [
        tuple(float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if rect.get("class") == "box"
    ]
    for i, (x, y, w, h) in enumerate(rects):
        for x2, y2, w2, h2 in rects[i + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_unknown_format_and_route_are_refused(sample: Graph) -> None:
    with pytest.raises(ValueError, match="unknown format 'png'; known are tree, mermaid, dot, json, svg"):
        render(sample, "png")
    with pytest.raises(KeyError):
        render(sample, "tree", "nope")


def test_settings_with_nodes_in_them_are_plain_values_too() -> None:
    issuer = Issuer("sso", "https://login.example.com/", "interlock", scopes=frozenset({"use"}))
    graph = Graph.build(settings=("s", Settings(issuers=(issuer,))))
    (shown,) = json.loads(render(graph, "json"))["settings"]["issuers"]
    assert (shown["name"], shown["scopes"]) == ("sso", ["use"])
