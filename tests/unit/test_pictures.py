"""Pictures of clusters: well-formed whatever the texts say, legible, and honest about what they leave out."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cli import invoke
from api.pictures.contents import Contents
from api.pictures.labels import Box, Room, around, line_at
from api.pictures.page import draw_page
from api.pictures.svg import escaped, safe, shortened, text_width, wrapped
from api.pictures.symbols import RISK_COLOURS, SYMBOLS, band
from detection.layout import lay_out
from detection.runs import Runs
from graph.home import Home
from graph.schema import LINK_OF_KIND
from tests.unit.handmade import RING
from tests.unit.handmade import write_run as write_home

SVG = "{http://www.w3.org/2000/svg}"
Ask = Callable[..., tuple[int, str, str]]
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


def contents(cells: Sequence[tuple[int, int]], *, names: Callable[[int], str] = "node-{}".format) -> Contents:
    """A cluster of cells side by side: for each its organizations and identifiers; all are linked to the first."""
    labels, cell, risk, places, edges, centre = [], [], [], [], [], []
    for number, (organizations, identifiers) in enumerate(cells):
        first, size = len(labels), organizations + identifiers
        centre.append((number * 40.0 % 400, number * 40 // 400 * 40.0))
        labels += ["Organization"] * organizations + [sorted(SYMBOLS)[n % 16] for n in range(identifiers)]
        risk += [7.0 * n % 100 for n in range(organizations)] + [np.nan] * identifiers
        cell += [number] * size
        across = int(np.ceil(np.sqrt(size)))
        places += [(centre[-1][0] + n % across, centre[-1][1] + n // across) for n in range(size)]
        edges += [
            (first + a, first + organizations + b) for b in range(identifiers) for a in range(organizations)
        ]
        if number:
            edges.append((first, cells[0][0]))
    links = np.array(edges, dtype=np.int64).reshape(-1, 2)
    members = np.array([organizations for organizations, _ in cells])
    firsts = np.concatenate([[0], np.cumsum([sum(each) for each in cells])])[:-1]
    return Contents(
        cluster=row(int(members.sum())),
        evidence=[signal(n) for n in range(7)],
        run_id="run_20260930T235959Z_00000000",
        as_of=datetime(2026, 9, 30, tzinfo=UTC),
        label=labels,
        x=np.array([x for x, _ in places]),
        y=np.array([y for _, y in places]),
        cell=np.array(cell),
        degree=np.bincount(links.ravel(), minlength=len(labels)),
        risk=np.array(risk),
        name=[names(n) for n in range(len(labels))],
        source=links[:, 0],
        target=links[:, 1],
        brought=np.array([[0, 1]]),
        centre=np.array(centre),
        radius=np.full(len(cells), 18.0),
        members=members,
        share=np.linspace(0, 1, len(cells)),
        common=np.where([ids > 0 for _, ids in cells], firsts + members, -1),
        users=members * [ids > 0 for _, ids in cells],
    )


def row(size: int) -> dict[str, Any]:
    return {
        "cluster_id": "cl_abcdefghij",
        "name": "Trial farm cl_abcdefghij",
        "size": size,
        "risk": 97.2,
        "points": 310.5,
        "new_24h": 3,
        "cost": 1234.5,
        "credit_used": 99.0,
    }


def signal(number: int) -> dict[str, Any]:
    return {
        "signal": "base" if number == 6 else f"signal_{number}",
        "title": f"Signal {number}",
        "fact": f"{number} of 9 organizations did what no honest customer does.",
        "points": -200.0 if number == 6 else 55.0 - 10 * number,
        "baseline": 0.01 if number % 2 else None,
    }


def parsed(picture: bytes) -> ElementTree.Element:
    """The picture as XML, once it is shown to be harmless and finite."""
    root = ElementTree.fromstring(picture)  # noqa: S314  what we wrote ourselves
    assert root.tag == f"{SVG}svg"
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    drawn = {"rect", "line", "circle", "path", "polygon", "polyline", "text", "g"}
    assert tags <= {"svg", "title", "desc"} | drawn
    for element in root.iter():
        assert not any(name.startswith("on") or "href" in name or name == "style" for name in element.attrib)
        for name in ("x", "y", "cx", "cy", "r", "width", "height", "font-size"):
            value = element.get(name)
            assert value is None or value.endswith("mm") or np.isfinite(float(value))
    assert b"nan" not in re.sub(rb">[^<]*<", b"><", picture)
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def extent(element: ElementTree.Element) -> tuple[float, float, float, float]:
    size, bold = float(element.get("font-size", 0)), element.get("font-weight") is not None
    wide = text_width(element.text or "", size, bold=bold)
    left = (
        float(element.get("x", 0)) - {None: 0.0, "middle": wide / 2, "end": wide}[element.get("text-anchor")]
    )
    baseline = float(element.get("y", 0))
    return left, baseline - size * 0.7, left + wide, baseline


def overlapping(elements: Sequence[ElementTree.Element]) -> list[tuple[str | None, str | None]]:
    boxes = [(extent(one), one.text) for one in elements]
    return [
        (a_text, b_text)
        for place, (a, a_text) in enumerate(boxes)
        for b, b_text in boxes[:place]
        if a[0] < b[2] - 0.01 and b[0] < a[2] - 0.01 and a[1] < b[3] - 0.01 and b[1] < a[3] - 0.01
    ]


@pytest.mark.parametrize(
    "cells", [[(2, 1)], [(4, 9)], [(60, 63)], [(23, 20), (20, 25), (7, 8), (4, 5)], [(40, 20)] * 20, [(2, 0)]]
)
def test_every_node_is_drawn_and_no_texts_overlap(cells: list[tuple[int, int]]) -> None:
    root = parsed(draw_page(contents(cells)))
    organizations = sum(members for members, _ in cells)
    circles = [one for one in root.iter(f"{SVG}circle") if one.get("fill") in RISK_COLOURS]
    assert len(circles) == organizations
    assert overlapping(list(root.iter(f"{SVG}text"))) == []
    for element in root.iter(f"{SVG}text"):
        left, top, right, bottom = extent(element)
        assert (left, top) >= (0, 0)
        assert right <= 842 - 20
        assert bottom <= 595


def test_nodes_have_the_colour_of_their_risk_and_the_shape_of_their_type() -> None:
    cluster = contents([(20, 16)])
    root = parsed(draw_page(cluster))
    drawn = [one.get("fill") for one in root.iter(f"{SVG}circle")]
    assert drawn == [RISK_COLOURS[band(risk)] for risk in cluster.risk[:20]]
    colours = {one.get("fill") for one in root.iter(f"{SVG}polygon")}
    assert colours == {symbol.colour for symbol in SYMBOLS.values()}
    assert [band(risk) for risk in (0, 19.9, 20, 59, 60, 80, 100)] == [0, 0, 1, 2, 3, 4, 4]


def test_every_type_of_identifier_has_a_symbol_of_its_own() -> None:
    assert set(SYMBOLS) == {rel.target for rel in LINK_OF_KIND.values()}
    looks = {(str(symbol.corners), symbol.colour) for symbol in SYMBOLS.values()}
    assert len(looks) == len(SYMBOLS)


def test_title_evidence_legend_and_captions_say_what_it_is() -> None:
    said = texts(parsed(draw_page(contents([(23, 3), (20, 2)]))))
    for expected in (
        "Trial farm",
        "97",
        "43",
        "Why this score",
        "+55.0",
        "Signal 0",
        "usual 1%",
        "1 · 23 organizations",
    ):
        assert expected in said
    assert any("as of 2026-09-30 00:00:00 UTC" in text and "cl_abcdefghij" in text for text in said)
    assert "run_20260930T235959Z_00000000" in said
    assert "5 of 6 signals; every cluster starts at −200.0" in said
    assert "all 23 share API key node-23" in said
    assert "2 API keys" in said
    assert "Signal 6" not in said  # where every cluster starts is no evidence


def test_a_large_cluster_is_drawn_as_discs_and_says_so() -> None:
    cluster = contents([(400, 30), (500, 20), (700, 10), (900, 40), (600, 5)])
    root = parsed(draw_page(cluster))
    discs = list(root.iter(f"{SVG}circle"))
    assert [one.get("fill") for one in discs] == [RISK_COLOURS[band(100 * share)] for share in cluster.share]
    areas = np.array([float(one.get("r", 0)) ** 2 for one in discs])
    assert (np.argsort(areas) == np.argsort(cluster.members)).all()
    said = " ".join(texts(root))
    assert "Closed for size: 3,100 organizations and 105 shared identifiers in 5 cells." in said
    assert "5 cells by share of members of risk 60+" in said


def test_identifiers_beyond_the_most_shared_are_left_out_and_counted() -> None:
    cluster = contents([(3, 3214)])
    root = parsed(draw_page(cluster))
    assert "Drawn: 3 organizations, 2,997 of 3,214 shared identifiers." in " ".join(texts(root))


def test_many_referrals_and_many_lines_are_left_out_and_counted() -> None:
    cells = [(12, 2)] * 30
    many = replace(contents(cells), brought=np.array([[n, n + 1] for n in range(300)]))
    said = " ".join(texts(parsed(draw_page(many))))
    assert "300 referrals among members left out." in said
    assert "300 referrals, from who brought" not in said
    few = texts(parsed(draw_page(contents([(4, 2)]))))
    assert "1 referral, from who brought" in few


def test_the_same_contents_give_the_same_bytes() -> None:
    assert draw_page(contents([(30, 20), (20, 9)])) == draw_page(contents([(30, 20), (20, 9)]))


@settings(max_examples=60, deadline=None)
@given(name=ANY_TEXT, other=ANY_TEXT, title=ANY_TEXT, fact=ANY_TEXT)
def test_any_text_gives_a_well_formed_picture(name: str, other: str, title: str, fact: str) -> None:
    cluster = contents([(3, 2), (2, 1)], names=lambda node: name if node % 2 else other)
    evidence = [{**one, "title": title, "fact": fact} for one in cluster.evidence]
    named = replace(
        cluster, cluster={**cluster.cluster, "name": title}, evidence=evidence, run_id=other or "run"
    )
    root = parsed(draw_page(named))
    assert all(text == safe(text) for text in texts(root))
    assert overlapping(list(root.iter(f"{SVG}text"))) == []


@given(text=st.text(st.characters(codec=None), max_size=80))
def test_what_is_escaped_reads_as_what_is_safe(text: str) -> None:
    element = ElementTree.fromstring(f'<t a="{escaped(text)}">{escaped(text)}</t>')  # noqa: S314
    assert (element.text or "") == safe(text) == (element.get("a") or "")
    assert safe(text).isprintable()


def test_hidden_and_look_alike_characters_are_written_out() -> None:
    assert safe("ab\u200bc") == "ab<U+200B>c"
    assert safe("p\u0430ypal") == "p<U+0430>ypal"
    assert safe("x\u202ey\nz") == "x<U+202E>y<U+000A>z"
    assert escaped("<script>&\"'") == "&lt;script&gt;&amp;&quot;'"
    said = texts(parsed(draw_page(contents([(3, 2)], names=lambda node: f"a{node}\u200bb"))))
    assert {f"a{node}<U+200B>b" for node in range(5)} <= set(said)


@given(text=ANY_TEXT, size=st.floats(4, 20), room=st.floats(10, 300))
def test_shortened_and_wrapped_texts_fit(text: str, size: float, room: float) -> None:
    short = shortened(text, size, room)
    assert text_width(short, size) <= room or short == "…"
    lines = wrapped(text, size, room, 3)
    assert len(lines) <= 3
    assert all(text_width(line, size) <= room or line == "…" for line in lines)


def test_shortening_keeps_both_ends_and_wrapping_the_beginning() -> None:
    assert shortened("short", 7, 100) == "short"
    cut = shortened("d8e086ed-7c1f-4a2b-9b5e-628534e172b9", 7, 70)
    assert cut.startswith("d8e0")
    assert cut.endswith("72b9")
    assert "…" in cut
    lines = wrapped("39 of 59 organizations signed up within half an hour of one another", 7, 90, 2)
    assert len(lines) == 2
    assert lines[0].startswith("39 of 59")
    assert lines[1].endswith("…")


box_numbers = st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(1, 30))


@given(nodes=st.lists(box_numbers, max_size=30))
def test_labels_never_touch(nodes: list[tuple[float, float, float]]) -> None:
    room = Room(Box(0, 0, 100, 100))
    placed = [room.first_free(around(x, y, 1.0, width, 5.0)) for x, y, width in nodes]
    found = [place.box for place in placed if place is not None]
    for number, one in enumerate(found):
        assert min(one.left, one.top) >= 0
        assert max(one.right, one.bottom) <= 100
        for other in found[:number]:
            apart = one.right <= other.left or other.right <= one.left
            assert apart or one.bottom <= other.top or other.bottom <= one.top


def test_anchors_describe_the_same_box() -> None:
    for anchor, x in (("start", 10.0), ("middle", 30.0), ("end", 50.0)):
        place = line_at(x, 20.0, 40.0, 10.0, anchor)
        assert (place.box.left, place.box.right, place.x) == (10.0, 50.0, x)
        assert place.box.top < place.baseline < place.box.bottom


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    write_home(home)
    return home


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asking(*words: str) -> tuple[int, str, str]:
        code = invoke([*words, "--home", str(home.path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return asking


def test_the_command_writes_the_picture(ask: Ask, home: Home, tmp_path: Path) -> None:
    target = tmp_path / "ring.svg"
    code, out, err = ask("cluster", RING, "--svg", str(target))
    assert (code, err) == (0, "")
    assert out.startswith(str(target))
    before = target.read_bytes()
    assert RING in (parsed(before).findtext(f"{SVG}desc") or "")
    lay_out(
        Runs(home).open().folder
    )  # a run that has a layout gives the same picture as one that has none yet
    assert ask("cluster", RING, "--svg", str(target))[0] == 0
    assert target.read_bytes() == before
    code, out, _ = ask("cluster", RING, "--svg", "-")
    assert (code, out.encode()) == (0, before)
    code, out, _ = ask("cluster", RING, "--svg", str(target), "--json")
    assert code == 0
    assert f'"picture": "{target}"' in out
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["ring.svg"]


def test_the_command_says_why_it_cannot_write(ask: Ask, tmp_path: Path) -> None:
    for target, code, message in (
        (str(tmp_path / "none" / "ring.svg"), 1, "cannot write"),
        (str(tmp_path), 2, "is a folder"),
        ("", 2, "needs the name of a file"),
    ):
        found, out, err = ask("cluster", RING, "--svg", target)
        assert (found, out) == (code, "")
        assert message in err
        assert "--svg" in err
    found, _, err = ask("cluster", RING, "--svg", "-", "--json")
    assert found == 2
    assert "either the picture or JSON" in err
    assert ask("cluster", "cl_none", "--svg", str(tmp_path / "ring.svg"))[0] == 1


def test_the_commands_start_without_what_draws() -> None:
    loaded = "import sys, api.cli; print([m for m in ('igraph', 'scipy', 'api.pictures.page') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
