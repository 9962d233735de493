"""Write claims as files: service lines, as rows of text, become a CSV, an 837P or X12-like XML.

A row maps columns of `lines.COLUMNS` to text (lists for codes, diagnoses and pointers); what is missing or empty is
left out of the file. Rows of one claim stand together. An 837P also takes these keys, all optional:
`patient_is_subscriber` (`false` for a dependent), `relationship` (PAT01, 19 a child), `subscriber_last_name`,
`subscriber_first_name`, `billing_name`.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

from claimlint.lines import BY_NAME, COLUMNS, LIST_KINDS

Row: TypeAlias = Mapping[str, str | Sequence[str]]
Element: TypeAlias = str | Sequence[str]

XML_DIALECTS = ("claimlint", "pyx12", "oopfactory", "mirth")
_CREATED = ("20260202", "0800")
_PROVIDER = ("billing_npi", "billing_taxonomy", "billing_state", "billing_name")
_SUBSCRIBER = ("payer_name", "payer_id", "claim_filing_indicator", "payer_sequence", "member_id",
               "subscriber_last_name", "subscriber_first_name")  # fmt: skip
_PATIENT = ("patient_last_name", "patient_first_name", "patient_birth_date", "patient_is_subscriber", "relationship",
            "property_casualty_claim_number")  # fmt: skip
_COMPOSITES = {"CLM05", "CLM11", "SV101", "SV107", "SVD03", *(f"HI{n:02d}" for n in range(1, 13))}
# Facts that a claim and its lines can both carry; those of a group are written together.
_SHARED = (
    ("place_of_service",),
    ("initial_treatment_date",),
    ("attachment_type", "attachment_transmission", "attachment_control_number"),
    ("referral_number",),
    ("prior_authorization",),
    ("referring_npi",),
    ("rendering_npi", "rendering_taxonomy"),
)


def csv_text(rows: Sequence[Row], columns: Sequence[str] | None = None, headings: Sequence[str] | None = None) -> str:
    """A CSV of these columns (all that a row fills, by default) under these headings (the columns' names)."""
    columns = columns or [c.name for c in COLUMNS if any(row.get(c.name) for row in rows)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(headings or columns)
    writer.writerows([_cell(row.get(name, "")) for name in columns] for row in rows)
    return out.getvalue()


def _cell(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def x12_text(
    rows: Iterable[Row],
    *,
    delimiters: str = "*:~",
    newline: str = "\n",
    version: str = "005010X222A1",
    control_number: int = 1,
) -> str:
    """An 837P of one transaction set; see `x12_pieces`."""
    sets = [list(rows)]
    return "".join(
        x12_pieces(sets, delimiters=delimiters, newline=newline, version=version, control_number=control_number)
    )


def x12_pieces(
    sets: Iterable[Sequence[Row]],
    *,
    delimiters: str = "*:~",
    newline: str = "\n",
    version: str = "005010X222A1",
    control_number: int = 1,
) -> Iterator[str]:
    """An 837P interchange piece by piece, each of whole segments: a transaction set for each sequence of rows.

    `delimiters` are those of elements, components and segments. `control_number` (ISA13) should differ between files
    that are sent, or linted, together. Consecutive claims of one billing provider, subscriber or patient share its HL.
    Delimiters inside values become blanks. What 837P has no place for is left out: modifiers after the fourth, pointers
    after the twelfth.
    """
    element, component, terminator = list(delimiters)
    unsafe = re.compile(f"[{re.escape(delimiters)}^\\r\\n]")

    def joined(segment: Sequence[Element]) -> str:
        parts = []
        for value in segment:
            components = [value] if isinstance(value, str) else list(value)
            clean = [unsafe.sub(" ", c) for c in components]
            parts.append(component.join(clean).rstrip(component) if len(clean) > 1 else "".join(clean))
        return element.join(parts).rstrip(element)

    def piece(segments: Iterable[str]) -> str:
        return "".join(f"{s}{terminator}{newline}" for s in segments)

    date, time = _CREATED
    isa = ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{'SUBMITTER':15}", "ZZ", f"{'RECEIVER':15}", date[2:], time,
           "^", "00501", f"{control_number:09d}", "0", "P", component]  # fmt: skip
    group = ["GS", "HC", "SUBMITTER", "RECEIVER", date, time, "1", "X", version]
    yield piece([element.join(isa), joined(group)])
    number = 0
    for number, rows in enumerate(sets, 1):
        body = [joined(segment) for segment in _transaction(rows, f"{number:04d}", version)]
        yield piece([*body, joined(["SE", str(len(body) + 1), f"{number:04d}"])])
    yield piece([joined(["GE", str(number), "1"]), joined(["IEA", "1", f"{control_number:09d}"])])


def _transaction(rows: Sequence[Row], number: str, version: str) -> Iterable[list[Element]]:
    """The segments from ST to before SE."""
    date, time = _CREATED
    yield ["ST", "837", number, version]
    yield ["BHT", "0019", "00", "1", date, time, "CH"]
    yield ["NM1", "41", "2", "CLAIMLINT", "", "", "", "", "46", "SUBMITTER"]
    yield ["PER", "IC", "BILLING OFFICE", "TE", "6145550100"]
    yield ["NM1", "40", "2", "RECEIVER", "", "", "", "", "46", "RECEIVER"]
    levels = itertools.count(1)
    for _, provided in itertools.groupby(rows, lambda r: _key(r, _PROVIDER)):
        subscribers = [list(g) for _, g in itertools.groupby(provided, lambda r: _key(r, _SUBSCRIBER + _self(r)))]
        billing = next(levels)
        yield from _provider(billing, subscribers[0][0])
        for lines in subscribers:
            subscriber = next(levels)
            yield from _subscriber(subscriber, billing, lines[0])
            for _, own in itertools.groupby(lines, lambda r: _key(r, _PATIENT)):
                claims = [list(g) for _, g in itertools.groupby(own, lambda r: _text(r, "claim_id"))]
                if _is_dependent(lines[0]):
                    yield from _dependent(next(levels), subscriber, claims[0][0])
                for claim in claims:
                    yield from _claim(claim)


def _key(row: Row, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_text(row, name) for name in names)


def _self(row: Row) -> tuple[str, ...]:
    """Columns that also tell one subscriber from the next: his own where he is the patient."""
    return ("patient_is_subscriber",) if _is_dependent(row) else _PATIENT


def _is_dependent(row: Row) -> bool:
    return _text(row, "patient_is_subscriber") == "false"


def _text(row: Row, name: str) -> str:
    value = row.get(name, "")
    return value if isinstance(value, str) else ",".join(value)


def _items(row: Row, name: str) -> list[str]:
    value = row.get(name, "")
    return [value] * bool(value) if isinstance(value, str) else list(value)


def _date(text: str) -> str:
    """An ISO date as 837P writes it; anything else as it is."""
    return text.replace("-", "") if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text


def _amount(text: str) -> str:
    """A plain amount without its trailing zeros; anything else as it is."""
    return text.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d{1,2}", text) else text


def _person(kind: str, last: str, first: str, qualifier: str = "", code: str = "") -> list[Element]:
    return ["NM1", kind, "1", last, first, "", "", "", qualifier if code else "", code]


def _provider(number: int, row: Row) -> Iterable[list[Element]]:
    npi, taxonomy, state = (_text(row, f"billing_{k}") for k in ("npi", "taxonomy", "state"))
    yield ["HL", str(number), "", "20", "1"]
    if taxonomy:
        yield ["PRV", "BI", "PXC", taxonomy]
    name = _text(row, "billing_name") or "SAMPLE CLINIC"
    yield ["NM1", "85", "2", name, "", "", "", "", "XX" if npi else "", npi]
    yield ["N3", "100 SAMPLE STREET"]
    yield ["N4", "ANYTOWN", state, "432150001"]
    yield ["REF", "EI", "990000001"]


def _subscriber(number: int, parent: int, row: Row) -> Iterable[list[Element]]:
    dependent = _is_dependent(row)
    yield ["HL", str(number), str(parent), "22", "1" if dependent else "0"]
    own = "" if dependent else "18"
    yield ["SBR", _text(row, "payer_sequence"), own, "", "", "", "", "", "", _text(row, "claim_filing_indicator")]
    who = "subscriber" if dependent else "patient"
    last = _text(row, f"{who}_last_name") or _text(row, "patient_last_name")
    yield _person("IL", last, _text(row, f"{who}_first_name"), "MI", _text(row, "member_id"))
    if not dependent:
        yield from _demographics(row)
    payer = _text(row, "payer_id")
    yield ["NM1", "PR", "2", _text(row, "payer_name"), "", "", "", "", "PI" if payer else "", payer]


def _dependent(number: int, parent: int, row: Row) -> Iterable[list[Element]]:
    yield ["HL", str(number), str(parent), "23", "0"]
    yield ["PAT", _text(row, "relationship") or "19"]
    yield _person("QC", _text(row, "patient_last_name"), _text(row, "patient_first_name"))
    yield from _demographics(row)


def _demographics(row: Row) -> Iterable[list[Element]]:
    yield ["N3", "1 SAMPLE LANE"]
    yield ["N4", "ANYTOWN", _text(row, "billing_state") or "OH", "43215"]
    if birth := _date(_text(row, "patient_birth_date")):
        yield ["DMG", "D8", birth, "U"]
    if number := _text(row, "property_casualty_claim_number"):
        yield ["REF", "Y4", number]


def _claim(lines: list[Row]) -> Iterable[list[Element]]:
    """A claim from CLM to its last line. What its lines share stands on the claim; a line says where it differs."""
    row = lines[0]
    common: dict[str, str] = {}
    for names in _SHARED:
        first = _key(row, names)
        # A line that leaves a value out would inherit the claim's: then no claim-wide value is written.
        everywhere = all(all(v for v, f in zip(_key(r, names), first, strict=True) if f) for r in lines)
        common.update(zip(names, first if everywhere else [""] * len(first), strict=True))
    causes = [*_items(row, "related_causes")[:3], "", "", ""][:3]
    place = [common["place_of_service"], "B", _text(row, "frequency_code")]
    yield ["CLM", _text(row, "claim_id"), _amount(_text(row, "claim_charge")), "", "", place, "Y", "A", "Y", "Y", "",
           [*causes, _text(row, "accident_state")]]  # fmt: skip
    onset, accident = _text(row, "onset_date"), _text(row, "accident_date")
    for qualifier, text in (("431", onset), ("454", common["initial_treatment_date"]), ("439", accident)):
        if text:
            yield ["DTP", qualifier, "D8", _date(text)]
    yield from _attachment(_key(common, _SHARED[2]))
    if paid := _text(row, "patient_paid"):
        yield ["AMT", "F5", _amount(paid)]
    control = _text(row, "payer_claim_control_number")
    for qualifier, text in (("9F", common["referral_number"]), ("G1", common["prior_authorization"]), ("F8", control)):
        if text:
            yield ["REF", qualifier, text]
    if note := _text(row, "claim_note"):
        yield ["NTE", "ADD", note]
    yield from _diagnoses(row)
    if common["referring_npi"]:
        yield _person("DN", "REFERRER", "SAM", "XX", common["referring_npi"])
    yield from _rendering(_key(common, _SHARED[6]))
    if any(_text(line, "other_payer_paid") for line in lines):
        yield ["SBR", "P", "18", "", "", "", "", "", "", "CI"]
        yield ["OI", "", "", "Y", "", "", "Y"]
        yield ["NM1", "PR", "2", "FIRST PAYER", "", "", "", "", "PI", "FIRST"]
    for number, line in enumerate(lines, 1):
        yield from _line(number, line, common)


def _attachment(values: tuple[str, ...]) -> Iterable[list[Element]]:
    kind, transmission, control = values
    if any(values):
        yield ["PWK", kind, transmission, "", "", "AC" if control else "", control]


def _diagnoses(row: Row) -> Iterable[list[Element]]:
    codes = [re.sub(r"[.\s]", "", d) for d in _items(row, "diagnoses")]
    first = _text(row, "diagnosis_qualifier") or "ABK"
    other = first.replace("K", "F")
    pairs = [[other if i else first, code] for i, code in enumerate(codes)]
    for start in range(0, len(pairs), 12):
        yield ["HI", *pairs[start : start + 12]]


def _rendering(values: tuple[str, ...]) -> Iterable[list[Element]]:
    npi, taxonomy = values
    if any(values):
        yield _person("82", "THERAPIST", "TERRY", "XX", npi)
    if taxonomy:
        yield ["PRV", "PE", "PXC", taxonomy]


def _line(number: int, row: Row, common: Mapping[str, str]) -> Iterable[list[Element]]:
    def own(*names: str) -> tuple[str, ...]:
        """The values where one differs from the claim's, else blanks."""
        values = _key(row, names)
        return values if values != _key(common, names) else ("",) * len(values)

    modifiers = [*_items(row, "modifiers"), "", "", "", ""][:4]
    code = [_text(row, "procedure_qualifier") or "HC", _text(row, "procedure"), *modifiers]
    pointers = [_number(p) for p in _items(row, "pointers")[:12]]
    yield ["LX", _text(row, "service_line") or str(number)]
    yield ["SV1", [*code, _text(row, "procedure_description")], _amount(_text(row, "charge")), "UN",
           _text(row, "units"), own("place_of_service")[0], "", pointers or ""]  # fmt: skip
    yield from _attachment(own(*_SHARED[2]))
    first, last = _date(_text(row, "service_date")), _date(_text(row, "service_date_to"))
    if first:
        yield ["DTP", "472", "RD8" if last else "D8", f"{first}-{last}" if last else first]
    if treated := own("initial_treatment_date")[0]:
        yield ["DTP", "454", "D8", _date(treated)]
    for qualifier, name in (("G1", "prior_authorization"), ("9F", "referral_number")):
        if text := own(name)[0]:
            yield ["REF", qualifier, text]
    if note := _text(row, "line_note"):
        yield ["NTE", "ADD", note]
    yield from _rendering(own(*_SHARED[6]))
    if referring := own("referring_npi")[0]:
        yield _person("DN", "REFERRER", "SAM", "XX", referring)
    if paid := _text(row, "other_payer_paid"):
        yield ["SVD", "FIRST", _amount(paid), code, "", _text(row, "units")]


def _number(pointer: str) -> str:
    """A pointer as a number: CMS-1500 has letters, 837P has none."""
    at = "ABCDEFGHIJKL".find(pointer.upper())
    return str(at + 1) if len(pointer) == 1 and at >= 0 else pointer


def xml_text(claims: str | Sequence[Row], dialect: str = "claimlint") -> str:
    """X12-like XML of an 837P text (or of rows), in one of `XML_DIALECTS`."""
    return "".join(xml_pieces([claims if isinstance(claims, str) else x12_text(claims)], dialect))


def xml_pieces(pieces: Iterable[str], dialect: str = "claimlint") -> Iterator[str]:
    """X12-like XML of an 837P that comes in pieces of whole segments (`x12_pieces`)."""
    pieces = iter(pieces)
    first = next(pieces)
    element, component, terminator = first[3], first[104], first[105]
    head, write, foot = {
        "claimlint": ('<claims xmlns="urn:claimlint:837p">', _claimlint, "</claims>"),
        "pyx12": ("<x12simple>", _pyx12, "</x12simple>"),
        "oopfactory": (
            f"<Interchange segment-terminator={quoteattr(terminator)} element-separator={quoteattr(element)} "
            f"sub-element-separator={quoteattr(component)}>",
            _oopfactory,
            "</Interchange>",
        ),
        "mirth": (
            f"<X12Transaction segmentDelimiter={quoteattr(terminator)} elementDelimiter={quoteattr(element)} "
            f"subelementDelimiter={quoteattr(component)}>",
            _mirth,
            "</X12Transaction>",
        ),
    }[dialect]
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n'
    for piece in itertools.chain([first], pieces):
        segments = [s.strip("\r\n").split(element) for s in piece.split(terminator) if s.strip()]
        # In ISA the component separator is a value.
        cut = [
            (s[0], [[v] if s[0] == "ISA" or component not in v else v.split(component) for v in s[1:]])
            for s in segments
        ]
        yield "".join(f"{write(name, values)}\n" for name, values in cut)
    yield f"{foot}\n"


def _claimlint(name: str, elements: list[list[str]]) -> str:
    """Every element in order, empty ones too: `<segment id="CLM"><e>EX-1</e><e><c>11</c>…</e></segment>`."""
    out = []
    for parts in elements:
        inner = "".join(f"<c>{escape(p)}</c>" for p in parts) if len(parts) > 1 else escape(parts[0])
        out.append(f"<e>{inner}</e>" if inner else "<e/>")
    return f'  <segment id="{name}">{"".join(out)}</segment>'


def _pyx12(name: str, elements: list[list[str]]) -> str:
    """Elements by id, empty ones left out, as pyx12's x12xml writes them."""
    out = [f"  <seg id='{name}'>"]
    for n, parts in enumerate(elements, 1):
        at = f"{name}{n:02d}"
        if len(parts) > 1 or (parts[0] and at in _COMPOSITES):
            out.append(f"    <comp id='{name}'>")
            out += [f"      <subele id='{at}-{k:02d}'>{escape(p)}</subele>" for k, p in enumerate(parts, 1) if p]
            out.append("    </comp>")
        elif parts[0]:
            out.append(f"    <ele id='{at}'>{escape(parts[0])}</ele>")
    return "\n".join([*out, "  </seg>"])


def _oopfactory(name: str, elements: list[list[str]]) -> str:
    """Elements named `CLM01`, components `CLM0501`, as OopFactory's parser writes them."""
    out = []
    for n, parts in enumerate(elements, 1):
        at = f"{name}{n:02d}"
        inner = escape(parts[0])
        if len(parts) > 1:
            inner = "".join(f"<{at}{k:02d}>{escape(p)}</{at}{k:02d}>" for k, p in enumerate(parts, 1))
        out.append(f"<{at}>{inner}</{at}>")
    return f"  <{name}>{''.join(out)}</{name}>"


def _mirth(name: str, elements: list[list[str]]) -> str:
    """Elements named `CLM.1` with at least one component `CLM.1.1`, as NextGen (Mirth) Connect writes them."""
    out = []
    for n, parts in enumerate(elements, 1):
        at = f"{name}.{n}"
        inner = "".join(f"<{at}.{k}>{escape(p)}</{at}.{k}>" for k, p in enumerate(parts, 1))
        out.append(f"<{at}>{inner}</{at}>")
    return f"  <{name}>{''.join(out)}</{name}>"


assert all(BY_NAME[n].kind not in LIST_KINDS for names in _SHARED for n in names)
