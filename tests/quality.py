"""The quality harness: claims with what must be said of them, and how often each rule is right.

`tests/scenarios/*.toml` hold scenarios in the syntax of `claimlint.examples`, each for several kinds of payer, with
exactly the rules that must fire for each payer, and by that those that must not. `forms` are the formats that can
carry a scenario, of which each payer takes the next, or all of them (`every_form`); `damage` are texts to replace in
the file. `make quality` prints precision and recall by rule.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from claimlint.examples import FORMS, Form, parse, run
from claimlint.rules import all_rules

FOLDER = Path(__file__).parent / "scenarios"
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


@dataclass(frozen=True)
class Scenario:
    """A claim to one payer in one format, and the rules that must fire on it."""

    name: str
    payer: str
    form: Form
    lines: tuple[str, ...]
    fires: frozenset[str]
    damage: tuple[tuple[str, str], ...] = ()

    def found(self) -> frozenset[str]:
        """The rules that fire."""
        # What the scenario says of a column comes after, and so before, what its payer's preset says.
        block = "\n".join(f"    {PAYERS[self.payer]} {line}" for line in self.lines)
        (example,) = parse(f"Flagged:\n{block}")
        example.damage.extend(self.damage)
        return frozenset(f.code for f in run(example, self.form).findings)


def scenarios() -> Iterator[Scenario]:
    """Every scenario; each payer of one is a scenario of its own, in the next of the formats that can carry it."""
    for path in sorted(FOLDER.glob("*.toml")):
        turn = 0
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["scenario"]:
            forms = entry.get("forms", FORMS)
            lines = tuple(line for line in entry["lines"].splitlines() if line.strip())
            damage = tuple((old, new) for old, new in entry.get("damage", ()))
            for payer, codes in entry["fires"].items():
                for form in forms if entry.get("every_form") else (forms[turn % len(forms)],):
                    yield Scenario(entry["name"], payer, form, lines, frozenset(codes), damage)
                turn += 1


def table() -> list[tuple[str, int, int, int, int]]:
    """For each rule: code, scenarios that name it, hits that are right, hits that are wrong, and misses."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in scenarios():
        found = each.found()
        for code in found | each.fires:
            row = counts[code]
            row[0] += code in each.fires
            row[1] += code in found & each.fires
            row[2] += code in found - each.fires
            row[3] += code in each.fires - found
    return [(code, *counts[code]) for code in all_rules()]  # type: ignore[misc]


def main() -> None:
    """Print the table."""
    print(f"{'rule':<8}{'scenarios':>10}{'precision':>11}{'recall':>8}")
    for code, named, right, wrong, missed in table():
        precision = f"{right / (right + wrong):.0%}" if right + wrong else "-"
        recall = f"{right / (right + missed):.0%}" if right + missed else "-"
        print(f"{code:<8}{named:>10}{precision:>11}{recall:>8}")


if __name__ == "__main__":
    main()
