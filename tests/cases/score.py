"""Score what a scrubber found in these cases: how much of what is there it finds, and how much of that is right.

    python score.py found.jsonl [--formats x12,csv] [--without authorizations,policies]

`found.jsonl` has a line a finding: {"case", "format", "fault", "claim_id", "service_line"}; README.md says more.
Needs Python 3.11 and nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def cases(formats: set[str], without: set[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each case with each of its formats, but for those that need what the scrubber cannot be given."""
    for entry in json.loads((HERE / "index.json").read_text(encoding="utf-8"))["cases"]:
        case = json.loads((HERE / entry["id"] / "case.json").read_text(encoding="utf-8"))
        needs = {*case["registers"], *(["policies"] if case["policies"] else [])}
        if not needs & without:
            yield from ((case, form) for form in case["claims"] if form in formats)


def score(case: dict[str, Any], form: str, found: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """How many findings of each fault were right, wrong or missed, by (fault, outcome)."""
    outcome = Counter[tuple[str, str]]()
    wanted = [expected for expected in case["expected"] if form in expected["at"]]
    for expected in wanted:
        outcome[expected["fault"], "right" if any(_is_it(expected, f) for f in found) else "missed"] += 1
    judged = (f for f in found if not case["others_allowed"] or f["fault"] in case["about"])
    outcome.update((f["fault"], "wrong") for f in judged if not any(_is_it(expected, f) for expected in wanted))
    return outcome


def _is_it(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    return found["fault"] == expected["fault"] and all(
        expected[key] in (None, found.get(key)) for key in ("claim_id", "service_line")
    )


def main() -> int:
    """Print the table; 1 where something was missed or wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("found", type=Path, help="a line of JSON a finding")
    parser.add_argument("--formats", default="csv,x12,xml", help="those that the scrubber reads")
    parser.add_argument("--without", default="", help="authorizations, documentation, fees or policies")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in given.found.read_text(encoding="utf-8").splitlines():
        finding = json.loads(line)
        found[finding["case"], finding["format"]].append(finding)
    total, run = Counter[tuple[str, str]](), 0
    for case, form in cases(set(given.formats.split(",")), set(given.without.split(","))):
        outcome = score(case, form, found[case["id"], form])
        total, run = total + outcome, run + 1
        for fault, what in sorted(outcome):
            if what != "right":
                print(f"{case['id']} {form}: {what}: {fault}")
    print(f"{'fault':<48}{'right':>6}{'wrong':>6}{'missed':>7}{'precision':>11}{'recall':>8}")
    for fault in sorted({fault for fault, _ in total}):
        print(_row(fault, *(total[fault, what] for what in ("right", "wrong", "missed"))))
    sums = [sum(n for (_, what), n in total.items() if what == each) for each in ("right", "wrong", "missed")]
    print(_row(f"{run} files", *sums))
    return int(sums[1] + sums[2] > 0)


def _row(name: str, right: int, wrong: int, missed: int) -> str:
    precision = f"{right / (right + wrong):.1%}" if right + wrong else "-"
    recall = f"{right / (right + missed):.1%}" if right + missed else "-"
    return f"{name:<48}{right:>6}{wrong:>6}{missed:>7}{precision:>11}{recall:>8}"


if __name__ == "__main__":
    raise SystemExit(main())
