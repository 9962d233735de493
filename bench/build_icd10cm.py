"""Build `icd10cm.parquet` and `icd10cm_excludes1.csv` from three releases of ICD-10-CM.

Run with the folders of unpacked simple-icd-10-cm wheels:

    python bench/build_icd10cm.py FOLDER-OF-1.2.0 FOLDER-OF-1.4.0 FOLDER-OF-1.5.0

They hold the releases of January 2021, April 2025 and April 2026. Columns written: code (undotted), billable (Boolean,
in the last release that has it), effective_from, effective_to, billable_to (Date: a heading that was billable until
then), verify (the date is the latest possible one, not the published one), title (public domain).
The Excludes1 notes are written as pairs of undotted beginnings of codes; a note that names no code has none.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl

_LIST = """
import json, sys
sys.path.insert(0, sys.argv[1])
import simple_icd_10_cm as cm
codes = [c for c in cm.get_all_codes(with_dots=False) if len(c) >= 3 and "-" not in c]
notes = {c: cm.get_excludes1(c) for c in codes if cm.is_category_or_subcategory(c)}
print(json.dumps([{c: [cm.is_leaf(c), cm.get_description(c)] for c in codes}, {c: n for c, n in notes.items() if n}]))
"""
_NAMED = re.compile(r"\(([^()]*[0-9][^()]*)\)$")
_CODES = re.compile(r"([A-Z][0-9A-Z]{2}(?:\.[0-9A-Z]*)?)[.-]*(?:-([A-Z][0-9A-Z]{2}(?:\.[0-9A-Z]*)?)-*)?")
_SOURCE = "ICD-10-CM tabular list, Excludes1 (April 2026 release)"
# A code that a release no longer has ended before that release's fiscal year at the latest.
_GONE_BEFORE = {1: dt.date(2024, 9, 30), 2: dt.date(2025, 9, 30)}
# Published dates of the codes of this field.
_EXPANDED = {
    "M545": dt.date(2021, 9, 30),
    "M5136": dt.date(2024, 9, 30),
    "M5137": dt.date(2024, 9, 30),
    "M4806": dt.date(2017, 9, 30),
}
_NEW = {"M545": dt.date(2021, 10, 1), "M5136": dt.date(2024, 10, 1), "M5137": dt.date(2024, 10, 1),
        "M51A": dt.date(2022, 10, 1), "M4806": dt.date(2017, 10, 1)}  # fmt: skip


def main(folders: list[str]) -> None:
    """Write the table."""
    read = [
        json.loads(subprocess.run([sys.executable, "-c", _LIST, f], capture_output=True, check=True).stdout)  # noqa: S603
        for f in folders
    ]
    releases = [codes for codes, _ in read]
    _write_excludes1([notes for _, notes in read])
    rows = []
    for code in sorted(set().union(*releases)):
        has = [code in r for r in releases]
        last = max(i for i, h in enumerate(has) if h)
        billable, title = releases[last][code]
        began = next((day for stem, day in _NEW.items() if code.startswith(stem) and code != stem), None)
        began = _NEW["M51A"] if code == "M51A" else began
        ended = _GONE_BEFORE.get(last + 1)
        was = [i for i in range(last) if has[i] and releases[i][code][0] and not billable]
        billable_to = _EXPANDED.get(code) or (_GONE_BEFORE[max(was) + 1] if was else None)
        guessed = ended is not None or (bool(was) and code not in _EXPANDED) or (not has[0] and began is None)
        rows.append((code, billable, began, ended, billable_to, guessed, title))
    schema = {"code": pl.String, "billable": pl.Boolean, "effective_from": pl.Date, "effective_to": pl.Date,
              "billable_to": pl.Date, "verify": pl.Boolean, "title": pl.String}  # fmt: skip
    table = pl.DataFrame(rows, schema=schema, orient="row")
    path = Path(__file__).parents[1] / "codesets" / "icd10cm.parquet"
    table.write_parquet(path, compression="zstd", compression_level=19, row_group_size=8192)
    print(
        table.height, "codes;", table["billable"].sum(), "billable;", table["effective_to"].is_not_null().sum(), "ended"
    )


def _write_excludes1(releases: list[dict[str, list[str]]]) -> None:
    """The notes of the last release; `verify` where the first has not got them, so that the day is not known."""
    sure: dict[tuple[str, str], bool] = {}
    for code, notes in releases[-1].items():
        for note in notes:
            known = note in releases[0].get(code, [])
            for other in _codes(note):
                pair = (code.replace(".", ""), other)
                sure[pair] = sure.get(pair, False) or known
    lines = ["code,excludes,source,effective_from,effective_to,verify"]
    lines += [f'{code},{other},"{_SOURCE}",,,{int(not known)}' for (code, other), known in sorted(sure.items())]
    path = Path(__file__).parents[1] / "codesets" / "icd10cm_excludes1.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(len(sure), "Excludes1 pairs")


def _codes(note: str) -> list[str]:
    """The beginnings of codes, undotted, that a note names at its end: `(M51.1-)`, `(M50-M51)`, `(G57.0, G58.-)`."""
    named = _NAMED.search(note)
    if not named or " with " in named[1]:
        return []
    result = []
    for part in named[1].split(","):
        match = _CODES.fullmatch(part.strip())
        if not match:
            return []
        first, last = (c and c.rstrip(".").replace(".", "") for c in match.groups())
        if not last:
            result.append(first)
        elif len(first) == len(last) and first[:-1] == last[:-1] and last[-1].isdigit():
            result += [first[:-1] + str(n) for n in range(int(first[-1]), int(last[-1]) + 1)]
        elif len(first) == len(last) == 3 and (first + last)[1:3].isdigit() and last[1:].isdigit():
            result += [f"{first[0]}{n:02d}" for n in range(int(first[1:]), int(last[1:]) + 1)]
        else:
            return []
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
