"""Invented claims in any number: patients with series of visits, and a chosen share of claims with something wrong.

What is wrong comes from the rules themselves: a defect is a flagged example of a rule, under a patient and claim ids of
its own, so every rule with an example that claims alone can carry has one. Everything is settled by the seed.
"""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from claimlint import ClaimlintError, registers, write
from claimlint.examples import AS_OF, AUTHORIZATION, BASE, DOCUMENTATION, Example, Form, Values, parse
from claimlint.rules import Rule, shipped

ANY = "any"  # defects of every rule in turn
VISITS = 8
SET_CLAIMS = 2_000  # of a transaction set; the guide allows 5,000
# What a claim to each kind of payer has that the base of the examples has not.
PAYERS = {
    "commercial": "",
    "aetna": "payer_name=Aetna payer_id=60054",
    "cigna": "payer_name=Cigna payer_id=62308",
    "medicare": 'claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name="Medicare Part B" payer_id=15202 '
    "prior_authorization=",
    "medicare-advantage": 'claim_filing_indicator=16 payer_name="Lakeview Medicare Advantage" payer_id=LMA01',
    "medicaid": 'claim_filing_indicator=MC payer_name="Ohio Medicaid" payer_id=OHMCD',
    "workers-comp": 'claim_filing_indicator=WC payer_name="Buckeye Comp" payer_id=BWC01 related_causes=EM '
    "accident_date=2025-09-15 property_casualty_claim_number=WC-2025-0042",
    "auto": 'claim_filing_indicator=AM payer_name="Buckeye Auto Insurance" payer_id=BAI01 related_causes=AA '
    "accident_date=2025-09-15 accident_state=OH property_casualty_claim_number=A-2025-0042",
    "tricare": 'claim_filing_indicator=CH payer_name="TRICARE East" payer_id=TREST',
    "va": 'claim_filing_indicator=VA payer_name="VA Community Care" payer_id=VACCN referral_number=VA0012345678',
    "self-pay": 'claim_filing_indicator= payer_name="Self Pay" payer_id=SELF prior_authorization=',
}
# Patients in a hundred: an invented spine clinic's mix, not a statistic.
_MIX = {"commercial": 20, "aetna": 12, "cigna": 10, "medicare": 20, "medicare-advantage": 13, "medicaid": 9,
        "workers-comp": 7, "auto": 4, "tricare": 2, "va": 2, "self-pay": 1}  # fmt: skip
# What is billed in a session (procedure, modifier, units of service), and its minutes of timed service.
_Session: TypeAlias = tuple[tuple[tuple[str, str, int], ...], int]
_THERAPY: tuple[_Session, ...] = (
    ((("97110", "GP", 2),), 30),
    ((("97110", "GP", 1), ("97112", "GP", 1)), 30),
    ((("97110", "GP", 2), ("97140", "GP", 1)), 45),
    ((("97110", "GP", 1), ("97530", "GP", 1)), 32),
    ((("97012", "GP", 1), ("97110", "GP", 2)), 30),
    ((("97116", "GP", 1), ("97110", "GP", 1)), 30),
)
_MANIPULATION: _Session = ((("98941", "AT", 1),), 15)
_DECOMPRESSION: _Session = ((("S9090", "", 1), ("97110", "GP", 1)), 20)
_DIAGNOSES = ("M51.16", "M51.17", "M54.16", "M54.17", "M48.061", "M54.41", "M50.121")
# USD a unit of service; invented.
_FEES = {"97110": 45, "97112": 46, "97140": 42, "97530": 48, "97012": 28, "97116": 44, "98941": 55, "S9090": 95}
_COLUMNS = ("claim_id", "claim_charge", "place_of_service", "frequency_code", "related_causes", "accident_date",
            "accident_state", "onset_date", "initial_treatment_date", "prior_authorization", "referral_number",
            "payer_claim_control_number", "attachment_type", "attachment_transmission", "attachment_control_number",
            "claim_note", "diagnoses", "diagnosis_qualifier", "property_casualty_claim_number", "patient_paid",
            "referring_npi", "rendering_npi", "rendering_taxonomy", "billing_npi", "billing_taxonomy", "billing_state",
            "payer_name", "payer_id", "claim_filing_indicator", "payer_sequence", "member_id", "patient_last_name",
            "patient_first_name", "patient_birth_date", "service_line", "service_date", "service_date_to", "procedure",
            "modifiers", "procedure_description", "line_note", "charge", "units", "pointers",
            "other_payer_paid")  # fmt: skip
_PERSON = ("member_id", "patient_birth_date", "patient_last_name", "patient_first_name")
_IN_REGISTERS: dict[str, tuple[str, ...]] = {
    "authorizations": tuple(c.name for c in registers.AUTHORIZATIONS),
    "documentation": tuple(c.name for c in registers.DOCUMENTATION),
}


_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_FORMS: dict[str, Form] = {".837": "x12", ".837p": "x12", ".x12": "x12", ".edi": "x12", ".csv": "csv", ".xml": "xml"}


class CannotGenerate(ClaimlintError):
    """What was asked for cannot be made; says why."""


@dataclass(frozen=True)
class Plan:
    """What to write: shares of defects are of every kind, and by rule; `registers` is the folder for the registers."""

    file: Path
    seed: int = 1
    defects: float = 0.0
    by_rule: Mapping[str, float] = field(default_factory=dict)
    registers: Path | None = None
    as_of: dt.date | None = None

    @property
    def form(self) -> Form:
        """The format, from the file's name. Raises CannotGenerate for a name that tells none."""
        name = self.file.with_suffix("") if self.file.suffix == ".gz" else self.file
        if name.suffix.lower() not in _FORMS:
            raise CannotGenerate(f"{self.file}: end its name with one of {', '.join(_FORMS)}, or with .gz after it")
        return _FORMS[name.suffix.lower()]


def write_file(plan: Plan, claims: int, size: int | None = None) -> tuple[int, dict[str, int]]:
    """Write a file of so many claims, or of about so many bytes (unpacked), and the registers.

    Gives how many claims were written, and how many of them have each rule's defect.
    """
    form, with_registers = plan.form, plan.registers is not None
    shares = {ANY: plan.defects} | dict(plan.by_rule)
    if sum(shares.values()) > 1:
        raise CannotGenerate("the shares of claims with something wrong add up to more than 1")
    moved = (plan.as_of or AS_OF) - AS_OF
    if size is not None:
        first = next(batches(SET_CLAIMS, plan.seed, form, shares, with_registers=with_registers))
        claims = max(1, size * first.claims // sum(len(text.encode()) for text in pieces([first], form)))
    total, counts = 0, Counter[str]()

    def counted() -> Iterator[Batch]:
        nonlocal total
        for batch in batches(claims, plan.seed, form, shares, with_registers=with_registers):
            total += batch.claims
            counts.update(batch.defects.values())
            if plan.registers is not None:
                _add(plan.registers, batch, moved)
            yield batch

    try:
        if plan.registers is not None:
            plan.registers.mkdir(parents=True, exist_ok=True)
            for kind, columns in _IN_REGISTERS.items():
                (plan.registers / f"{kind}.csv").write_text(write.csv_text([], columns), encoding="utf-8")
        opener: Callable[..., Any] = gzip.open if plan.file.suffix == ".gz" else open
        with opener(plan.file, "wt", encoding="utf-8", newline="\n") as out:
            out.writelines(pieces(counted(), form, moved=moved))
    except OSError as error:
        raise CannotGenerate(f"{error.filename or plan.file}: cannot be written: {error.strerror}") from None
    return total, counts


def _add(folder: Path, batch: Batch, moved: dt.timedelta) -> None:
    """The batch's rows at the end of the registers."""
    for kind, columns in _IN_REGISTERS.items():
        text = write.csv_text([_moved(row, moved) for row in getattr(batch, kind)], columns)
        with (folder / f"{kind}.csv").open("a", encoding="utf-8", newline="\n") as out:
            out.write(text.partition("\n")[2])


@dataclass
class Batch:
    """Claims of some patients, the rows of the registers for them, and the rule of each claim that has a defect."""

    rows: list[Values] = field(default_factory=list)
    authorizations: list[Values] = field(default_factory=list)
    documentation: list[Values] = field(default_factory=list)
    claims: int = 0
    defects: dict[str, str] = field(default_factory=dict)  # rule by claim id


def batches(
    claims: int, seed: int, form: Form, shares: Mapping[str, float], *, with_registers: bool = False
) -> Iterator[Batch]:
    """`claims` claims in batches of whole patients, about `SET_CLAIMS` each.

    `shares` maps a rule's code to the share of claims that are to have its defect; those of `ANY` have one of each rule
    in turn. Defects that rest on the registers
    are made only `with_registers`. Raises CannotGenerate for a rule without an example that this format can carry.
    """
    examples = {code: _examples(rule, form, with_registers) for code, rule in shipped().items()}
    if missing := [code for code in shares if code != ANY and not examples[code]]:
        raise CannotGenerate(f"{missing[0]} has no flagged example that generated claims can carry as {form}")
    chance = random.Random(seed)  # noqa: S311 - invented claims, no secrets
    made = 0
    patient = abs(seed) % 700 * 1_000_000  # files of different seeds are of different patients
    owed = dict.fromkeys(shares, 0.5)
    every = [code for code, found in examples.items() if found]
    turn = itertools.cycle(chance.sample(every, len(every)))
    while made < claims:
        batch = Batch()
        while batch.claims < min(SET_CLAIMS, claims - made):
            left = claims - made - batch.claims
            before = batch.claims
            due = next((code for code, number in owed.items() if number >= 1), None)
            code = next(turn) if due == ANY else due
            if due and code and (example := chance.choice(examples[code])) and _size(example) <= left:
                _defect(batch, code, example, patient)
                owed[due] -= batch.claims - before
            else:
                _series(batch, chance, patient, min(VISITS, left))
            for each, share in shares.items():
                owed[each] += share * (batch.claims - before)
            patient += 1
        made += batch.claims
        yield batch


def pieces(made: Iterable[Batch], form: Form, *, moved: dt.timedelta = dt.timedelta(0)) -> Iterator[str]:
    """The batches as the text of a file, piece by piece; dates `moved`, but those of birth."""
    sets = ([_moved(row, moved) for row in batch.rows] if moved else batch.rows for batch in made)
    if form == "csv":
        for number, rows in enumerate(sets):
            text = write.csv_text(rows, _COLUMNS)
            yield text if number == 0 else text.partition("\n")[2]
    elif form == "x12":
        yield from write.x12_pieces(sets)
    else:
        yield from write.xml_pieces(write.x12_pieces(sets))


def _moved(row: Values, by: dt.timedelta) -> Values:
    return {
        name: (dt.date.fromisoformat(value) + by).isoformat()
        if isinstance(value, str) and name != "patient_birth_date" and _is_date(value)
        else value
        for name, value in row.items()
    }


def _is_date(value: str) -> bool:
    try:
        return bool(_ISO_DATE.fullmatch(value) and dt.date.fromisoformat(value))
    except ValueError:
        return False


def npi(number: int) -> str:
    """The synthetic NPI with this number (0 to 99,999,999), with its check digit (ISO 7812 over 80840 and the NPI)."""
    digits = f"808401{number:08d}"
    total = sum(sum(divmod(int(d) * 2, 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits)))
    return f"1{number:08d}{-total % 10}"


@functools.cache
def _preset(payer: str) -> Values:
    (example,) = parse(f"Clean:\n    {PAYERS[payer]} units=2")
    return example.rows[0]


def _person(patient: int, *, medicare: bool) -> Values:
    """Who patient number `patient` is; a Medicare number has its own form (CMS, MBI format)."""
    letters = "ACDEFGHJKMNPQRTUVWXY"
    member = f"W{100_000_000 + patient}"
    if medicare:
        rest, one = divmod(patient, 10)
        rest, a = divmod(rest, 20)
        rest, b = divmod(rest, 20)
        rest, two = divmod(rest, 10)
        rest, c = divmod(rest, 20)
        member = f"{rest % 9 + 1}{letters[c]}G{two}{letters[a]}E{one}{letters[b]}K{rest // 9 % 100:02d}"
    return {
        "member_id": member,
        "patient_birth_date": f"{1940 + patient % 60}-{patient % 12 + 1:02d}-{patient % 28 + 1:02d}",
        "patient_last_name": f"SYNTHETIC{patient}",
        "patient_first_name": "PAT",
    }


def _series(batch: Batch, chance: random.Random, patient: int, visits: int) -> None:
    """A patient's visits, as they should be."""
    payer = chance.choices(list(_MIX), list(_MIX.values()))[0]
    preset = _preset(payer)
    person = _person(patient, medicare=payer == "medicare")
    clinic, diagnosis = npi(patient % 40), chance.choice(_DIAGNOSES)
    number = f"PA2026{patient:08d}" if preset["prior_authorization"] else ""
    chiropractor = chance.random() < 0.2
    if number:
        own: Values = {"authorization_number": number, "visits": "24", "procedures": list(_FEES)}
        payer_is = {k: preset[k] for k in ("payer_name", "payer_id")}
        batch.authorizations.append(
            AUTHORIZATION | own | payer_is | {"member_id": person["member_id"], "billing_npi": clinic}
        )
    for visit in range(visits):
        day = (dt.date(2026, 1, 5) + dt.timedelta(days=3 * visit + visit % 2)).isoformat()
        if chiropractor:
            services, minutes = _MANIPULATION
        elif payer in ("workers-comp", "auto", "self-pay") and chance.random() < 0.3:
            services, minutes = _DECOMPRESSION
        else:
            services, minutes = chance.choice(_THERAPY)
        total = sum(_FEES[procedure] * units for procedure, _, units in services)
        claim = preset | person | {"claim_id": f"C{patient}-{visit}", "claim_charge": f"{total}.00"}
        claim |= {"diagnoses": [diagnosis], "billing_npi": clinic, "rendering_npi": npi(1000 + patient % 160)}
        claim |= {"prior_authorization": number, "service_date": day}
        if chiropractor:
            claim["rendering_taxonomy"] = "111N00000X"
        for line, (procedure, modifier, units) in enumerate(services, 1):
            charge = f"{_FEES[procedure] * units}.00"
            own = {"service_line": str(line), "procedure": procedure, "modifiers": modifier.split(), "charge": charge}
            batch.rows.append(claim | own | {"units": str(units)})
        session: Values = {"member_id": person["member_id"], "service_date": day, "note_signed": day}
        session |= {"note_reference": f"N-{patient}-{visit}", "minutes": str(minutes), "functional_measure": "ODI"}
        session |= {"functional_score": str(48 - 3 * visit), "progress_report_date": day}
        batch.documentation.append(DOCUMENTATION | session | {"service_performed": "therapy"})
    batch.claims += visits


@functools.cache
def _examples(rule: Rule, form: Form, with_registers: bool) -> tuple[Example, ...]:
    """The flagged examples of a rule that claims of this format can carry, with no policy or day of their own."""
    found = [e for e in parse(rule.doc) if e.kind == "flagged" and form in e.forms]
    return tuple(e for e in found if _is_plain(e) and (with_registers or not _rests_on_registers(rule)))


def _is_plain(example: Example) -> bool:
    return not (example.policies or example.damage or example.fees) and example.as_of == AS_OF


def _rests_on_registers(rule: Rule) -> bool:
    from claimlint.vocabulary import needs

    roots = {root for finds in rule.conditions() for root in needs(finds)}
    return any(root.startswith(tuple(registers.KINDS)) for root in roots)


def _size(example: Example) -> int:
    return len({(str(row["claim_id"]), *(str(row[k]) for k in _PERSON)) for row in example.rows})


def _defect(batch: Batch, code: str, example: Example, patient: int) -> None:
    """An example's claims under claim ids, an authorization and patients of their own."""
    own = under_own_names(example, patient, npi(patient % 40))
    batch.rows += own.rows
    batch.authorizations += own.authorizations
    batch.documentation += own.documentation
    batch.defects.update(dict.fromkeys((str(row["claim_id"]) for row in own.rows), code))
    batch.claims += _size(example)


def under_own_names(example: Example, patient: int, clinic: str, prefix: str = "") -> Example:
    """An example with claim ids, an authorization and patients of its own, so that others may stand beside it.

    `patient` numbers its first patient; the claim ids begin with `prefix`, or else with that number.
    """
    several = len({str(row["member_id"]) for row in example.rows}) > 1
    people: dict[tuple[str, ...], Values] = {}
    ids: dict[str, str] = {}
    number = f"PA2026{patient:08d}"

    def renamed(row: Values) -> Values:
        who = tuple(str(row.get(k, "")) for k in _PERSON)
        if who not in people:
            of_medicare = _preset("medicare")["member_id"]
            medicare = row.get("claim_filing_indicator") == "MB" or row["member_id"] == of_medicare
            fresh = _person(patient, medicare=medicare) | {"patient_first_name": f"PAT{len(people) or ''}"}
            # A member id of the example's own may be what is wrong, unless it is there to tell two patients apart.
            usual = row["member_id"] in (BASE["member_id"], of_medicare) or several
            fresh["member_id"] = f"{fresh['member_id']}{len(people) or ''}" if usual else row["member_id"]
            fresh["patient_birth_date"] = row["patient_birth_date"]
            people[who] = {k: v for k, v in fresh.items() if row.get(k)}
        claim = str(row["claim_id"])
        ids.setdefault(claim, f"{prefix or f'D{patient}'}-{len(ids)}" if claim else "")
        own: Values = {"claim_id": ids[claim]}
        if row["billing_npi"] == BASE["billing_npi"]:
            own["billing_npi"] = clinic
        if row["prior_authorization"] == BASE["prior_authorization"]:
            own["prior_authorization"] = number
        elif row["prior_authorization"] == row["member_id"]:
            own["prior_authorization"] = people[who]["member_id"]
        return row | people[who] | own

    rows = [renamed(row) for row in example.rows]
    members = {str(old["member_id"]): new["member_id"] for old, new in zip(example.rows, rows, strict=True)}

    def of_member(row: Values) -> Values:
        member, dash, suffix = str(row["member_id"]).partition("-")
        return row | {"member_id": f"{members.get(member, member)}{dash}{suffix}"}

    authorizations = []
    for row in example.authorizations:
        own = of_member(row)
        if row["authorization_number"] == AUTHORIZATION["authorization_number"]:
            own["authorization_number"] = number
        if row["billing_npi"] == BASE["billing_npi"]:
            own["billing_npi"] = clinic
        authorizations.append(own)
    documentation = [of_member(row) for row in example.documentation]
    return replace(example, rows=rows, authorizations=authorizations, documentation=documentation)
