"""Write `samples/`: one invented clinic's week, clean and flagged, in three formats, and its two registers.

Run as `python -m tests.make_samples`; `tests/test_samples.py` checks that the files are what this writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from claimlint.examples import Values
from claimlint.registers import AUTHORIZATIONS, DOCUMENTATION
from claimlint.write import csv_text, x12_text, xml_text

SAMPLES = Path(__file__).resolve().parent.parent / "samples"

# Synthetic, with a right check digit.
CLINIC, SURGEON, THERAPIST, CHIROPRACTOR = "1000000335", "1000000111", "1000000228", "1000000442"
PT, CHIRO = (THERAPIST, "225100000X"), (CHIROPRACTOR, "111N00000X")
# Payer name, payer id, claim filing indicator.
PLANS = {
    "medicare": ("Medicare Part B Ohio", "15202", "MB"),
    "advantage": ("Lakeview Medicare Advantage", "LMA01", "16"),
    "medicaid": ("Ohio Medicaid", "MMISODJFS", "MC"),
    "aetna": ("Aetna", "60054", "CI"),
    "united": ("UnitedHealthcare", "87726", "CI"),
    "cigna": ("Cigna", "62308", "CI"),
    "sample": ("Sample Health Plan", "SHP01", "CI"),
    "comp": ("Buckeye Workers Compensation", "BWC01", "WC"),
    "auto": ("Buckeye Auto Insurance", "BAI01", "AM"),
    "tricare": ("TRICARE East", "TREST", "CH"),
    "self": ("Self Pay", "SELF", ""),
}
FEES = {
    "97110": 45, "97112": 46, "97140": 42, "97530": 48, "97012": 28, "97014": 24, "97161": 130, "97001": 130,
    "97799": 95, "98941": 55, "S9090": 95, "DECOMP": 95, "97012.0": 28,
}  # fmt: skip


@dataclass
class Patient:
    """An invented person, the plan and how it numbers its members."""

    last: str
    first: str
    birth: str
    plan: str
    member: str
    extra: Values = field(default_factory=dict)


@dataclass
class Week:
    """What the generator has made so far: claims by file, and the registers."""

    files: dict[str, list[Values]] = field(default_factory=dict)
    authorizations: list[Values] = field(default_factory=list)
    sessions: list[Values] = field(default_factory=list)

    def claim(
        self,
        file: str,
        number: str,
        patient: Patient,
        date: str,
        services: str,
        *,
        diagnoses: str = "M51.16",
        provider: tuple[str, str] = PT,
        claim: Values | None = None,
        line: Values | None = None,
        auth: Values | None = None,
        session: Values | None = None,
    ) -> None:
        """Add a claim: services such as `97110:GPx2 97012:GP`, and what the registers have on it.

        `claim` and `line` (the last service line) overlay the rows; `auth` and `session` the rows of the registers.
        There is an authorization only where `auth` is given, and always a session.
        """
        name, payer, filing = PLANS[patient.plan]
        rows: list[Values] = []
        for at, service in enumerate(services.split(), 1):
            service, _, count = service.partition("x")
            code, _, modifiers = service.partition(":")
            units = int(count or 1)
            row: Values = {
                "claim_id": number,
                "place_of_service": "11",
                "frequency_code": "1",
                "diagnoses": diagnoses.split(","),
                "diagnosis_qualifier": "ABK",
                "referring_npi": SURGEON,
                "rendering_npi": provider[0],
                "rendering_taxonomy": provider[1],
                "billing_npi": CLINIC,
                "billing_taxonomy": "261QP2000X",
                "billing_state": "OH",
                "billing_name": "LAKEVIEW SPINE AND TRACTION",
                "payer_name": name,
                "payer_id": payer,
                "claim_filing_indicator": filing,
                "payer_sequence": "P",
                "member_id": patient.member,
                "patient_last_name": patient.last,
                "patient_first_name": patient.first,
                "patient_birth_date": patient.birth,
                "onset_date": "2025-09-15",
                "initial_treatment_date": "2026-01-06",
                "service_line": str(at),
                "service_date": date,
                "procedure_qualifier": "HC",
                "procedure": code,
                "modifiers": modifiers.split(",") if modifiers else [],
                "pointers": [str(i) for i in range(1, len(diagnoses.split(",")) + 1)][:4],
                "units": str(units),
                "charge": f"{FEES[code] * units:.2f}",
            }
            rows.append(row | patient.extra | (claim or {}))
        rows[-1].update(line or {})
        total = sum(Decimal(str(r["charge"])) for r in rows)
        if auth is not None:
            granted = f"PA{2026000000 + int(number[3:])}"
            for row in rows:
                row.setdefault("prior_authorization", granted)
            codes = sorted({str(r["procedure"]) for r in rows})
            entry: Values = {
                "authorization_number": granted,
                "member_id": patient.member,
                "payer_name": name,
                "payer_id": payer,
                "billing_npi": CLINIC,
                "procedures": codes,
                "valid_from": "2026-01-01",
                "valid_to": "2026-03-31",
                "visits": "24",
                "approved_date": "2025-12-29",
            }
            self.authorizations.append(entry | auth)
        for row in rows:
            row.setdefault("claim_charge", f"{total:.2f}")
        self.files.setdefault(file, []).extend(rows)
        self.sessions.append(self._session(number, patient, date, rows) | (session or {}))

    def _session(self, number: str, patient: Patient, date: str, rows: list[Values]) -> Values:
        """A chart that has everything."""
        timed = sum(int(str(r["units"])) for r in rows if r["procedure"] in ("97110", "97112", "97140", "97530"))
        return {
            "member_id": patient.member,
            "claim_id": number,
            "service_date": date,
            "note_signed": date,
            "note_reference": f"N-{number[3:]}",
            "plan_of_care_start": "2026-01-05",
            "plan_of_care_end": "2026-03-31",
            "plan_of_care_certified": "2026-01-08",
            "conservative_care_start": "2025-10-01",
            "conservative_care_end": "2025-12-19",
            "conservative_care_outcome": "failed",
            "imaging": "MRI: L4-L5 disc herniation",
            "imaging_date": "2025-12-22",
            "minutes": str(15 * timed or 20),
            "functional_score": "42",
            "progress_report_date": "2026-01-20",
            "notice_date": "2026-01-05",
            "estimate_date": "2026-01-05",
            "letter_date": "2026-01-05",
            "service_performed": "therapy under plan of care",
        }


INJURY: Values = {
    "related_causes": ["EM"],
    "accident_date": "2025-09-15",
    "property_casualty_claim_number": "25-118842",
}
CRASH: Values = {
    "related_causes": ["AA"],
    "accident_state": "OH",
    "accident_date": "2025-09-15",
    "property_casualty_claim_number": "A-77120",
}


def clean(week: Week) -> None:
    """Monday to Saturday as it should be: a CSV for two days, an 837P for two, an XML for two."""
    week.claim("clean.csv", "LV-1001", Patient("ARBOR", "JUNE", "1951-03-02", "medicare", "2AC4DE5FG67"),
               "2026-01-26", "97110:GPx2 97012:GP")  # fmt: skip
    week.claim("clean.csv", "LV-1002", Patient("BIRCH", "CARL", "1979-07-14", "aetna", "W220104417"),
               "2026-01-26", "97110:GPx2 97140:GP", diagnoses="M51.16,M62.830", auth={})  # fmt: skip
    week.claim("clean.csv", "LV-1003", Patient("CEDAR", "NINA", "1984-11-30", "united", "901443327"),
               "2026-01-27", "97110:GPx2 97012:GP", auth={})  # fmt: skip
    week.claim("clean.csv", "LV-1004", Patient("DOGWOOD", "LEE", "1968-01-09", "self", "SP-1004"),
               "2026-01-27", "S9090", session={"service_performed": "spinal decompression L4-L5"})  # fmt: skip
    week.claim("clean.837", "LV-1005", Patient("ELM", "ROSA", "1948-05-21", "medicare", "3CD5EF6GH78"),
               "2026-01-28", "97110:GPx2 97799:GP,GA", line={"procedure_description": "SPINAL DECOMPRESSION TABLE"},
               session={"service_performed": "therapeutic exercise, table session"})  # fmt: skip
    week.claim("clean.837", "LV-1006", Patient("FIR", "OMAR", "1950-10-03", "advantage", "LMA4471902"),
               "2026-01-28", "97110:GPx2 97530:GP", auth={})  # fmt: skip
    week.claim("clean.837", "LV-1007", Patient("GUM", "TESS", "1990-02-17", "medicaid", "910000417702"),
               "2026-01-28", "97110:GPx2 97112:GP", auth={})  # fmt: skip
    week.claim("clean.837", "LV-1008", Patient("HAZEL", "IVAN", "1977-06-25", "comp", "WC2511884", INJURY),
               "2026-01-29", "97110:GPx2 S9090", auth={})  # fmt: skip
    week.claim("clean.837", "LV-1009", Patient("IVY", "MAE", "1988-09-08", "auto", "BA771200", CRASH),
               "2026-01-29", "97110:GPx2 97140:GP", auth={})  # fmt: skip
    week.claim("clean.xml", "LV-1010", Patient("JUNIPER", "KAI", "1993-12-12", "tricare", "00441927755"),
               "2026-01-30", "97110:GPx2 97140:GP", auth={}, claim={"referral_number": "R2026010"})  # fmt: skip
    spouse: Values = {"patient_is_subscriber": "false", "relationship": "01", "subscriber_first_name": "DREW"}
    week.claim("clean.xml", "LV-1011", Patient("KATSURA", "ANN", "1981-04-04", "cigna", "U3310927701", spouse),
               "2026-01-30", "97110:GPx2 97012:GP", diagnoses="M51.16,M62.830", auth={})  # fmt: skip
    week.claim("clean.xml", "LV-1012", Patient("LARCH", "BEN", "1972-08-19", "sample", "W123456712"),
               "2026-01-31", "97110:GPx2 97140:GP", auth={})  # fmt: skip
    week.claim("clean.xml", "LV-1013", Patient("MAPLE", "EVE", "1953-02-28", "medicare", "4DE6FG7HJ89"),
               "2026-01-31", "98941:AT", diagnoses="M99.03,M54.41", provider=CHIRO)  # fmt: skip


def flagged(week: Week) -> None:
    """The same week with the mistakes that the trade makes, about one a claim."""
    week.claim("flagged.csv", "LV-2001", Patient("NUTMEG", "SAUL", "1949-03-11", "medicare", "5EF7GH8JK90"),
               "2026-01-26", "97110:GPx2 97012:GP", line={"line_note": "VAX-D 22 MIN AT 65 LB"})  # fmt: skip
    week.claim("flagged.csv", "LV-2002", Patient("OAK", "VERA", "1952-06-06", "medicare", "6FG8HJ9KM12"),
               "2026-01-26", "S9090", session={"notice_date": ""})  # fmt: skip
    week.claim("flagged.csv", "LV-2003", Patient("PINE", "HUGO", "1980-10-22", "aetna", "W220104890"),
               "2026-01-26", "97001:GP", auth={})  # fmt: skip
    week.claim("flagged.csv", "LV-2004", Patient("QUINCE", "LIA", "1986-01-15", "united", "901448810"),
               "2026-01-27", "97110:GPx2 97012.0:GP", auth={"procedures": ["97012", "97110"]})  # fmt: skip
    week.claim("flagged.csv", "LV-2005", Patient("ROWAN", "MAX", "1975-05-05", "sample", "W123456733"),
               "2026-01-27", "DECOMP", auth={"procedures": ["S9090"]})  # fmt: skip
    week.claim("flagged.csv", "LV-2006", Patient("SPRUCE", "ADA", "1991-09-29", "cigna", "U3310929912"),
               "2026-01-27", "97110:GPx2 97140:GP", auth={}, claim={"claim_charge": "123.00"})  # fmt: skip
    week.claim("flagged.837", "LV-2007", Patient("TEAK", "RON", "1970-07-07", "sample", "W123456744"),
               "2026-01-28", "97110:GPx2 97799:GP", auth={})  # fmt: skip
    week.claim("flagged.837", "LV-2008", Patient("UMBRA", "FAY", "1947-12-01", "medicare", "7GH9JK1MN23"),
               "2026-01-28", "97110x2 97014:GP")  # fmt: skip
    week.claim("flagged.837", "LV-2009", Patient("VINE", "GUS", "1950-04-18", "medicare", "8HJ1KM2NP34"),
               "2026-01-28", "98941", diagnoses="M99.03,M54.41", provider=CHIRO)  # fmt: skip
    week.claim("flagged.837", "LV-2010", Patient("WILLOW", "IDA", "1983-03-23", "aetna", "W220105510"),
               "2026-01-29", "97110:GPx2 97140:GP", auth={}, provider=("1000000229", "225100000X"))  # fmt: skip
    week.claim("flagged.837", "LV-2011", Patient("XYLIA", "TOM", "1965-11-11", "comp", "WC2519901", INJURY),
               "2026-01-29", "97110:GPx2 97012:GP", claim={"prior_authorization": "PENDING"})  # fmt: skip
    week.claim("flagged.xml", "LV-2012", Patient("YEW", "PIA", "1971-08-31", "comp", "WC2512210", INJURY),
               "2026-01-30", "97110:GPx2 S9090")  # fmt: skip
    week.claim("flagged.xml", "LV-2013", Patient("ZELKOVA", "DAN", "1978-02-02", "comp", "WC2517745", INJURY),
               "2026-01-30", "97110:GPx2 97012:GP", auth={"valid_to": "2026-01-23"})  # fmt: skip
    week.claim("flagged.xml", "LV-2014", Patient("ALDER", "UMA", "1982-06-16", "aetna", "W220107723"),
               "2026-01-30", "S9090", diagnoses="M54.50", auth={})  # fmt: skip
    poc = dict.fromkeys(("plan_of_care_start", "plan_of_care_end", "plan_of_care_certified"), "")
    week.claim("flagged.xml", "LV-2015", Patient("BEECH", "SID", "1949-09-09", "medicare", "9JK2MN3PQ45"),
               "2026-01-31", "97110:GPx2 97140:GP", session={**poc})  # fmt: skip
    week.claim("flagged.xml", "LV-2016", Patient("CYPRESS", "MIA", "1954-01-27", "medicare", "1KM3NP4QR56"),
               "2026-01-31", "97110:GPx2 97140:GP", session={"note_signed": ""})  # fmt: skip
    untried = dict.fromkeys(("conservative_care_start", "conservative_care_end", "conservative_care_outcome"), "")
    week.claim("flagged.xml", "LV-2017", Patient("DATE", "ROY", "1969-10-10", "comp", "WC2513345", INJURY),
               "2026-01-31", "97110:GPx2 S9090", auth={}, session={**untried})  # fmt: skip
    week.claim("flagged.xml", "LV-2018", Patient("EBONY", "SUE", "1985-12-24", "self", "SP-2018"),
               "2026-01-31", "S9090", session={"letter_date": "", "estimate_date": ""})  # fmt: skip


# A practice-management export's headings.
EXPORT = {
    "claim_id": "Claim #",
    "patient_last_name": "Patient Last",
    "patient_first_name": "Patient First",
    "patient_birth_date": "DOB",
    "payer_name": "Insurance",
    "payer_id": "EDI Payer ID",
    "claim_filing_indicator": "Ins Type",
    "payer_sequence": "Insurance Order",
    "member_id": "Insured ID",
    "service_line": "Line #",
    "service_date": "DOS",
    "place_of_service": "POS",
    "procedure": "CPT",
    "modifiers": "Mods",
    "procedure_description": "Proc Description",
    "line_note": "Line Notes",
    "diagnoses": "Dx Codes",
    "pointers": "Diag Ptr",
    "units": "Qty",
    "charge": "Charge Amt",
    "claim_charge": "Total Charge",
    "prior_authorization": "Prior Auth",
    "referral_number": "Referral #",
    "referring_npi": "Referring NPI",
    "rendering_npi": "Rendering NPI",
    "rendering_taxonomy": "Rendering Taxonomy",
    "billing_npi": "Group NPI",
    "billing_taxonomy": "Group Taxonomy",
    "billing_state": "Practice State",
    "onset_date": "Onset",
    "initial_treatment_date": "Initial Treatment",
    "accident_date": "Injury Date",
    "accident_state": "Auto Accident State",
    "related_causes": "Related Cause",
    "property_casualty_claim_number": "P&C Claim Number",
    "patient_paid": "Amount Paid",
    "frequency_code": "Resubmission Code",
    "payer_claim_control_number": "Original Ref",
    "attachment_type": "PWK Type",
    "attachment_transmission": "PWK Transmission",
    "attachment_control_number": "PWK Control Number",
    "claim_note": "Notes",
}


def _exported(row: Values) -> Values:
    """A row as the export writes it: US dates, letters as pointers."""
    out = dict(row)
    for name, value in row.items():
        if name.endswith("_date") and isinstance(value, str) and value:
            year, month, day = value.split("-")
            out[name] = f"{month}/{day}/{year}"
    out["pointers"] = ["ABCDEFGHIJKL"[int(p) - 1] for p in row["pointers"]]
    return out


def made() -> dict[str, str]:
    """Every sample file by its path in `samples/`."""
    week = Week()
    clean(week)
    flagged(week)
    exported = {name: [_exported(r) for r in week.files[name]] for name in ("clean.csv", "flagged.csv")}
    return {
        **{name: csv_text(rows, list(EXPORT), list(EXPORT.values())) for name, rows in exported.items()},
        "clean.837": x12_text(week.files["clean.837"], control_number=2041),
        "flagged.837": x12_text(week.files["flagged.837"], control_number=2042),
        "clean.xml": xml_text(x12_text(week.files["clean.xml"], control_number=2043), "claimlint"),
        "flagged.xml": xml_text(x12_text(week.files["flagged.xml"], control_number=2044), "pyx12"),
        "registers/authorizations.csv": csv_text(week.authorizations, [c.name for c in AUTHORIZATIONS]),
        "registers/sessions.csv": csv_text(week.sessions, [c.name for c in DOCUMENTATION]),
    }


def main() -> None:
    """Write the files."""
    for name, text in made().items():
        path = SAMPLES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
