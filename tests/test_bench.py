"""The benchmark's table and floor. What it measures is not tested: no test depends on time."""

from pathlib import Path

import pytest
from lxml import etree

from bench import floor, ratios
from claimlint.write import csv_text, x12_text, xml_text

ROWS = [{"claim_id": "A", "procedure": "97110", "charge": "90"}]


def test_a_goal_is_reached_when_both_figures_reach_it() -> None:
    assert ratios.row("what", "", "", (1.5, 2.0), ("at most", 2))[3:] == ("1.50 / 2.00x", "at most 2x", "yes")
    assert ratios.row("what", "", "", (1.5, 2.1), ("at most", 2))[-1] == "no"
    assert ratios.row("what", "", "", (310, 290), ("at least", 300))[-1] == "no"
    assert ratios.row("what", "", "", (310, 290))[4:] == ("", "")


def test_a_table_replaces_only_the_one_before() -> None:
    page = "a\n<!-- big -->\nold\n<!-- end of big -->\nb <!-- ratios -->\n<!-- end of ratios -->\n"
    assert ratios.put(page, "big", "new") == page.replace("old", "new")
    with pytest.raises(SystemExit, match="has no <!-- big -->"):
        ratios.put("a", "big", "new")


def test_the_page_has_a_place_for_both_tables() -> None:
    page = ratios.PAGE.read_text(encoding="utf-8")
    assert "x" in ratios.put(ratios.put(page, "big", "x"), "ratios", "x")


def test_the_floor_splits_every_format(tmp_path: Path) -> None:
    text = x12_text(ROWS, newline="")
    xml = xml_text(text)
    files = {floor.x12: text, floor.csv: csv_text(ROWS), floor.xml: xml, floor.bare: xml}
    read = {}
    for split, content in files.items():
        path = tmp_path / "file"
        path.write_text(content, encoding="utf-8")
        read[split] = split(path)
    segments = text.count("~")
    assert read == {floor.x12: segments, floor.csv: 1, floor.xml: segments, floor.bare: len(xml)}


def test_the_bare_floor_reads_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file.xml"
    path.write_text(xml_text(x12_text(ROWS))[:-5], encoding="utf-8")
    with pytest.raises(etree.XMLSyntaxError):
        floor.bare(path)
