"""Examples in the docstrings of rules: claims written as what differs from one that is clean.

    Flagged: the therapist's modifier is missing
        procedure=97110 modifiers= claim_filing_indicator=MB
    Clean:
        procedure=97110 modifiers=GP,KX doc.minutes=38 as_of=2026-03-01

A block begins with `Flagged:` or `Clean:` and an optional caption; every line indented further is one service line,
`column=value` pairs laid over `BASE`. An empty value takes the column's value away; lists are joined by commas;
a value with blanks stands in quotes. Lines number themselves and belong to one claim unless a line sets `claim_id`;
`claim_charge` is the sum of the claim's lines unless it is set.

`auth.<column>=` and `doc.<column>=` change the line's row in the registers (one authorization per number, one session
per member and date; later lines add to the row of an earlier one), `auth=none` and `doc=none` take it away.
`fee.<column>=` gives the line's procedure a row in the fee schedule, which has none otherwise.
`policy.<key>=` gives the line's payer that policy, `as_of=` sets the day on which the run is made, and `times=51`
repeats the line. `damage="OLD=>NEW"` replaces a text of the written file, once. A caption that ends with `(CSV)`,
`(837P)`, `(X12)` or `(XML)` limits the example to files that can carry it; 837P means X12 and XML.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from claimlint import policy, registers, write
from claimlint.engine import Options, lint
from claimlint.findings import Report
from claimlint.hits import file_finding
from claimlint.lines import BY_NAME, COLUMNS, LIST_KINDS, Column
from claimlint.readers import NotClaims, Read
from claimlint.readers.sniff import read
from claimlint.rules import all_rules

Form = Literal["csv", "x12", "xml"]
Values = dict[str, str | list[str]]

FORMS: tuple[Form, ...] = ("csv", "x12", "xml")
_CARRIED_BY: dict[str, tuple[Form, ...]] = {
    "(CSV)": ("csv",),
    "(837P)": ("x12", "xml"),
    "(X12)": ("x12",),
    "(XML)": ("xml",),
}
AS_OF = dt.date(2026, 2, 2)
BASE: Values = {
    "claim_id": "EX-1",
    "place_of_service": "11",
    "frequency_code": "1",
    "prior_authorization": "PA2026015577",
    "diagnoses": ["M51.16"],
    "diagnosis_qualifier": "ABK",
    "referring_npi": "1000000111",
    "rendering_npi": "1000000228",
    "rendering_taxonomy": "225100000X",
    "billing_npi": "1000000335",
    "billing_taxonomy": "261QP2000X",
    "billing_state": "OH",
    "payer_name": "Sample Health Plan",
    "payer_id": "SHP01",
    "claim_filing_indicator": "CI",
    "payer_sequence": "P",
    "member_id": "W123456789",
    "patient_last_name": "EXAMPLE",
    "patient_first_name": "PAT",
    "patient_birth_date": "1975-04-12",
    "onset_date": "2025-09-15",
    "initial_treatment_date": "2026-01-06",
    "service_date": "2026-01-27",
    "procedure_qualifier": "HC",
    "procedure": "97110",
    "modifiers": ["GP"],
    "charge": "90.00",
    "units": "2",
    "pointers": ["1"],
}
# What the registers have on the base line; a value in braces is the line's own.
AUTHORIZATION: Values = {
    "authorization_number": "PA2026015577",
    "member_id": "{member_id}",
    "payer_name": "{payer_name}",
    "payer_id": "{payer_id}",
    "billing_npi": "{billing_npi}",
    "procedures": [
        *("97110", "97112", "97140", "97530", "97012", "97799", "98941", "S9090", "G0283", "97014", "97161"),
    ],
    "valid_from": "2026-01-01",
    "valid_to": "2026-03-31",
    "visits": "12",
    "approved_date": "2025-12-29",
}
DOCUMENTATION: Values = {
    "member_id": "{member_id}",
    "service_date": "{service_date}",
    "note_signed": "{service_date}",
    "note_reference": "N-{service_date}",
    "plan_of_care_start": "2026-01-05",
    "plan_of_care_end": "2026-03-31",
    "plan_of_care_certified": "2026-01-08",
    "conservative_care_start": "2025-10-01",
    "conservative_care_end": "2025-12-19",
    "conservative_care_outcome": "failed",
    "imaging": "MRI L4-L5 disc herniation",
    "imaging_date": "2025-12-22",
    "minutes": "30",
    "functional_score": "42",
    "progress_report_date": "2026-01-20",
    "notice_date": "2026-01-05",
    "estimate_date": "2026-01-05",
    "letter_date": "2026-01-05",
    "service_performed": "therapeutic exercise",
}
_LINE_COLUMNS = BY_NAME | {
    name: Column(name, "text", "patient", "") for name in ("patient_is_subscriber", "relationship", "billing_name")
}
_BLOCK = re.compile(r"(?P<indent>\s*)(?P<kind>Flagged|Clean):(?:\s+(?P<caption>\S.*))?\s*")
_PATIENT = ("member_id", "patient_birth_date", "patient_last_name", "patient_first_name")


@dataclass
class Example:
    """Service lines, the rows of the registers and the day of the run."""

    kind: Literal["flagged", "clean"]
    caption: str
    rows: list[Values] = field(default_factory=list)
    authorizations: list[Values] = field(default_factory=list)
    documentation: list[Values] = field(default_factory=list)
    fees: list[Values] = field(default_factory=list)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)  # by payer id
    damage: list[tuple[str, str]] = field(default_factory=list)
    as_of: dt.date = AS_OF

    @property
    def forms(self) -> tuple[Form, ...]:
        """The formats that can carry it."""
        return _CARRIED_BY.get(self.caption.rpartition(" ")[2], FORMS)

    def text(self, form: Form) -> str:
        """It as a file of this format. Raises ValueError for damage to a text that is not there."""
        text = text_of(self.rows, form)
        for old, new in self.damage:
            if old not in text:
                raise ValueError(f"an example damages {old!r}, which is not in it as {form}")
            text = text.replace(old, new, 1)
        return text


def parse(doc: str) -> list[Example]:
    """The examples of a docstring. Raises ValueError for a line that is not `column=value` pairs of known columns."""
    examples = []
    for kind, caption, lines in _blocks(doc):
        if not lines:
            raise ValueError(f"the example {kind.capitalize()}: {caption} has no service lines")
        made = Example("flagged" if kind == "flagged" else "clean", caption)
        _fill(made, [pairs for line in lines for pairs in _repeated(_pairs(line))])
        examples.append(made)
    return examples


def _blocks(doc: str) -> Iterator[tuple[str, str, list[str]]]:
    """Kind, caption and lines of each block."""
    kind, caption, indent, lines = "", "", 0, list[str]()
    for text in [*textwrap.dedent(doc.expandtabs()).splitlines(), "end"]:
        if kind and text.strip() and len(text) - len(text.lstrip()) <= indent:
            yield kind, caption, lines
            kind, lines = "", []
        match = _BLOCK.fullmatch(text)
        if match:
            kind, caption, indent = match["kind"].lower(), (match["caption"] or "").strip(), len(match["indent"])
        elif kind and text.strip():
            lines.append(text.strip())


def _pairs(line: str) -> list[tuple[str, str]]:
    pairs = []
    for word in shlex.split(line):
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not column=value, in the example line: {line}")
        pairs.append((name, value))
    return pairs


def _repeated(pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """A line as often as its `times=` says, without that word."""
    times = [int(value) for name, value in pairs if name == "times"]
    return [[p for p in pairs if p[0] != "times"]] * (times[0] if times else 1)


def _value(name: str, value: str, columns: dict[str, Column]) -> str | list[str]:
    if name not in columns:
        raise ValueError(f"an example has {name!r}, which is no column; there are {', '.join(columns)}")
    return [v for v in value.split(",") if v] if columns[name].kind in LIST_KINDS else value


def _fill(example: Example, lines: list[list[tuple[str, str]]]) -> None:
    known = {
        "auth": {c.name: c for c in registers.AUTHORIZATIONS},
        "doc": {c.name: c for c in registers.DOCUMENTATION},
        "fee": {c.name: c for c in registers.FEES},
    }
    found: dict[str, dict[tuple[str, ...], Values]] = {"auth": {}, "doc": {}}
    gone: dict[str, set[tuple[str, ...]]] = {"auth": set(), "doc": set()}
    for pairs in lines:
        row = dict(BASE)
        overlays: dict[str, Values] = {"auth": {}, "doc": {}, "fee": {}}
        removed = set()
        for name, value in pairs:
            register, _, column = name.partition(".")
            if register == "policy":
                payer = str(row["payer_id"])
                example.policies.setdefault(payer, {})[column] = policy.value_of(column, value)
            elif name == "damage":
                old, arrow, new = value.partition("=>")
                if not arrow:
                    raise ValueError(f"damage={value}: write the old text, =>, and the new one")
                example.damage.append((old, new))
            elif name == "as_of":
                example.as_of = dt.date.fromisoformat(value)
            elif register in known and column:
                overlays[register][column] = _value(column, value, known[register])
            elif name in known:
                if value != "none":
                    raise ValueError(f"{name}={value}: only {name}=none can be said of a whole register row")
                removed.add(name)
            else:
                row[name] = _value(name, value, _LINE_COLUMNS)
        example.rows.append(row)
        for register, base, keys in (
            ("auth", AUTHORIZATION, ("authorization_number",)),
            ("doc", DOCUMENTATION, ("member_id", "service_date")),
        ):
            made = {k: own_value(v, row) for k, v in base.items()}
            wanted = made | overlays[register]
            # A session belongs to the line's own member and date, whatever its row says of them.
            key = tuple(str((wanted if register == "auth" else made)[k]) for k in keys)
            found[register].setdefault(key, made).update(overlays[register])
            if register in removed:
                gone[register].add(key)
        if overlays["fee"]:
            example.fees.append({"procedure": row["procedure"]} | overlays["fee"])
    example.authorizations = [v for k, v in found["auth"].items() if k not in gone["auth"]]
    example.documentation = [v for k, v in found["doc"].items() if k not in gone["doc"]]
    _number(example.rows, [{name for name, _ in pairs} for pairs in lines])


def own_value(value: str | list[str], row: Values) -> str | list[str]:
    """A register's value; what stands in braces is the line's own."""
    return re.sub(r"\{(\w+)\}", lambda m: str(row[m[1]]), value) if isinstance(value, str) else value


def _number(rows: list[Values], given: list[set[str]]) -> None:
    """Number the lines of each claim and total it, where the example does not say otherwise."""
    claims: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(rows):
        claims.setdefault(tuple(str(row[k]) for k in ("claim_id", *_PATIENT)), []).append(i)
    for members in claims.values():
        total = sum((_amount(str(rows[i]["charge"])) for i in members), Decimal())
        for number, i in enumerate(members, 1):
            if "service_line" not in given[i]:
                rows[i]["service_line"] = str(number)
            if "claim_charge" not in given[i]:
                rows[i]["claim_charge"] = f"{total:.2f}"


def _amount(text: str) -> Decimal:
    """An amount; nothing for what is none."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal()


def text_of(rows: list[Values], form: Form) -> str:
    """Service lines as a file of this format; a CSV has every column, so that no rule goes unchecked."""
    if form == "csv":
        return write.csv_text(rows, [c.name for c in COLUMNS])
    return write.x12_text(rows) if form == "x12" else write.xml_text(rows)


def run(example: Example, form: Form = "csv", rules: tuple[str, ...] | None = None) -> Report:
    """Lint an example as a file of this format, with its registers, by all rules or these."""
    try:
        return lint(*prepared(example, form, rules))
    except NotClaims as error:
        return Report([file_finding(f"example.{form}", error.code, str(error), all_rules())], [], [], {})


# Most examples have the registers of the base line.
@functools.lru_cache(maxsize=128)
def _register(prefix: str, text: str) -> registers.Register:
    return registers.read(prefix, text.encode(), f"{registers.KINDS[prefix][0]}.csv")


def prepared(
    example: Example, form: Form = "csv", rules: tuple[str, ...] | None = None
) -> tuple[list[tuple[str, Read]], Options, registers.Registers]:
    """What `engine.lint` takes, for an example as a file of this format. Raises NotClaims for what is no claims."""
    made = read(example.text(form).encode(), {})
    packs = tuple(policy.pack_of(payer, values) for payer, values in example.policies.items())
    given = {}
    for prefix, (kind, _, columns, _) in registers.KINDS.items():
        text = write.csv_text(getattr(example, kind), [c.name for c in columns])
        given[kind] = _register(prefix, text)
    return (
        [(f"example.{form}", made)],
        Options(as_of=example.as_of, rules=rules, packs=tuple(p for of_payer in packs for p in of_payer)),
        registers.Registers(**given),
    )
