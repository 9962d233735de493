"""X12-like XML: the dialects as documented, where findings point, and documents that are broken or hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from claimlint.readers import NotClaims, xml
from claimlint.readers.sniff import read
from claimlint.write import XML_DIALECTS, xml_text
from tests.realdata import realdata
from tests.test_cli import check

PAGE = (Path(__file__).parents[1] / "docs" / "xml-dialects.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```xml\n(.*?)```", PAGE, re.S)
SHIPPED = sorted(path.stem for path in xml.DIALECTS.glob("*.xsl"))
ROW = {
    "claim_id": "EX-1", "payer_name": "SAMPLE HEALTH PLAN", "payer_id": "SHP01", "claim_filing_indicator": "CI",
    "member_id": "W123456789", "patient_last_name": "SAMPLE", "patient_first_name": "PAT", "claim_charge": "45.00",
    "patient_birth_date": "1975-04-12", "billing_npi": "1000000111", "billing_state": "OH", "frequency_code": "1",
    "diagnoses": ["M51.16"], "diagnosis_qualifier": "ABK", "procedure": "97012", "modifiers": ["GP"], "pointers": ["1"],
    "charge": "45.00", "units": "1", "service_date": "2026-01-27", "place_of_service": "11",
}  # fmt: skip


def linted(tmp_path: Path, text: str | bytes, *args: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, JSON report and messages of a run over one document."""
    path = tmp_path / "claims.xml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    ran = check(path, "--output-format", "json", *args)
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else {}, ran.stderr


def claims(*ids: str, **changes: str) -> str:
    return xml_text([ROW | changes | {"claim_id": claim} for claim in ids])


def test_every_dialect_is_documented_with_an_example() -> None:
    told = [xml.segments(example.encode()).dialect for example in EXAMPLES]
    assert sorted(told) == SHIPPED
    assert all(f"| `{name}` |" in PAGE for name in SHIPPED)
    assert set(XML_DIALECTS) <= set(SHIPPED)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: re.findall(r"<([\w:]+)", e)[0])
def test_a_documented_example_is_the_claim(example: str) -> None:
    made = read(example.encode(), {})
    assert (made.claims, made.service_lines, made.unreadable) == (1, 1, [])
    facts = ["claim_id", "claim_charge", "place_of_service", "frequency_code", "procedure", "modifiers", "charge"]
    (row,) = made.lines.select(*facts, "units", "service_date", "diagnoses", "pointers").rows()
    assert row == ("EX-1", "45", "11", "1", "97012", ["GP"], "45", "1", "20260127", ["M5116"], ["1"])


def test_the_documented_example_of_our_own_dialect_is_linted_clean_of_structure(tmp_path: Path) -> None:
    (example,) = [e for e in EXAMPLES if "urn:claimlint:837p" in e]
    status, report, _ = linted(tmp_path, example)
    assert status in (0, 1)
    assert report["summary"]["claims_checked"] == 1
    assert [f for f in report["findings"] if f["code"].startswith("STR")] == []


@pytest.mark.fault(98)
@pytest.mark.parametrize("dialect", XML_DIALECTS)
def test_a_finding_points_at_the_text_of_the_component(tmp_path: Path, dialect: str) -> None:
    text = xml_text([ROW | {"claim_id": c, "modifiers": m} for c, m in (("A", ["GP"]), ("B", ["GP", "Z9"]))], dialect)
    _, report, _ = linted(tmp_path, text)
    (found,) = [f for f in report["findings"] if f["code"] == "COD130"]
    line = text.splitlines()[found["line"] - 1]
    assert found["claim_id"] == "B"
    assert line[found["column"] - 1 : found["end_column"] - 1] == "Z9"


@pytest.mark.parametrize("dialect", XML_DIALECTS)
def test_a_document_on_one_line_points_at_the_same_values(tmp_path: Path, dialect: str) -> None:
    text = xml_text([ROW | {"claim_id": c, "modifiers": ["GP", "Z9"]} for c in "ABC"], dialect)
    flat = re.sub(r">\s+<", "><", text)
    assert flat.strip().count("\n") == 0
    _, report, _ = linted(tmp_path, flat)
    found = [f for f in report["findings"] if f["code"] == "COD130"]
    assert [f["claim_id"] for f in found] == ["A", "B", "C"]
    assert [flat[f["column"] - 1 : f["end_column"] - 1] for f in found] == ["Z9"] * 3
    assert len({f["column"] for f in found}) == 3


def test_lines_past_65535_are_right(tmp_path: Path) -> None:
    padding = "\n" * 70_000
    text = claims("A", modifiers="Z9").replace("<claims", padding + "<claims", 1)
    assert text.index("<claims") > 65_535
    _, report, _ = linted(tmp_path, text)
    (found,) = [f for f in report["findings"] if f["code"] == "COD130"]
    assert text.split("\n")[found["line"] - 1][found["column"] - 1 : found["end_column"] - 1] == "Z9"


def test_a_document_of_several_rounds_loses_no_claim() -> None:
    ids = [f"R-{n:05d}" for n in range(24_000)]
    data = claims(*ids).encode()
    assert len(data) > 2 * (1 << 22), "it must take more than one round"
    made = read(data, {})
    assert made.lines["claim_id"].to_list() == ids
    assert (made.claims, made.unreadable, made.problems) == (len(ids), [], [])


# --- how XML may be written -----------------------------------------------------------------------------------------


@pytest.mark.fault(98)
@pytest.mark.fault(99)
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace(' xmlns="', ' xmlns:a="').replace("<", "<a:").replace("<a:/", "</a:").replace("<a:?", "<?"),
        lambda t: t.replace("<e>97012</e>", "<e><!-- traction -->97<![CDATA[01]]><?pi?>2</e>"),
        lambda t: t.replace("97012", "<!-- traction -->97<![CDATA[01]]><?pi?>2"),
        lambda t: t.replace("97012", "\n    97012\n    "),
        lambda t: t.replace("97012", "&#x39;7012"),
        lambda t: t.replace("<claims", '<?xml-stylesheet href="http://example.invalid/x.xsl"?><claims'),
        lambda t: "\ufeff" + t,
    ],
    ids=["prefix", "comment", "cdata", "blanks", "character reference", "stylesheet PI", "byte-order mark"],
)
def test_xml_may_be_written_in_many_ways(change: Any) -> None:
    made = read(change(claims("A")).encode(), {})
    assert made.lines.select("claim_id", "procedure").rows() == [("A", "97012")]


@pytest.mark.fault(101)
@pytest.mark.parametrize(
    ("declared", "codec"),
    [("UTF-8", "utf-16"), ("UTF-8", "utf-16-le"), ("iso-8859-1", "latin-1"), ("UTF-8", "cp1252"), ("UTF-16", "utf-8")],
)
def test_the_encoding_is_told_by_the_bytes_where_the_declaration_is_wrong(declared: str, codec: str) -> None:
    text = claims("A", patient_last_name="MUÑOZ").replace('encoding="UTF-8"', f'encoding="{declared}"')
    made = read(text.encode(codec), {})
    assert made.lines.select("claim_id", "patient_last_name").rows() == [("A", "MUÑOZ")]


# --- broken and hostile documents -----------------------------------------------------------------------------------

BOMB = '<!DOCTYPE claims [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.fault(97)
@pytest.mark.parametrize(
    "declaration",
    [
        BOMB,
        '<!DOCTYPE claims SYSTEM "http://example.invalid/claims.dtd">',
        '<!DOCTYPE claims [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!-- first --><?and?>\n<!DOCTYPE claims [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]>',
    ],
    ids=["entities", "external DTD", "external entity", "parameter entity"],
)
def test_a_doctype_is_refused(tmp_path: Path, declaration: str) -> None:
    text = claims("A").replace("<claims", f"{declaration}\n<claims")
    status, _, messages = linted(tmp_path, text)
    assert status == 2
    assert "DOCTYPE refused" in messages


@pytest.mark.fault(97)
def test_xinclude_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("SECRET")
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="note.txt" parse="text"/>'
    text = claims("A").replace("<e>A</e>", f"<e>A{include}</e>")
    status, report, messages = linted(tmp_path, text)
    assert status in (0, 1)
    assert "SECRET" not in json.dumps(report) + messages


ROOT = "<claims xmlns='urn:claimlint:837p'>"


@pytest.mark.fault(102)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ROOT + "<x>" * 300 + "</x>" * 300 + "</claims>", "deeper than 256"),
        (ROOT + "<x>" * 100_000, "deeper than 256"),
        (f"{ROOT}<segment id='CLM'><e>{'x' * 11_000_000}</e></segment></claims>", "over 4 MB"),
        (f"{ROOT}<segment id='CLM'>{'<e/>' * 3_000_000}</segment></claims>", "over 4 MB"),
        (ROOT + "<segment id='CLM' " + " ".join(f"a{n}=''" for n in range(1_500_000)) + "/>", "over 10 MB"),
    ],
    ids=["300 levels", "100,000 levels", "long text", "long segment", "many attributes"],
)
def test_a_document_beyond_all_bounds_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotClaims, match=why):
        read(text.encode(), {})


@pytest.mark.fault(103)
@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('<Bundle xmlns="http://hl7.org/fhir"/>', "a FHIR resource"),
        ('<ClinicalDocument xmlns="urn:hl7-org:v3"/>', "(CDA)"),
        ("<html><body/></html>", "an HTML page"),
        ("<invoices><invoice/></invoices>", "<invoices> is no dialect"),
        ('<?xml version="1.0"?>', "not well-formed"),
    ],
)
def test_xml_that_is_no_claim_is_named(tmp_path: Path, document: str, said: str) -> None:
    status, _, messages = linted(tmp_path, document)
    assert status == 2
    assert said in messages


@pytest.mark.fault(103)
def test_an_unknown_dialect_tells_how_to_add_one(tmp_path: Path) -> None:
    _, _, messages = linted(tmp_path, "<invoices/>")
    assert "docs/xml-dialects.md" in messages
    assert all(name in messages for name in SHIPPED)


@pytest.mark.fault(103)
def test_an_institutional_claim_in_a_known_dialect_is_named(tmp_path: Path) -> None:
    text = claims("A").replace("005010X222A1", "005010X223A2").replace('"SV1"', '"SV2"')
    status, _, messages = linted(tmp_path, text)
    assert status == 2
    assert "institutional" in messages


@pytest.mark.fault(100)
@pytest.mark.parametrize("dialect", XML_DIALECTS)
@pytest.mark.parametrize("share", [0.55, 0.75, 0.9, 0.99])
def test_a_truncated_document_keeps_the_claims_before_the_break(tmp_path: Path, dialect: str, share: float) -> None:
    ids = [f"T-{n}" for n in range(20)]
    text = xml_text([ROW | {"claim_id": c} for c in ids], dialect)
    status, report, _ = linted(tmp_path, text[: int(len(text) * share)])
    summary = report["summary"]
    assert status == 1
    assert summary["claims_read"] == summary["claims_checked"] + summary["claims_unreadable"]
    assert summary["claims_checked"] == summary["claims_read"] - 1
    assert 20 * (share - 0.2) <= summary["claims_read"] <= 20
    assert any(f["code"] == "STR001" and "breaks off" in f["message"] for f in report["findings"])


@pytest.mark.fault(100)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<e>R-3</e>", "<e>R-3</f>", "does not match its start tag"),
        ("<e>R-3</e>", "<e>R-3</e", "does not end with >"),
        ("</claims>", "</claims><claims/>", "follows the end"),
    ],
)
def test_what_is_not_well_formed_is_named_by_line_and_the_rest_linted(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = claims("R-1", "R-2", "R-3").replace(old, new)
    line = text[: text.index(new)].count("\n") + 1
    status, report, messages = linted(tmp_path, text)
    assert status == 1
    told = [f for f in report["findings"] if f["code"] == "STR001" and said in f["message"]]
    assert [f["line"] for f in told] == [line], (report["findings"], messages)
    assert report["summary"]["claims_checked"] >= 1


@pytest.mark.parametrize("value", ["SMITH & SONS", "A&B;", "AGE < 5", "O&nbsp;K", "1 << 2 && x"])
@pytest.mark.parametrize("dialect", XML_DIALECTS)
def test_a_bare_ampersand_is_told_and_costs_no_claim(tmp_path: Path, dialect: str, value: str) -> None:
    rows = [ROW | {"claim_id": c, "line_note": f"NOTE OF {c}", "modifiers": ["GP", "Z9"]} for c in "ABC"]
    text = xml_text(rows, dialect).replace("NOTE OF B", value)
    status, report, _ = linted(tmp_path, text)
    assert (status, report["summary"]["claims_checked"]) == (1, 3)
    (told,) = [f for f in report["findings"] if f["code"] == "STR001"]
    lines = text.splitlines()
    assert value in lines[told["line"] - 1]
    marked = [f for f in report["findings"] if f["code"] == "COD130"]
    assert [lines[f["line"] - 1][f["column"] - 1 : f["end_column"] - 1] for f in marked] == ["Z9"] * 3
    assert value in read(text.encode(), {}).lines["line_note"].to_list()


def test_messages_show_nothing_of_a_broken_document(tmp_path: Path) -> None:
    text = claims("A", patient_last_name="SECRETNAME").replace("SECRETNAME", "SECRETNAME&x;<SECRETTAG")
    _, report, messages = linted(tmp_path, text)
    assert "SECRET" not in json.dumps(report) + messages


@pytest.mark.fault(104)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<xsl:value-of select=\"document('/etc/hostname')\"/>", "wrong failed"),
        ('<xsl:call-template name="segment"/>', "wrong failed"),
        ("<xsl:value-of select='missing()'/>", "wrong failed"),
        ("<xsl:value-of/>", "wrong.xsl cannot be used"),
        ("<xsl:text>SEGMENT&#10;</xsl:text>", "gives no segments"),
    ],
    ids=["reads a file", "endless recursion", "no such function", "no stylesheet", "other output"],
)
def test_a_dialect_with_a_mistake_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    sheet = (xml.DIALECTS / "claimlint.xsl").read_text(encoding="utf-8")
    head, start, _ = sheet.partition('<xsl:template name="segment"')
    tag = start + " match=\"*[local-name() = 'segment' and @id]\">"
    (tmp_path / "wrong.xsl").write_text(f"{head}{tag}{body}</xsl:template></xsl:stylesheet>", encoding="utf-8")
    monkeypatch.setattr(xml, "DIALECTS", tmp_path)
    with pytest.raises(NotClaims, match=re.escape(said)):
        read(claims(f"A {said}").encode(), {})


@pytest.mark.parametrize("cut", range(0, 4000, 37))
def test_bytes_changed_at_random_lose_no_claim_silently(cut: int) -> None:
    """Every claim that is begun is either linted or told, wherever a document is damaged."""
    data = claims("F-1", "F-2", "F-3").encode()
    at = cut % len(data)
    for damaged in (data[:at], data[:at] + b"<" + data[at:], data[:at] + b"\x00\xff" + data[at + 2 :], data[at:]):
        try:
            made = read(damaged, {})
        except NotClaims:
            continue
        assert made.claims == made.lines["at_claim"].n_unique() + len(made.unreadable)
        assert made.claims == 3 or made.problems


@pytest.mark.parametrize("name", ["x12_valid.xml", "x12_complex.xml", "837p-sample.xml"])
def test_real_documents_of_pyx12_are_counted_right(name: str) -> None:
    data = realdata(f"pyx12-xml/{name}")
    made = read(data, {})
    assert xml.segments(data).dialect == "pyx12"
    assert made.claims == len(re.findall(rb"<seg id=.CLM.", data))
    assert made.service_lines == len(re.findall(rb"<seg id=.SV1.", data))
    assert made.claims == made.lines["at_claim"].n_unique() + len(made.unreadable)


def test_a_real_document_of_oopfactory_is_counted_right() -> None:
    data = realdata("oopfactory/837P-sample-1.xml")
    made = read(data, {})
    assert xml.segments(data).dialect == "oopfactory"
    assert (made.claims, made.service_lines) == (data.count(b"<CLM>"), data.count(b"<SV1>"))


def test_a_real_institutional_document_is_named() -> None:
    with pytest.raises(NotClaims, match="institutional"):
        read(realdata("oopfactory/InstitutionalClaim5010.xml"), {})
