"""The service-line table: one row per service line, with the claim's, subscriber's and payer's facts on it.

Every reader fills the columns of `COLUMNS` with text as it was written; `typed` turns them into the table that
rules see. This module is the one place that says what a column is called, what it means, where it stands in an
837P and under which headings a CSV export carries it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import polars as pl

Kind = Literal["text", "code", "date", "money", "number", "codes", "diagnoses", "pointers"]
Level = Literal["claim", "line", "provider", "subscriber", "patient"]


# What the values of a column are once they are `typed`; money is in US cents.
DTYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "code": pl.String(),
    "date": pl.Date(),
    "money": pl.Int64(),
    "number": pl.Float64(),
    "codes": pl.List(pl.String),
    "diagnoses": pl.List(pl.String),
    "pointers": pl.List(pl.Int8),
}


class At(NamedTuple):
    """Where a value stands in an 837P: loop, segment, its qualifier (element 1), element and component."""

    loop: str
    segment: str
    qualifiers: tuple[str, ...]
    element: int
    component: int
    last_component: int

    def __str__(self) -> str:
        qualifier = f"*{'/'.join(self.qualifiers)}" if self.qualifiers else ""
        component = f"-{self.component}" if self.component else ""
        through = f"..{self.last_component}" if self.last_component > self.component else ""
        return f"{self.loop} {self.segment}{qualifier} {self.segment}{self.element:02d}{component}{through}"


def _at(text: str) -> At:
    """Read `2400 SV1 1-2`, `2300 REF*G1 2` or `2400 SV1 1-3..6`: loop, segment*qualifier, element-components."""
    loop, segment, place = text.split()
    segment, _, qualifier = segment.partition("*")
    element, _, components = place.partition("-")
    first, _, last = components.partition("..")
    first_component = int(first or 0)
    qualifiers = tuple(qualifier.split("/")) if qualifier else ()
    return At(loop, segment, qualifiers, int(element), first_component, int(last or first_component))


class Column(NamedTuple):
    """One column of the service-line table.

    `x12` lists the places to look, first match wins; `headings` the CSV headings that mean it, beside its own
    name (case, blanks and punctuation aside). `phi` values are never shown unless asked for.
    """

    name: str
    kind: Kind
    level: Level
    doc: str
    x12: tuple[At, ...] = ()
    headings: tuple[str, ...] = ()
    phi: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Its name and headings as they are compared: lower case, letters and digits only."""
        return tuple(dict.fromkeys(heading_key(h) for h in (self.name, *self.headings)))


def heading_key(heading: str) -> str:
    """A heading as it is compared: lower case, letters and digits only (`Dx 1.` and `dx1` are one)."""
    return re.sub(r"[^a-z0-9]", "", heading.lower())


def _column(
    name: str, kind: Kind, level: Level, doc: str, x12: str = "", headings: str = "", phi: bool = False
) -> Column:
    places = tuple(_at(p) for p in x12.split("; ") if p)
    return Column(name, kind, level, doc, places, tuple(h for h in headings.split("; ") if h), phi)


COLUMNS: tuple[Column, ...] = (
    _column("claim_id", "text", "claim", "Patient control number of the claim.", "2300 CLM 1",
            "Claim #; Claim No; Claim Number; Claim; Acct No; Account Number; Account; Patient Account; Encounter; "
            "Encounter ID; Invoice; Patient Control Number; Box 26; 26; 26 Patient Account No"),
    _column("claim_charge", "money", "claim", "The claim's total charge, US cents.", "2300 CLM 2",
            "Total Charge; Claim Total; Total Charges; Claim Charge; Total Billed; Box 28; 28; 28 Total Charge"),
    _column("place_of_service", "code", "line", "CMS place-of-service code.", "2400 SV1 5; 2300 CLM 5-1",
            "POS; Place of Svc; Place of Service Code; Svc Place; Box 24B; 24B; 24B Place of Service"),
    _column("frequency_code", "code", "claim", "Claim frequency: 1 original, 7 replacement, 8 void.",
            "2300 CLM 5-3", "Frequency; Claim Frequency; Resubmission Code; Box 22; 22 Resubmission Code"),
    _column("related_causes", "codes", "claim", "Related causes: AA auto, EM employment, OA other accident.",
            "2300 CLM 11-1..3", "Related Cause; Accident Type; Box 10; 10 Related To; Condition Related To"),
    _column("accident_state", "code", "claim", "State of the auto accident (two letters).", "2300 CLM 11-4",
            "Auto Accident State; Box 10b State; 10b State"),
    _column("accident_date", "date", "claim", "Date of the accident or injury.", "2300 DTP*439 3",
            "Injury Date; Date of Injury; DOI; Accident Dt"),
    _column("onset_date", "date", "claim", "Onset of the current illness or symptom.", "2300 DTP*431 3",
            "Onset; Onset of Current Illness; Illness Date; Box 14; 14 Date of Current Illness; Symptom Date"),
    _column("initial_treatment_date", "date", "claim", "Date of the initial treatment.",
            "2400 DTP*454 3; 2300 DTP*454 3", "Initial Treatment; First Treatment Date; Box 15; 15 Other Date"),
    _column("prior_authorization", "text", "line", "Prior authorization number: the line's, else the claim's.",
            "2400 REF*G1 2; 2300 REF*G1 2",
            "Prior Auth; Auth #; Auth No; Auth Number; Authorization; Authorization Number; Authorization #; "
            "Prior Authorization Number; Prior Auth #; Precert; Precert #; Precertification; Box 23; 23; "
            "23 Prior Authorization Number"),
    _column("referral_number", "text", "line", "Referral number: the line's, else the claim's.",
            "2400 REF*9F 2; 2300 REF*9F 2", "Referral; Referral #; Referral No"),
    _column("payer_claim_control_number", "text", "claim", "The payer's number of the claim that is replaced.",
            "2300 REF*F8 2", "Original Ref; Original Reference; Original Ref No; ICN; DCN; 22 Original Ref No"),
    _column("attachment_type", "code", "line", "Report type of an attachment (PWK01).", "2400 PWK 1; 2300 PWK 1",
            "PWK Type; Report Type; Attachment Report Type"),
    _column("attachment_transmission", "code", "line", "How an attachment is sent (PWK02).",
            "2400 PWK 2; 2300 PWK 2", "PWK Transmission; Attachment Method; Transmission Code"),
    _column("attachment_control_number", "text", "line", "Control number of an attachment (PWK06).",
            "2400 PWK 6; 2300 PWK 6", "Attachment Control; Attachment #; PWK Control Number; ACN; Note Reference; "
            "Documentation Reference"),
    _column("claim_note", "text", "claim", "The claim's note.", "2300 NTE 2",
            "Note; Notes; Claim Notes; Remarks; Box 19; 19; 19 Additional Claim Information", phi=True),
    _column("diagnoses", "diagnoses", "claim", "ICD-10-CM diagnoses in order, without dots.", "2300 HI 1-2",
            "Diagnosis; Diagnosis Codes; Dx; Dx Codes; ICD10; ICD-10; ICD; ICD Codes; ICD10 Codes; Box 21; 21"),
    _column("diagnosis_qualifier", "code", "claim", "ABK ICD-10-CM, BK ICD-9-CM, as written for the first.",
            "2300 HI 1-1", "ICD Ind; ICD Indicator; 21 ICD Ind"),
    _column("other_payer_paid", "money", "line", "What the payer before this one paid, US cents: 0 where it refused.",
            "2430 SVD 2; 2320 AMT*D 2",
            "Primary Paid; Prior Payer Paid; Prior Payment; Primary Payment; COB Paid; COB Amount; Ins 1 Paid"),
    _column("patient_paid", "money", "claim", "Amount that the patient paid, US cents.", "2300 AMT*F5 2",
            "Amount Paid; Patient Payment; Pt Paid; Copay Paid; Box 29; 29; 29 Amount Paid"),
    _column("referring_npi", "code", "line", "NPI of the referring or ordering provider.",
            "2420E NM1*DK 9; 2420F NM1*DN 9; 2310A NM1*DN 9",
            "Referring; Referring Provider NPI; Ordering NPI; Ordering Provider NPI; Box 17b; 17b; 17b NPI"),
    _column("rendering_npi", "code", "line", "NPI of the rendering provider: the line's, else the claim's.",
            "2420A NM1*82 9; 2310B NM1*82 9",
            "Rendering; Rendering Provider NPI; Provider NPI; Treating NPI; Box 24J; 24J; 24J Rendering Provider ID"),
    _column("rendering_taxonomy", "code", "line", "Taxonomy code of the rendering provider.",
            "2420A PRV*PE 3; 2310B PRV*PE 3", "Taxonomy; Provider Taxonomy; Rendering Provider Taxonomy"),
    _column("billing_npi", "code", "provider", "NPI of the billing provider.", "2010AA NM1*85 9",
            "Billing Provider NPI; Group NPI; Facility NPI; Box 33a; 33a; 33a NPI"),
    _column("billing_taxonomy", "code", "provider", "Taxonomy code of the billing provider.", "2000A PRV*BI 3",
            "Billing Provider Taxonomy; Group Taxonomy"),
    _column("billing_state", "code", "provider", "State of the billing provider (two letters).", "2010AA N4 2",
            "State; Provider State; Billing Provider State; Practice State"),
    _column("payer_name", "text", "subscriber", "Name of the payer.", "2010BB NM1*PR 3",
            "Payer; Insurance; Insurance Name; Ins Name; Carrier; Insurance Company; Plan; Plan Name; Primary Payer; "
            "Primary Insurance; Box 11c; 11c; 11c Insurance Plan Name"),
    _column("payer_id", "text", "subscriber", "The payer's identifier.", "2010BB NM1*PR 9",
            "Payer Identifier; Payer Number; Payer Code; Electronic Payer ID; EDI Payer ID; Insurance ID"),
    _column("claim_filing_indicator", "code", "subscriber", "Claim filing indicator (MB, 16, MC, CI, BL, WC, AM …).",
            "2000B SBR 9", "Filing Indicator; Ins Type; Insurance Type; Payer Type; Plan Type; Financial Class; "
            "Payer Class; Box 1; 1 Insurance Type"),
    _column("payer_sequence", "code", "subscriber", "P primary, S secondary, T tertiary.", "2000B SBR 1",
            "Payer Responsibility; Insurance Order; Coverage Order; Payer Order"),
    _column("member_id", "code", "subscriber", "The subscriber's member id.", "2010BA NM1*IL 9",
            "Insured ID; Subscriber ID; Policy Number; Policy #; Member Number; Member #; Insured ID Number; Box 1a; "
            "1a; 1a Insured ID Number; Medicare Number; MBI", phi=True),
    _column("property_casualty_claim_number", "text", "patient", "Claim number of a liability or injury insurer.",
            "2010CA REF*Y4 2; 2010BA REF*Y4 2", "P&C Claim Number; WC Claim Number; Auto Claim Number; Injury Claim #; "
            "Adjuster Claim Number", phi=True),
    _column("patient_last_name", "text", "patient", "The patient's last name.", "2010CA NM1*QC 3; 2010BA NM1*IL 3",
            "Last Name; Patient Last; Patient; Patient Name; Box 2; 2; 2 Patient Name; Pt Name", phi=True),
    _column("patient_first_name", "text", "patient", "The patient's first name.",
            "2010CA NM1*QC 4; 2010BA NM1*IL 4", "First Name; Patient First", phi=True),
    _column("patient_birth_date", "date", "patient", "The patient's date of birth.",
            "2010CA DMG 2; 2010BA DMG 2", "DOB; Birth Date; Date of Birth; Patient DOB; Box 3; 3; 3 Birth Date; "
            "3 Patient Birth Date", phi=True),
    _column("service_line", "text", "line", "The line's number on the claim.", "2400 LX 1",
            "Line; Line #; Line No; Line Number; Svc Line; Service Line Number"),
    _column("service_date", "date", "line", "Date of service, first day.", "2400 DTP*472 3; 2300 DTP*472 3",
            "DOS; Date of Service; From Date; Service Date From; DOS From; From DOS; Svc Date; Date From; Box 24A; "
            "24A; 24A From; 24A Date of Service"),
    _column("service_date_to", "date", "line", "Date of service, last day.", "",
            "To Date; Service Date To; DOS To; Thru Date; Through Date; Date To; 24A To"),
    _column("procedure_qualifier", "code", "line", "HC for a CPT or HCPCS code.", "2400 SV1 1-1"),
    _column("procedure", "code", "line", "CPT or HCPCS code.", "2400 SV1 1-2",
            "CPT; HCPCS; Proc Code; Procedure Code; CPT Code; CPT/HCPCS; HCPCS Code; Service Code; Proc; Code; "
            "Box 24D; 24D; 24D Procedure"),
    _column("modifiers", "codes", "line", "Modifiers in order, at most four.", "2400 SV1 1-3..6",
            "Modifier; Mods; Mod; 24D Modifier; 24D Modifiers; Procedure Modifiers"),
    _column("procedure_description", "text", "line", "Description of an unlisted procedure.", "2400 SV1 1-7",
            "Description; Proc Description; Service Description; CPT Description"),
    _column("charge", "money", "line", "The line's charge, US cents.", "2400 SV1 2",
            "Charge Amt; Charge Amount; Charges; Line Charge; Amount; Billed; Billed Amount; Fee; Box 24F; 24F; "
            "24F Charges"),
    _column("units", "number", "line", "Units of service.", "2400 SV1 4",
            "Qty; Quantity; Unit; Days or Units; Svc Units; Service Units; Box 24G; 24G; 24G Units; 24G Days or Units"),
    _column("minutes", "number", "line", "Minutes of the service on this line, where the export has them.", "",
            "Mins; Line Minutes; Service Minutes; Treatment Minutes; Timed Minutes; Time Minutes"),
    _column("pointers", "pointers", "line", "Numbers (1-12) of the diagnoses that the line points at.",
            "2400 SV1 7-1..12", "Diag Ptr; Dx Ptr; Pointer; Dx Pointer; Diagnosis Pointer; Diagnosis Pointers; "
            "Diag Pointer; Ptr; Ptrs; Pointers; Box 24E; 24E; 24E Diagnosis Pointer"),
    _column("line_note", "text", "line", "The line's note.", "2400 NTE 2", "Line Notes; Service Note; Svc Note",
            phi=True),
)  # fmt: skip
BY_NAME: dict[str, Column] = {c.name: c for c in COLUMNS}

# A CSV cannot be linted at all without these; everything else that is missing only leaves rules unchecked.
NEEDED = ("claim_id", "procedure", "service_date", "charge")

# What readers add to say where a row came from: `at_*` are byte offsets of the segment that opens the level (X12 and
# XML) or row ordinals (CSV); -1 where there is none.
POSITIONS = ("claim_no", "at_claim", "at_line", "at_provider", "at_subscriber", "at_patient")

LIST_KINDS = ("codes", "diagnoses", "pointers")
_FEW = 2000  # values, up to which it is quicker to look at each than at each once
# What is kept as it was written too.
_ALSO_AS_TEXT: dict[Kind, pl.DataType] = {
    "date": pl.String(),
    "money": pl.String(),
    "number": pl.String(),
    "diagnoses": pl.List(pl.String),
}


def parse_money(text: pl.Expr) -> pl.Expr:
    """US cents (Int64) of an amount such as `65`, `65.00`, `$1,234.50`; null where it is not exactly one."""
    plain = text.str.replace(r"^(-?)\$", "$1").str.replace_all(r"([0-9]),([0-9]{3})\b", "$1$2")
    ok = plain.str.contains(r"^-?([0-9]{1,12}(\.[0-9]{0,2}0*)?|\.[0-9]{1,2}0*)$")
    return pl.when(ok).then((plain.cast(pl.Float64, strict=False) * 100).round().cast(pl.Int64, strict=False))


def parse_number(text: pl.Expr) -> pl.Expr:
    """A plain decimal number (Float64) or null."""
    number = text.str.contains(r"^-?([0-9]{1,9}(\.[0-9]*)?|\.[0-9]+)$")
    return pl.when(number).then(text.cast(pl.Float64, strict=False))


def parse_date(text: pl.Expr, *, compact_only: bool, day_first: bool = False) -> pl.Expr:
    """The Date of `20260105` and, unless `compact_only`, of ISO, US, Excel-serial and `5-Jan-26` spellings; else null.

    Two-digit years are of 2000-2068 unless that lies in a far future: 69-99 are of 1969-1999.
    """
    compact = text.str.contains(r"^[0-9]{8}$")
    result = pl.when(compact).then(text.str.to_date("%Y%m%d", strict=False))
    if compact_only:
        return result
    day = text.str.replace(r"[ T][0-9]{1,2}:[0-9][0-9](:[0-9][0-9](\.[0-9]+)?)?( ?[AaPp][Mm])?$", "")
    month_first, short = ("%d/%m/%Y", "%d/%m/%y") if day_first else ("%m/%d/%Y", "%m/%d/%y")
    slashed = day.str.replace_all(r"[-.]", "/")
    named = day.str.replace_all(r"[-/., ]+", " ")  # 5-Jan-26, as spreadsheets show it; Jan 5, 2026
    serial = day.str.extract(r"^([34][0-9]{4})(?:\.0)?$").cast(pl.Int32, strict=False)
    return (
        result.when(day.str.contains(r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"))
        .then(day.str.to_date("%Y-%m-%d", strict=False))
        .when(slashed.str.contains(r"^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}$"))
        .then(slashed.str.to_date(month_first, strict=False))
        .when(slashed.str.contains(r"^[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}$"))
        .then(slashed.str.to_date(short, strict=False))
        .when(named.str.contains(r"^[0-9]{1,2} [A-Za-z]{3} [0-9]{4}$"))
        .then(named.str.to_date("%d %b %Y", strict=False))
        .when(named.str.contains(r"^[0-9]{1,2} [A-Za-z]{3} [0-9]{2}$"))
        .then(named.str.to_date("%d %b %y", strict=False))
        .when(named.str.contains(r"^[A-Za-z]{3} [0-9]{1,2} [0-9]{4}$"))
        .then(named.str.to_date("%b %d %Y", strict=False))
        .when(serial.is_not_null())
        .then(pl.date(1899, 12, 30) + pl.duration(days=serial))
    )


def nulls(dtypes: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """Columns that say nothing: as literals they need no memory, however many lines there are."""
    return [pl.lit(None, dtype).alias(name) for name, dtype in dtypes.items()]


def typed(raw: pl.DataFrame, columns: tuple[Column, ...], *, compact_dates: bool, day_first: bool) -> pl.DataFrame:
    """The table rules see, from a reader's text.

    `raw` has String columns (List[String] for lists) named as in `columns`, missing ones allowed, and any others,
    which pass through. The result has every column of `columns`: Date, Int64 (US cents), Float64, String, or
    List[String]; pointers List[Int8] (0 for what is no pointer). Dates, amounts and numbers also keep `<name>_text`,
    diagnoses `diagnoses_text`, as they were written. `compact_dates`: values are spelled as in X12.
    """
    blank = [c for c in columns if c.name not in raw.columns or raw[c.name].null_count() == raw.height]
    filled = [c for c in columns if c not in blank]
    scalars = [c for c in filled if c.kind not in LIST_KINDS]
    # In steps, since a query works out anew what an expression says twice.
    table = raw.with_columns(_stripped(c) for c in scalars)
    table = table.with_columns(pl.when(pl.col(c.name) != "").then(c.name) for c in scalars)
    parsers: dict[Kind, Callable[[pl.Expr], pl.Expr]] = {
        "money": parse_money,
        "number": parse_number,
        "date": functools.partial(parse_date, compact_only=compact_dates, day_first=day_first),
    }
    out: list[pl.Expr | pl.Series] = []
    out += nulls({c.name: DTYPES[c.kind] for c in blank})
    out += nulls({f"{c.name}_text": _ALSO_AS_TEXT[c.kind] for c in blank if c.kind in _ALSO_AS_TEXT})
    for c in filled:
        values = table[c.name]
        if c.kind in LIST_KINDS:
            values = _entries(values)
        if c.kind in _ALSO_AS_TEXT:
            out.append(values.alias(f"{c.name}_text"))
        if c.kind == "diagnoses":
            values = _undotted(values)
        elif c.kind == "pointers":
            values = _pointers(values, letters=not compact_dates)
        parse = parsers.get(c.kind)
        if parse and raw.height <= _FEW:
            out.append(parse(pl.col(c.name)))
        else:
            out.append(_by_value(values, parse) if parse else values)
    return table.with_columns(out)


def _stripped(column: Column) -> pl.Expr:
    """The column without the blanks around its values; upper case for codes."""
    value = pl.col(column.name).str.strip_chars()
    return value.str.to_uppercase() if column.kind == "code" else value


def _by_value(texts: pl.Series, parse: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """What the texts say. Each is looked at once: thousands of lines have the same few dates and amounts."""
    each = texts.unique().to_frame().with_columns(parse(pl.col(texts.name)).alias(" "))
    return texts.to_frame().join(each, on=texts.name, how="left", maintain_order="left")[" "].alias(texts.name)


def _entries(lists: pl.Series) -> pl.Series:
    """Lists of codes, without blanks around or in the place of an entry, upper case; nothing left is null."""
    entries = lists.explode().alias("entry")
    count = lists.to_frame("list").select_seq(pl.col("list").list.len().fill_null(0)).to_series()
    clean = pl.col("entry").str.strip_chars().str.to_uppercase()
    odd = entries.to_frame().select_seq(((clean != pl.col("entry")) | (clean == "")).any()).item()
    # Mostly nothing is to be done, and to see that is a fifth of the work.
    if odd or entries.null_count() > (count == 0).sum():
        each = pl.element().str.strip_chars().str.to_uppercase()
        lists = lists.list.eval(pl.when(each != "").then(each)).list.drop_nulls()
        count = lists.list.len().fill_null(0)
    return pl.select(pl.when(count > 0).then(lists)).to_series() if (count == 0).any() else lists


def _undotted(lists: pl.Series) -> pl.Series:
    dotted = lists.explode().str.contains(r"[.\s]").any()
    return lists.list.eval(pl.element().str.replace_all(r"[.\s]", "")) if dotted else lists


def _pointers(lists: pl.Series, *, letters: bool) -> pl.Series:
    entries = lists.explode()
    if entries.cast(pl.Int8, strict=False).null_count() == entries.null_count():
        return lists.cast(pl.List(pl.Int8))
    number = pl.element().cast(pl.Int8, strict=False)
    # CMS-1500 has letters, 837P numbers only.
    of_letter = {k: i for i, k in enumerate("ABCDEFGHIJKL", 1)} if letters else {}
    letter = pl.element().replace_strict(of_letter, default=None, return_dtype=pl.Int8)
    return lists.list.eval(pl.coalesce(number, letter, pl.lit(0, pl.Int8)))
