"""Ten thousand clean claims over all kinds of payers: nothing may be said of them but notes."""

import datetime as dt
import random
from collections import Counter

import polars as pl

from claimlint import registers, write
from claimlint.engine import Options, lint
from claimlint.examples import AUTHORIZATION, BASE, DOCUMENTATION, Values, parse
from claimlint.readers.sniff import read
from tests.quality import PAYERS

CLAIMS = 10_000
VISITS = 8
# What is billed in a session (procedure, modifiers, units), and its minutes of timed service.
THERAPY = [
    ([("97110", "GP", 2)], 30),
    ([("97110", "GP", 1), ("97112", "GP", 1)], 30),
    ([("97110", "GP", 2), ("97140", "GP", 1)], 45),
    ([("97110", "GP", 1), ("97530", "GP", 1)], 32),
    ([("97012", "GP", 1), ("97110", "GP", 2)], 30),
    ([("97116", "GP", 1), ("97110", "GP", 1)], 30),
]
MANIPULATION = ([("98941", "AT", 1)], 15)
DECOMPRESSION = ([("S9090", "", 1), ("97110", "GP", 1)], 20)
DIAGNOSES = ["M51.16", "M51.17", "M54.16", "M54.17", "M48.061", "M54.41", "M50.121"]
FEES = {"97110": 45, "97112": 46, "97140": 42, "97530": 48, "97012": 28, "97116": 44, "98941": 55, "S9090": 95}


def _preset(payer: str) -> Values:
    """A row of the examples' base with what claims to this kind of payer have."""
    (example,) = parse(f"Clean:\n    {PAYERS[payer]} units=2")
    return example.rows[0]


def _batch(seed: int) -> tuple[list[Values], list[Values], list[Values]]:
    """Service lines, authorizations and sessions of patients, each with a series of visits."""
    chance = random.Random(seed)
    rows: list[Values] = []
    authorizations: list[Values] = []
    sessions: list[Values] = []
    presets = {payer: _preset(payer) for payer in PAYERS}
    for patient in range(CLAIMS // VISITS):
        payer = list(PAYERS)[patient % len(PAYERS)]
        person: Values = {
            "member_id": f"{chance.randint(1, 9)}EG4TE{patient % 10}MK{patient // 10 % 100:02d}"
            if payer == "medicare"
            else f"W{100_000_000 + patient}",
            "patient_birth_date": f"{1940 + patient % 60}-{patient % 12 + 1:02d}-{patient % 28 + 1:02d}",
            "patient_last_name": f"SYNTHETIC{patient}",
            "diagnoses": [chance.choice(DIAGNOSES)],
        }
        number = f"PA2026{patient:06d}" if presets[payer]["prior_authorization"] else ""
        chiropractor = chance.random() < 0.2
        if number:
            own: Values = {"member_id": person["member_id"], "authorization_number": number, "visits": "24"}
            covered: Values = {"procedures": list(FEES)}
            payer_is = {k: presets[payer][k] for k in ("payer_name", "payer_id")}
            authorizations.append(AUTHORIZATION | own | covered | payer_is | {"billing_npi": BASE["billing_npi"]})
        for visit in range(VISITS):
            day = (dt.date(2026, 1, 5) + dt.timedelta(days=3 * visit + visit % 2)).isoformat()
            if chiropractor:
                services, minutes = MANIPULATION
            elif payer in ("workers-comp", "auto", "self-pay") and chance.random() < 0.3:
                services, minutes = DECOMPRESSION
            else:
                services, minutes = chance.choice(THERAPY)
            total = sum(FEES[procedure] * units for procedure, _, units in services)
            claim = presets[payer] | person | {"claim_id": f"C{patient}-{visit}", "claim_charge": f"{total}.00"}
            if chiropractor:
                claim["rendering_taxonomy"] = "111N00000X"
            for line, (procedure, modifiers, units) in enumerate(services, 1):
                rows.append(
                    claim
                    | {"service_line": str(line), "service_date": day, "procedure": procedure}
                    | {"modifiers": modifiers.split(), "units": str(units), "prior_authorization": number}
                    | {"charge": f"{FEES[procedure] * units}.00"}
                )
            session = DOCUMENTATION | {"member_id": person["member_id"], "service_date": day, "note_signed": day}
            session |= {"note_reference": f"N-{patient}-{visit}", "minutes": str(minutes)}
            sessions.append(
                session
                | {"functional_score": str(48 - 3 * visit), "functional_measure": "ODI"}
                | {"progress_report_date": day, "service_performed": "therapy"}
            )
    return rows, authorizations, sessions


def test_ten_thousand_clean_claims_have_no_errors_or_warnings() -> None:
    rows, authorizations, sessions = _batch(seed=20260202)
    auths, docs = (
        write.csv_text(table, [c.name for c in columns]).encode()
        for table, columns in ((authorizations, registers.AUTHORIZATIONS), (sessions, registers.DOCUMENTATION))
    )
    names = [name for name in BASE if name != "procedure_qualifier"]
    names += ["related_causes", "accident_date", "accident_state", "property_casualty_claim_number", "referral_number"]
    report = lint(
        [("batch.csv", read(write.csv_text(rows, names).encode(), {}))],
        Options(as_of=dt.date(2026, 2, 2)),
        registers.Registers(
            registers.read("auth_", auths, "authorizations.csv"), registers.read("doc_", docs, "sessions.csv")
        ),
    )
    said = Counter((f.code, f.payer_class, f.message) for f in report.findings if f.severity != "info")
    assert said.most_common(5) == []
    assert report.summary["claims_read"] == report.summary["claims_checked"] == CLAIMS
    assert report.summary["service_lines"] == pl.DataFrame(rows).height
