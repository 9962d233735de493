"""Write `tests/cases/`, the conformance corpus: claims in each format, with the faults that are in them.

Run as `python -m tests.make_cases`. The cases are the flagged and clean examples of claimlint's rules and the
scenarios of `tests/scenarios/stories.toml`, each under claim ids and patients of its own, so that many cases can be
linted together. Whether a fault is there is said by who wrote the example or scenario; claimlint only tells where it
stands, and where it says something else than they do, nothing is written.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import shutil
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import claimlint
from claimlint import codeset, lines, policy, registers
from claimlint.examples import AUTHORIZATION, BASE, DOCUMENTATION, Example, Form, Values, own_value, parse, text_of
from claimlint.findings import Finding
from claimlint.generate import npi, under_own_names
from claimlint.rules import Rule, shipped
from claimlint.vocabulary import needs
from claimlint.write import csv_text, x12_text, xml_text
from tests.quality import scenarios

CASES = Path(__file__).parent / "cases"
FILES: dict[Form, str] = {"csv": "claims.csv", "x12": "claims.837", "xml": "claims.xml"}
_CONFIGURATION = "# The payer of these claims has a policy of its own.\n[codesets]\noverlays = ['.']\n"


@dataclass
class Case:
    """A case before it is linted: its example, the rules it is about, and which of them must fire."""

    id: str
    shows: str
    example: Example
    forms: tuple[Form, ...]
    about: frozenset[str]
    fires: frozenset[str]
    others: bool
    registers: bool
    source: str


def cases() -> Iterator[Case]:
    """The cases, under names of their own."""
    for each in (*_of_rules(), *_of_stories()):
        # By the case's own name, so that a new case leaves the others as they are.
        number = zlib.crc32(each.id.encode()) % 100_000_000
        damaged, example = bool(each.example.damage), each.example
        if not damaged:
            example = under_own_names(example, number, npi(number), _claim_prefix(each))
            for row in example.rows:
                if row.get("rendering_npi") == BASE["rendering_npi"]:
                    row["rendering_npi"] = npi(number + 1)
        if example.policies.keys() == {BASE["payer_id"]}:
            payer = f"P{number:08d}"
            for row in (*example.rows, *example.authorizations):
                row["payer_id"] = payer
            example = replace(example, policies={payer: each.example.policies[str(BASE["payer_id"])]})
        yield replace(each, example=example)


def _of_rules() -> Iterator[Case]:
    for code, rule in shipped().items():
        numbers = Counter[str]()
        for example in parse(rule.doc):
            numbers[example.kind] += 1
            sentence = rule.doc.splitlines()[0].rstrip(".")
            caption = re.sub(r" ?\((CSV|837P|X12|XML)\)$", "", example.caption)
            shows = f"{'Not this' if example.kind == 'clean' else 'This'}: {sentence}{f' ({caption})' * bool(caption)}."
            yield Case(
                f"{code}-{example.kind}-{numbers[example.kind]}",
                shows,
                example,
                example.forms,
                frozenset({code}),
                frozenset({code} if example.kind == "flagged" else ()),
                others=True,
                registers=_rests_on_registers(rule) or _speaks_of_registers(example),
                source=f"synthetic; an example of claimlint's rule {code}",
            )


def _of_stories() -> Iterator[Case]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for each in scenarios("stories.toml"):
        found[each.name, each.payer].append(each)
    for (name, payer), of_forms in found.items():
        first = of_forms[0]
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("'", ""))
        yield Case(
            f"story-{slug}-{payer}",
            f"{name[0].upper()}{name[1:]}, for a payer of this kind: {payer}.",
            first.example(),
            tuple(each.form for each in of_forms),
            first.fires,
            first.fires,
            others=False,
            registers=True,
            source="synthetic; a scenario of claimlint's, labelled by hand",
        )


def _rests_on_registers(rule: Rule) -> bool:
    roots = {root for finds in rule.conditions() for root in needs(finds)}
    return any(root.startswith(tuple(registers.KINDS)) for root in roots)


def _speaks_of_registers(example: Example) -> bool:
    """Whether it has other rows in its registers than the base claim of all examples would have."""
    usual: dict[str, list[Values]] = {"fees": []}
    for kind, base in (("authorizations", AUTHORIZATION), ("documentation", DOCUMENTATION)):
        usual[kind] = [{k: own_value(v, line) for k, v in base.items()} for line in example.rows]
    return any(row not in usual[kind] for kind in usual for row in getattr(example, kind)) or not (
        example.authorizations and example.documentation
    )


def faults() -> dict[str, dict[str, object]]:
    """By name, what each fault is, apart from any case."""
    return {
        rule.name: {
            "statement": rule.doc.splitlines()[0],
            "category": rule.family,
            "scope": _scope(rule),
            "severity": rule.severity,
            "snip": rule.snip,
            "carc": rule.carc or None,
            "source": rule.source,
            "claimlint": code,
        }
        for code, rule in shipped().items()
    }


def _scope(rule: Rule) -> str:
    """Whether the fault is of a service line, of a claim (or session, patient), or of the file."""
    if not rule.function:
        return "file"
    views = {finds.view or rule.view for finds in rule.conditions()}
    return "claim" if views & {"claim", "session", "patient"} else "line"


def write(folder: Path) -> list[Case]:
    """Write the cases, as far as they can be without being linted."""
    made = list(cases())
    for each in made:
        _write_claims(folder / each.id, each)
        _write_json(folder / each.id / "case.json", _described(each))
    index = [{"id": c.id, "shows": c.shows, "formats": list(c.forms), "faults": _names(c.fires)} for c in made]
    _write_json(folder / "index.json", {"cases": index})
    _write_json(folder / "faults.json", {"faults": faults()})
    return made


def write_expected(folder: Path, made: list[Case]) -> None:
    """Write what is expected into each case. Raises ValueError where claimlint does not find what is labelled."""
    found, wrong = linted(folder), []
    for each in made:
        for form in each.forms:
            codes = {f.code for f in found[each.id, form]}
            if (codes & each.about if each.others else codes) != each.fires:
                wrong.append(f"{each.id} as {form}: labelled {sorted(each.fires)}, found {sorted(codes)}")
        told = {form: [f for f in found[each.id, form] if f.code in each.fires] for form in each.forms}
        _write_json(folder / each.id / "case.json", _described(each) | {"expected": expected(told)})
    if wrong:
        raise ValueError("\n".join(wrong))


def _write_claims(folder: Path, case: Case) -> None:
    folder.mkdir(parents=True)
    example = case.example
    number = zlib.crc32(case.id.encode()) % 100_000_000
    for form in case.forms:
        if example.damage:
            text = example.text(form)
            # What was damaged cannot be written anew, so the names in it are replaced.
            for old, new in {
                "EX-1": f"{_claim_prefix(case)}-0",
                "W123456789": f"W{number}",
                "000000001": f"{number:09d}",
            }.items():
                text = text.replace(old, new)
        elif form == "csv":
            text = text_of(example.rows, form)
        else:
            text = x12_text(example.rows, control_number=number)
            text = text if form == "x12" else xml_text(text)
        (folder / FILES[form]).write_text(text, encoding="utf-8", newline="")
    for kind in _given(case):
        rows, columns = getattr(example, kind), {k: c for k, _, c, _ in registers.KINDS.values()}[kind]
        text = csv_text(rows, [c.name for c in columns if not rows or any(c.name in row for row in rows)])
        if example.damage:
            text = text.replace("W123456789", f"W{number}")
        (folder / f"{kind}.csv").write_text(text, encoding="utf-8")
    if example.policies:
        (folder / "payers").mkdir()
        (folder / "claimlint.toml").write_text(_CONFIGURATION, encoding="utf-8")
    for payer, values in example.policies.items():
        pack = [
            f"class = {json.dumps(_payer_class(example))}",
            f"ids = [{json.dumps(payer)}]",
            "",
            "[[policy]]",
            f"id = {json.dumps(case.id)}",
            'title = "Policy of this case"',
            'citation = "invented"',
            *(f"{key} = {json.dumps(value)}" for key, value in values.items()),
        ]
        (folder / "payers" / f"{case.id}.toml").write_text("\n".join(pack) + "\n", encoding="utf-8")


def _claim_prefix(case: Case) -> str:
    """What its claim ids begin with; CLM01 has at most 20 characters."""
    return case.id if len(case.id) <= 17 else f"story-{zlib.crc32(case.id.encode()) % 100_000_000}"


def _given(case: Case) -> list[str]:
    """Its registers. One without rows says that there is nothing on file; fees are those of a case that has some."""
    every = [kind for kind, *_ in registers.KINDS.values()] if case.registers else []
    return [kind for kind in every if kind != "fees" or case.example.fees]


def _payer_class(example: Example) -> str | None:
    table = codeset.table("claim_filing_indicators")
    classes = dict(zip(table["code"], table["payer_class"], strict=True))
    return classes.get(str(example.rows[0].get("claim_filing_indicator")))


def _described(case: Case) -> dict[str, object]:
    """What `case.json` says of a case that has not been linted."""
    example = case.example
    given = _given(case)
    policies = [
        {"payer_id": payer, "key": key, "value": value, "meaning": policy.KEYS[key][1]}
        for payer, values in example.policies.items()
        for key, value in values.items()
    ]
    return {
        "id": case.id,
        "shows": case.shows,
        "as_of": example.as_of.isoformat(),
        "payer_class": _payer_class(example),
        "claims": {form: FILES[form] for form in case.forms},
        "registers": {kind: f"{kind}.csv" for kind in given},
        "policies": policies,
        "alone": "fees" in given or any(not payer.startswith("P") for payer in example.policies),
        "about": _names(case.about),
        "others_allowed": case.others,
        "expected": [],
        "licence": "Apache-2.0",
        "source": case.source,
    }


def _names(codes: frozenset[str]) -> list[str]:
    return [rule.name for code, rule in shipped().items() if code in codes]


def expected(told: dict[Form, list[Finding]]) -> list[dict[str, object]]:
    """The findings, each once, with where it stands in each format that has it."""
    made: dict[tuple[object, ...], dict[str, Any]] = {}
    for form, findings in told.items():
        seen = Counter[tuple[object, ...]]()
        for f in findings:
            scope = _scope(shipped()[f.code])
            same = (f.name, f.severity, f.claim_id, f.service_line if scope == "line" else None)
            seen[same] += 1
            record = made.setdefault(
                (*same, seen[same]),
                {
                    "fault": f.name,
                    "severity": f.severity,
                    "claim_id": f.claim_id,
                    "service_line": same[3],
                    "field": None,
                    "at": {},
                    "claimlint": f.code,
                },
            )
            record["at"][form] = {"line": f.place.line, "element": f.place.element or f.place.segment or None}
            if column := lines.BY_NAME.get(f.place.element):
                record["field"] = {"column": column.name, "x12": [str(at) for at in column.x12]}
    return list(made.values())


def linted(folder: Path) -> dict[tuple[str, Form], list[Finding]]:
    """What claimlint finds in the files of a corpus, by case and format; it goes by what `case.json` says of them."""
    told = [json.loads((folder / c["id"] / "case.json").read_text()) for c in _index(folder)]
    together: dict[tuple[object, ...], list[dict[str, Any]]] = defaultdict(list)
    for case in told:
        for form in case["claims"]:
            together[form, case["as_of"], case["id"] if case["alone"] else ""].append(case)
    found: dict[tuple[str, Form], list[Finding]] = {(case["id"], f): [] for case in told for f in case["claims"]}
    for (form, as_of, _), group in together.items():
        with tempfile.TemporaryDirectory() as name:
            given = _merged(folder, group, Path(name))
            report = claimlint.check(
                [folder / case["id"] / case["claims"][form] for case in group],
                as_of=dt.date.fromisoformat(str(as_of)),
                configuration=Path(name) / "claimlint.toml",
                **given,
            )
            for finding in report:
                found[Path(finding.file).parent.name, form].append(finding)  # type: ignore[index]
    return found


def _index(folder: Path) -> list[dict[str, Any]]:
    index: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["cases"]
    return index


def _merged(folder: Path, group: list[dict[str, Any]], into: Path) -> dict[str, Any]:
    """The registers of cases as one of each kind, and their policies as one overlay."""
    (into / "payers").mkdir()
    (into / "claimlint.toml").write_text(_CONFIGURATION)
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for case in group:
        for pack in (folder / case["id"]).glob("payers/*.toml"):
            shutil.copy(pack, into / "payers")
        for kind, file in case["registers"].items():
            with (folder / case["id"] / file).open(encoding="utf-8", newline="") as text:
                rows[kind] += csv.DictReader(text)
    for kind, _, columns, _ in registers.KINDS.values():
        if kind in rows:
            (into / f"{kind}.csv").write_text(csv_text(rows[kind], [c.name for c in columns]), encoding="utf-8")
    return {kind: into / f"{kind}.csv" for kind in rows}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        write_expected(Path(made) / "cases", write(Path(made) / "cases"))
        for old in CASES.glob("*/"):
            shutil.rmtree(old)
        shutil.copytree(Path(made) / "cases", CASES, dirs_exist_ok=True)
