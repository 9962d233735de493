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

from claimlint.examples import FORMS, Example, Form, parse, run
from claimlint.generate import PAYERS
from claimlint.rules import all_rules

FOLDER = Path(__file__).parent / "scenarios"


@dataclass(frozen=True)
class Scenario:
    """A claim to one payer in one format, and the rules that must fire on it."""

    name: str
    payer: str
    form: Form
    lines: tuple[str, ...]
    fires: frozenset[str]
    damage: tuple[tuple[str, str], ...] = ()

    def example(self) -> Example:
        """It as an example."""
        # What the scenario says of a column comes after, and so before, what its payer's preset says.
        block = "\n".join(f"    {PAYERS[self.payer]} {line}" for line in self.lines)
        (example,) = parse(f"Flagged:\n{block}")
        example.damage.extend(self.damage)
        return example

    def found(self) -> frozenset[str]:
        """The rules that fire."""
        return frozenset(f.code for f in run(self.example(), self.form).findings)


def scenarios(files: str = "*.toml") -> Iterator[Scenario]:
    """Every scenario; each payer of one is a scenario of its own, in the next of the formats that can carry it."""
    for path in sorted(FOLDER.glob(files)):
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
