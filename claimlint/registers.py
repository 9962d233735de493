"""The registers that may stand beside the claims: authorizations obtained, what the chart documents, and the fees.

Each is a small CSV, read as claims are. `join` puts what they say on every service line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from claimlint import lines as schema
from claimlint.lines import Column, Kind
from claimlint.readers import NotClaims, Problem


def _column(name: str, kind: Kind, doc: str, headings: str = "", phi: bool = False) -> Column:
    return Column(name, kind, "line", doc, (), tuple(h for h in headings.split("; ") if h), phi)


_MEMBER = (
    "Insured ID; Subscriber ID; Policy Number; Policy #; Member Number; Member #; Member; Patient ID; Medicare Number; "
    "MBI; Box 1a; 1a"
)
AUTHORIZATIONS: tuple[Column, ...] = (
    _column("authorization_number", "text", "The number that the payer gave.",
            "Authorization; Authorization #; Authorization No; Auth; Auth #; Auth No; Auth Number; Auth ID; "
            "Prior Auth; Prior Auth #; Prior Auth Number; Prior Authorization; Prior Authorization Number; "
            "Precert; Precert #; Precertification; Reference Number; Number; Box 23"),
    _column("member_id", "code", "The member it is for.", _MEMBER, phi=True),
    _column("payer_name", "text", "The payer that gave it.",
            "Payer; Insurance; Insurance Name; Carrier; Plan; Plan Name"),
    _column("payer_id", "text", "The payer's identifier.", "Payer Identifier; Payer Number; Payer Code"),
    _column("billing_npi", "code", "NPI of the provider it is given to.",
            "NPI; Billing Provider NPI; Group NPI; Provider NPI; Facility NPI; Requesting NPI"),
    _column("procedures", "codes", "The codes it covers; none means any.",
            "Procedure; Procedure Code; Procedure Codes; CPT; CPT Code; CPT Codes; CPTs; HCPCS; Code; Codes; Services; "
            "Authorized Codes; Approved Codes"),
    _column("valid_from", "date", "Its first day.",
            "From; From Date; Start; Start Date; Effective; Effective Date; Effective From; Begin Date; Valid Start"),
    _column("valid_to", "date", "Its last day.",
            "To; To Date; Through; Thru; Thru Date; End; End Date; Expires; Expiration; Expiration Date; Expiry; "
            "Expiry Date; Effective To; Valid Through; Valid Until; Valid End; Term Date"),
    _column("visits", "number", "How many visits or units it allows.",
            "Visits Authorized; Authorized Visits; Approved Visits; Visits Approved; Visit Count; Number of Visits; "
            "# Visits; No of Visits; Units; Authorized Units; Approved Units; Quantity; Qty; Limit"),
    _column("approved_date", "date", "The day it was approved.",
            "Approved; Approval Date; Date Approved; Decision Date; Determination Date; Issued; Issue Date"),
)  # fmt: skip
DOCUMENTATION: tuple[Column, ...] = (
    _column("member_id", "code", "The member that the note is about.", _MEMBER, phi=True),
    _column("claim_id", "text", "The claim it belongs to, where known.",
            "Claim #; Claim No; Claim Number; Claim; Account; Acct No; Account Number; Encounter; Encounter ID; "
            "Patient Control Number"),
    _column("service_date", "date", "The day of the session.",
            "DOS; Date of Service; Service Dt; Svc Date; Date; Visit Date; Session Date; Session; Encounter Date; "
            "Appointment Date"),
    _column("note_signed", "date", "The day on which the session's note was signed.",
            "Signed; Signed Date; Date Signed; Signature Date; Note Signed Date; Note Signed On; Signed On"),
    _column("note_reference", "text", "Where the note is found.",
            "Note; Note #; Note ID; Note No; Note Number; Document; Document ID; Reference; Documentation Reference; "
            "Attachment Control Number"),
    _column("plan_of_care_start", "date", "First day of the plan of care.",
            "POC Start; POC Start Date; POC From; Plan of Care From; Plan of Care Start Date; Plan Start; "
            "Care Plan Start; Treatment Plan Start"),
    _column("plan_of_care_end", "date", "Last day of the plan of care.",
            "POC End; POC End Date; POC To; POC Through; Plan of Care To; Plan of Care Through; Plan of Care End Date; "
            "Plan End; Care Plan End; Treatment Plan End"),
    _column("plan_of_care_certified", "date", "The day on which the plan of care was certified.",
            "POC Certified; POC Certified Date; POC Certification Date; POC Signed; POC Cert; Certified; "
            "Certification Date; Plan of Care Certified Date; Plan of Care Signed; Plan Certified"),
    _column("plan_of_care_visits", "number", "How many visits the plan of care orders.",
            "POC Visits; Plan Visits; Ordered Visits; Visits Ordered; Plan of Care Sessions; Planned Visits"),
    _column("plan_of_care_per_week", "number", "How many visits a week the plan of care orders.",
            "POC Frequency; Plan Frequency; Visits Per Week; Times Per Week; Frequency Per Week"),
    _column("conservative_care_start", "date", "First day of conservative care.",
            "Conservative Start; Conservative Care From; Conservative Care Start Date; Conservative Treatment Start; "
            "CC Start"),
    _column("conservative_care_end", "date", "Last day of conservative care.",
            "Conservative End; Conservative Care To; Conservative Care End Date; Conservative Care Through; "
            "Conservative Treatment End; CC End"),
    _column("conservative_care_outcome", "text", "What came of conservative care: failed, improved, …",
            "Conservative Outcome; Conservative Care Result; Conservative Treatment Outcome; Conservative Care; "
            "CC Outcome; CC Result"),
    _column("imaging", "text", "Whether there is imaging, or what it found.",
            "MRI; Imaging Findings; Imaging Result; Imaging Report; MRI Findings; MRI Result; Imaging Done; X-ray; CT"),
    _column("imaging_date", "date", "The day of the imaging.", "MRI Date; Date of Imaging; Date of MRI; X-ray Date"),
    _column("minutes", "number", "Minutes of treatment in the session.",
            "Mins; Min; Time; Total Minutes; Treatment Minutes; Timed Minutes; Duration; Session Minutes; Total Time"),
    _column("functional_score", "number", "Functional score of the day (such as Oswestry).",
            "Score; Functional; ODI; Oswestry; Oswestry Score; NDI; Outcome Score; Functional Outcome; PSFS; FOTO"),
    _column("functional_measure", "text", "Which measure the score is of: ODI, NDI, PSFS, …",
            "Measure; Outcome Measure; Functional Tool; Score Type; Instrument"),
    _column("progress_report_date", "date", "The day of the latest progress report.",
            "Progress Report; Progress Note; Progress Note Date; Last Progress Report; PR Date; Reevaluation Date; "
            "Re-eval Date"),
    _column("notice_date", "date", "The day on which the patient signed an ABN or waiver.",
            "ABN; ABN Date; ABN Signed; ABN Signed Date; Notice; Notice Signed; Waiver; Waiver Date; Waiver Signed"),
    _column("estimate_date", "date", "The day of the good-faith estimate.",
            "GFE; GFE Date; Estimate; Good Faith Estimate; Good Faith Estimate Date; GFE Signed"),
    _column("letter_date", "date", "The day of the letter of medical necessity.",
            "LMN; LMN Date; Letter; Letter of Medical Necessity; Letter of Medical Necessity Date; Necessity Letter"),
    _column("package", "text", "The prepaid package that the session is of, where it is.",
            "Package; Prepaid Package; Package ID; Package Name; Prepaid; Plan Package"),
    _column("narrative", "text", "The text of the session's note.",
            "Note Text; Note Body; Session Note; Progress Note Text; Daily Note", phi=True),
    _column("start_time", "text", "When the session began (24 hours, HH:MM).",
            "Start Time; Time In; Begin Time; Session Start; In Time"),
    _column("end_time", "text", "When the session ended (24 hours, HH:MM).",
            "End Time; Time Out; Session End; Out Time"),
    _column("service_performed", "text", "What was done, in the chart's words.",
            "Service; Services; Services Performed; Treatment; Treatment Performed; Modality; Procedure Performed; "
            "Device; Performed; What Was Done; Procedure; Description"),
)  # fmt: skip
FEES: tuple[Column, ...] = (
    _column("procedure", "code", "The code.", "Procedure Code; CPT; CPT Code; HCPCS; HCPCS Code; Code; Service Code"),
    _column("charge", "money", "What is charged for a unit (USD).",
            "Fee; Fees; Standard Fee; Standard Charge; Charge Amount; UCR; Unit Charge; Price; Amount"),
    _column("cash_price", "money", "What a unit costs a patient who pays cash (USD).",
            "Cash; Self Pay; Self-Pay Price; Cash Fee; Cash Rate; Discount Price; Prompt Pay Price"),
    _column("payer_class", "text", "The payer class that the row is for; none means any.",
            "Class; Payer Type; Financial Class; Plan Type"),
    _column("effective_from", "date", "Its first day.",
            "From; Start; Start Date; Effective; Effective Date; Begin Date"),
    _column("effective_to", "date", "Its last day.", "To; Through; End; End Date; Expires; Term Date"),
)  # fmt: skip

# Facts about the member that hold until a later entry changes them. A group is taken from one entry, so that no plan
# of care is certified by the date of another; within it, entries of one plan (its first column) complete each other.
_STANDING: tuple[tuple[str, ...], ...] = (
    ("plan_of_care_start", "plan_of_care_end", "plan_of_care_certified", "plan_of_care_visits",
     "plan_of_care_per_week"),
    ("conservative_care_start", "conservative_care_end", "conservative_care_outcome"),
    ("imaging_date", "imaging"),
    ("notice_date",),
    ("estimate_date",),
    ("letter_date",),
    ("progress_report_date",),
)  # fmt: skip


@dataclass(frozen=True)
class Register:
    """A register, read: its typed table, the columns it has, and what was noticed."""

    name: str
    table: pl.DataFrame
    columns: frozenset[str]
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Registers(NamedTuple):
    """The registers of a run, as far as they were given."""

    authorizations: Register | None = None
    documentation: Register | None = None
    fees: Register | None = None


# By the prefix that its columns have on a service line: which register, what it is called, its columns, and those of
# them without which it is none.
KINDS: Mapping[str, tuple[str, str, tuple[Column, ...], tuple[str, ...]]] = {
    "auth_": ("authorizations", "register of authorizations", AUTHORIZATIONS, ("authorization_number",)),
    "doc_": ("documentation", "register of session documentation", DOCUMENTATION, ("member_id", "service_date")),
    "fee_": ("fees", "fee schedule", FEES, ("procedure", "charge")),
}
_NONE: Mapping[str, str] = MappingProxyType({})


def recognise(data: bytes) -> str | None:
    """What to say of bytes that could not be read as claims, where they have more of the headings of a register."""
    if prefix := kind_of(data):
        kind, what, *_ = KINDS[prefix]
        return f"this looks like a {what}, not claims; give it with --{kind}"
    return None


def kind_of(data: bytes) -> str | None:
    """Which register (a key of `KINDS`) these bytes are, by their headings; None if they look more like claims."""
    from claimlint.readers.sheet import open_sheet  # tables are read by few runs

    def known(columns: tuple[Column, ...], *needed: str) -> int:
        best = 0
        for name in needed:
            with contextlib.suppress(NotClaims):
                best = len(open_sheet(data, columns, (name,), MappingProxyType({}))[0].headings.cells)
        return best

    as_claims = known(schema.COLUMNS, *schema.NEEDED)
    for prefix, (_, _, columns, needed) in KINDS.items():
        if known(columns, needed[-1]) > max(as_claims, 3):
            return prefix
    return None


def read(kind: str, data: bytes, name: str, mapping: Mapping[str, str] = _NONE) -> Register:
    """Read a register of a kind (a key of `KINDS`). Raises NotClaims if it is none."""
    from claimlint.readers.fields import Dates, build
    from claimlint.readers.places import Locator
    from claimlint.readers.sheet import read_sheet, skipped_note

    _, _, columns, needed = KINDS[kind]
    try:
        sheet = read_sheet(data, columns, needed, mapping)
    except NotClaims as error:
        raise NotClaims(f"{name}: {error}", error.code) from None
    frame, carried = build(sheet, columns)
    dates = Dates.of(frame, columns, sheet)
    table = schema.typed(frame, columns, compact_dates=False, day_first=dates.day_first)
    notes = [*sheet.notes, *skipped_note(sheet.skipped), *dates.notes()]
    for key in needed:
        blank = table[key].null_count()
        if blank:
            notes.append(f"rows without a {key} that can be read, not used: {blank}")
    problems = Locator(sheet, columns).problems([None] * len(sheet.bad))
    return Register(name, table, carried, [f"{name}: {note}" for note in notes], problems)


def _null(columns: tuple[Column, ...], prefix: str) -> list[pl.Expr]:
    """The columns of a register, joined to lines of which it knows nothing."""
    dtypes: dict[str, pl.DataType] = {} if prefix == "fee_" else {f"{prefix}found": pl.Boolean()}
    dtypes |= {f"{prefix}{c.name}": schema.DTYPES[c.kind] for c in columns}
    return schema.nulls(dtypes)


def join(lines: pl.DataFrame, given: Registers) -> pl.DataFrame:
    """The service lines with what the registers say of each, in the same number and order.

    Added are `auth_found` and `doc_found` (Boolean; null where the line has no number, member or date to look for, or
    no register is given) and `auth_<column>`, `doc_<column>` and `fee_<column>` for every column of a register, null
    where nothing is found. An authorization is found by its number, blanks and dashes aside; of several, the one that
    covers the service date, then the procedure, then the member. Documentation is found by member and service date,
    rather of the line's own claim; what holds until changed (plan of care, conservative care, imaging, notice,
    estimate, letter) is the member's latest up to that day. A fee is found by procedure and date, rather of the line's
    own payer class.
    """
    keyed = lines
    if given.authorizations or given.documentation or given.fees:
        keyed = lines.with_row_index("_row").with_columns(
            _number("prior_authorization").alias("_number"), _member("member_id").alias("_member")
        )
    found: list[pl.Series | pl.Expr] = []
    for register, columns, prefix, look_up in (
        (given.authorizations, AUTHORIZATIONS, "auth_", _authorized),
        (given.documentation, DOCUMENTATION, "doc_", _documented),
        (given.fees, FEES, "fee_", _charged),  # lines need not have a payer class otherwise
    ):
        if register:
            found += look_up(keyed, register.table).get_columns()
        else:
            found += _null(columns, prefix)
    return lines.with_columns(found)


def _charged(keyed: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """`fee_*`, a row per line."""
    names = [column.name for column in FEES]
    schedule = table.select(pl.col(name).alias(f"fee_{name}") for name in names).with_row_index("_entry")
    own = pl.col("fee_payer_class").str.to_lowercase() == pl.col("payer_class")
    day, never, always = pl.col("service_date"), pl.date(9999, 12, 31), pl.date(1, 1, 1)
    in_time = day.is_between(
        pl.col("fee_effective_from").fill_null(always), pl.col("fee_effective_to").fill_null(never)
    )
    best = (
        keyed.select("_row", "procedure", "service_date", "payer_class")
        .join(schedule, left_on="procedure", right_on="fee_procedure", how="inner", coalesce=False)
        .filter(in_time & (pl.col("fee_payer_class").is_null() | own))
        .sort("_row", pl.col("fee_payer_class").is_null(), "_entry")
        .unique("_row", keep="first", maintain_order=True)
        .select("_row", *(f"fee_{name}" for name in names))
    )
    return keyed.select("_row").join(best, on="_row", how="left", maintain_order="left").drop("_row")


def _number(name: str) -> pl.Expr:
    """An authorization number as it is compared: upper case, without blanks and dashes; null if nothing is left."""
    plain = pl.col(name).str.to_uppercase().str.replace_all(r"[\s\p{Pd}]", "")
    return pl.when(plain != "").then(plain)


def _member(name: str) -> pl.Expr:
    """A member id as it is compared: upper case, letters and digits only; null if nothing is left."""
    plain = pl.col(name).str.to_uppercase().str.replace_all("[^A-Z0-9]", "")
    return pl.when(plain != "").then(plain)


def _authorized(keyed: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """`auth_found` and `auth_*`, a row per line."""
    names = [column.name for column in AUTHORIZATIONS]
    register = table.select(
        _number("authorization_number").alias("_number"),
        _member("member_id").alias("_auth_member"),
        *(pl.col(name).alias(f"auth_{name}") for name in names),
    ).with_row_index("_entry")
    day, code = pl.col("service_date"), pl.col("procedure")
    in_time = (pl.col("auth_valid_from").is_null() | (day >= pl.col("auth_valid_from"))) & (
        pl.col("auth_valid_to").is_null() | (day <= pl.col("auth_valid_to"))
    )
    covers = pl.col("auth_procedures").is_null() | pl.col("auth_procedures").list.contains(code)
    its = pl.col("_auth_member").is_null() | (pl.col("_auth_member") == pl.col("_member"))
    fit = sum((e.fill_null(False).cast(pl.Int8) * w for e, w in ((in_time, 4), (covers, 2), (its, 1))), pl.lit(0))
    best = (
        keyed.select("_row", "_number", "_member", "service_date", "procedure")
        .join(register.drop_nulls("_number"), on="_number", how="inner")
        .with_columns(fit.alias("_fit"))
        .sort("_row", "_fit", "_entry", descending=[False, True, False])
        .unique("_row", keep="first", maintain_order=True)
        .select("_row", pl.lit(True).alias("auth_found"), *(f"auth_{name}" for name in names))
    )
    found = keyed.select("_row", "_number").join(best, on="_row", how="left", maintain_order="left")
    seen = pl.when(pl.col("_number").is_not_null()).then(pl.col("auth_found").fill_null(False)).alias("auth_found")
    return found.with_columns(seen).drop("_row", "_number")


def _documented(keyed: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """`doc_found` and `doc_*`, a row per line."""
    names = [column.name for column in DOCUMENTATION]
    register = (
        table.with_columns(_member("member_id").alias("_member"), pl.col("service_date").alias("_date"))
        .drop_nulls(["_member", "_date"])
        .select("_member", "_date", pl.col("claim_id").alias("_claim"), *names)
    )
    keys = keyed.select("_row", "_member", pl.col("service_date").alias("_date"), pl.col("claim_id").alias("_claim"))
    first = [pl.col(name).drop_nulls().first() for name in names]
    # An entry of the line's own claim goes before those of its member and day, of which the unclaimed go first.
    own = register.drop_nulls("_claim").group_by("_member", "_date", "_claim", maintain_order=True).agg(first)
    of_day = register.sort(pl.col("_claim").is_not_null(), maintain_order=True)
    day = of_day.group_by("_member", "_date", maintain_order=True).agg(first)
    free = of_day.filter(pl.col("_claim").is_null()).group_by("_member", "_date", maintain_order=True).agg(first)
    by_claim = keys.join(own, on=["_member", "_date", "_claim"], how="left", maintain_order="left")
    by_free = keys.join(free, on=["_member", "_date"], how="left", maintain_order="left")
    by_day = keys.join(day, on=["_member", "_date"], how="left", maintain_order="left")
    claimed = by_claim["service_date"].is_not_null()
    seen = by_day["service_date"].is_not_null()
    out = {"doc_found": pl.select(pl.when(keys["_member"].is_not_null() & keys["_date"].is_not_null()).then(seen))}
    docs = pl.DataFrame([frame.to_series().alias(name) for name, frame in out.items()])
    docs = docs.with_columns(
        pl.select(pl.when(claimed).then(pl.coalesce(by_claim[name], by_free[name])).otherwise(by_day[name]))
        .to_series()
        .alias(f"doc_{name}")
        for name in names
    )
    for group in _STANDING:
        latest = _latest(keys, register, group)
        lacking = docs.select(pl.all_horizontal(pl.col(f"doc_{name}").is_null() for name in group)).to_series()
        same = docs[f"doc_{group[0]}"].eq_missing(latest[group[0]])
        docs = docs.with_columns(
            pl.select(
                pl.when(lacking | same)
                .then(pl.coalesce(docs[f"doc_{name}"], latest[name]))
                .otherwise(docs[f"doc_{name}"])
            )
            .to_series()
            .alias(f"doc_{name}")
            for name in group
        )
    return docs


def _latest(keys: pl.DataFrame, register: pl.DataFrame, group: tuple[str, ...]) -> pl.DataFrame:
    """For each line, a group of facts from the member's latest entry up to its day that has any of them."""
    entries = (
        register.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in group))
        .sort("_date", maintain_order=True)
        .with_columns(pl.col(name).forward_fill().over("_member", group[0]) for name in group[1:])
        .select("_member", "_date", *group)
        .unique(["_member", "_date"], keep="last", maintain_order=True)
    )
    asked = keys.select("_row", "_member", "_date").drop_nulls().sort("_date", maintain_order=True)
    found = asked.join_asof(entries, on="_date", by="_member", strategy="backward", check_sortedness=False)
    return keys.select("_row").join(found.select("_row", *group), on="_row", how="left", maintain_order="left")
