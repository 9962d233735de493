"""Read the files that practices download, as they are published, into tables that `store` keeps.

Layouts differ a little from quarter to quarter, so columns are found by name. Nothing is kept of a file that does not
read whole: a list with codes missing would call good codes invalid.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from claimlint import ClaimlintError, codeset, icd10cm
from claimlint.store import Imported, put

_CODE = re.compile(r"[0-9A-Z][0-9]{3}[0-9A-Z]")
_ICD10CM = re.compile(icd10cm.DIAGNOSIS)
_HEADING_ROWS = 40
_LARGEST = 1 << 30  # bytes of one unpacked file
_WHOLE = 0.9  # the share of the shipped diagnoses that a whole release has at least
_SHIPPED_ICD10CM = 2026
_MONTHS = {"JAN": 1, "APR": 2, "JUL": 3, "OCT": 4}

Row = Sequence[str]


class ReleaseError(ClaimlintError):
    """A file that is not what its kind wants; names file and line. Nothing was changed."""


@dataclass(frozen=True)
class Release:
    """The name of a release (`2027`, `2026Q4`) and the days for which it speaks."""

    name: str
    begins: dt.date
    ends: dt.date


@dataclass(frozen=True)
class Kind:
    """What can be imported: how a release of it is told from a file's name, and how its files are read."""

    name: str
    title: str
    files: str
    yearly: bool
    named: str
    read: Callable[[str, bytes], pl.DataFrame]
    check: Callable[[pl.DataFrame, Release], str]


def load(kind: str, paths: Sequence[Path], release: str = "") -> Imported:
    """Read files of one release and keep them. Raises ReleaseError, or StoreError where they cannot be written."""
    if kind not in KINDS:
        return _own_table(kind, paths, release)
    known = KINDS[kind]
    members = [m for path in paths for m in _members(path, known)]
    told = _release(known, release, [path.name for path in paths] + [name for name, _ in members])
    tables = [_named(name, known, data) for name, data in members]
    table = pl.concat(tables).unique(maintain_order=True)
    table = table.sort(table.columns[:2])
    if why := known.check(table, told):
        raise ReleaseError(f"{', '.join(str(p) for p in paths)}: {why}; nothing was changed")
    digest = hashlib.sha256(b"".join(data for _, data in members)).hexdigest()
    names = tuple(path.name for path in paths)
    made = Imported(kind, told.name, told.begins, told.ends, names, digest, dt.date.today(), table.height, Path())
    done = put(table, made)
    codeset.forget()
    return done


def _own_table(kind: str, paths: Sequence[Path], release: str) -> Imported:
    """A CSV in the layout of a shipped table. Raises CodesetError, naming file and line."""
    shipped = codeset.read_table(codeset.directory() / f"{kind}.csv")
    keys = codeset.KEYS.get(kind, ["code"])
    layers = [codeset.read_table(path, shipped, keys) for path in paths]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    table = pl.concat(layers, how="diagonal")
    begins = table["effective_from"].drop_nulls().min()
    first = begins if isinstance(begins, dt.date) else dt.date(1900, 1, 1)
    names = tuple(path.name for path in paths)
    made = Imported(kind, release or "own", first, dt.date.max, names, digest, dt.date.today(), table.height, Path())
    done = put(table, made)
    codeset.forget()
    return done


def _named(name: str, kind: Kind, data: bytes) -> pl.DataFrame:
    try:
        table = kind.read(name, data)
    except (zipfile.BadZipFile, UnicodeDecodeError, ValueError, KeyError, csv.Error) as error:
        raise ReleaseError(f"{name}: this cannot be read as {kind.files} ({error}); nothing was changed") from None
    if not table.height:
        raise ReleaseError(f"{name}: no {kind.title} were found in it; it should be {kind.files}")
    return table


def _members(path: Path, kind: Kind) -> Iterator[tuple[str, bytes]]:
    """The file, or the files in a ZIP archive that look like the kind's. Raises ReleaseError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{path}: {error.strerror}") from None
    if not zipfile.is_zipfile(io.BytesIO(data)) or path.suffix.lower() == ".xlsx":
        yield str(path), data
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = [i for i in archive.infolist() if re.search(kind.named, i.filename, re.IGNORECASE)]
        # The same list comes as text and as a workbook: one of them will do.
        texts = [i for i in infos if not i.filename.lower().endswith(".xlsx")]
        for info in texts or infos:
            if info.file_size > _LARGEST:
                raise ReleaseError(f"{path}!{info.filename}: refused: it unpacks to more than {_LARGEST >> 20} MB")
            yield f"{path}!{info.filename}", archive.read(info)
        if not infos:
            inside = ", ".join(i.filename for i in archive.infolist()[:8])
            raise ReleaseError(f"{path}: nothing in this archive looks like {kind.files}; it has {inside}")


def _release(kind: Kind, told: str, names: Sequence[str]) -> Release:
    """The release that was told, or that the files' names tell. Raises ReleaseError where neither does."""
    text = told or next((r for name in names if (r := _release_in(kind, Path(name).name))), "")
    if match := re.fullmatch(r"(20[0-9]{2})(?:Q([1-4]))?", text.upper()):
        year, quarter = int(match[1]), int(match[2] or 0)
        if kind.yearly and kind.name == "icd10cm":  # a fiscal year
            return Release(match[1], dt.date(year - 1, 10, 1), dt.date(year, 9, 30))
        if kind.yearly:
            return Release(match[1], dt.date(year, 1, 1), dt.date(year, 12, 31))
        if quarter:
            after = dt.date(year + quarter // 4, quarter % 4 * 3 + 1, 1)
            return Release(f"{year}Q{quarter}", dt.date(year, quarter * 3 - 2, 1), after - dt.timedelta(days=1))
    example = "2027" if kind.yearly else "2026Q4"
    wrong = (
        f"{told!r} is no release"
        if told
        else f"the names of the files do not tell which release of {kind.name} this is"
    )
    raise ReleaseError(f"{wrong}; say --release {example}")


def _release_in(kind: Kind, name: str) -> str:
    upper = name.upper()
    if kind.yearly:
        return match[0] if (match := re.search(r"20[0-9]{2}", upper)) else ""
    if match := re.search(r"V([0-9]{2})([0-3])R", upper):  # NCCI 32.3 is the fourth quarter of 2026
        return f"{1994 + int(match[1])}Q{int(match[2]) + 1}"
    if match := re.search(r"EFF[_ -]?([0-9]{2})[-_]([0-9]{2})[-_](20[0-9]{2})", upper):
        return f"{match[3]}Q{(int(match[1]) + 2) // 3}"
    if match := re.search(r"(20[0-9]{2})[_-]?(JAN|APR|JUL|OCT)", upper):
        return f"{match[1]}Q{_MONTHS[match[2]]}"
    return match[0] if (match := re.search(r"20[0-9]{2}Q[1-4]", upper)) else ""


# --- rows, whatever they come in ------------------------------------------------------------------------------------


def _rows(name: str, data: bytes) -> list[Row]:
    """The rows of a workbook, a CSV or a tab-separated text, cells as text."""
    if name.lower().endswith((".xlsx", ".xlsm")):
        return _workbook(name, data)
    text = _text(data)
    separator = "\t" if "\t" in text[:20_000] else ","
    return list(csv.reader(io.StringIO(text), delimiter=separator))


def _workbook(name: str, data: bytes) -> list[Row]:
    import pandas as pd

    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        if sum(i.file_size for i in parts.infolist()) > _LARGEST:
            raise ReleaseError(f"{name}: refused: the workbook unpacks to more than {_LARGEST >> 20} MB")
    frame = pd.read_excel(io.BytesIO(data), header=None, dtype=object, engine="openpyxl")
    return [[_cell(value) for value in row] for row in frame.itertuples(index=False)]


def _cell(value: object) -> str:
    """A workbook's cell as the text file of the same release has it."""
    if value is None or value != value:
        return ""
    if isinstance(value, dt.datetime):
        return value.strftime("%Y%m%d")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _columns(name: str, rows: list[Row], wanted: dict[str, str]) -> tuple[int, dict[str, int]]:
    """The heading row and where each wanted column stands in it; `wanted` has patterns over headings without blanks."""
    best: dict[str, int] = {}
    for number, row in enumerate(rows[:_HEADING_ROWS]):
        keys = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in row]
        found = {c: i for c, p in wanted.items() for i, k in reversed(list(enumerate(keys))) if re.match(p, k)}
        if len(found) == len(wanted):
            return number, found
        best = max(best, found, key=len)
    lacking = ", ".join(c for c in wanted if c not in best)
    raise ReleaseError(f"{name}: no row of headings with {', '.join(wanted)} was found (lacking {lacking})")


def _body(name: str, rows: list[Row], wanted: dict[str, str], code: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and wanted cells of each row below the headings. Headings may take several rows."""
    at, columns = _columns(name, rows, wanted)
    begun = False
    for number, row in enumerate(rows[at + 1 :], at + 2):
        cells = {c: row[i].strip() if i < len(row) else "" for c, i in columns.items()}
        if _CODE.fullmatch(cells[code].upper()):
            begun = True
            yield number, cells
        elif begun and cells[code]:
            raise ReleaseError(f"{name}:{number}: {cells[code][:20]!r} is not a procedure code; nothing was changed")


def _day(name: str, number: int, text: str) -> dt.date | None:
    """A date as `20261001`, `10/01/2026` or `2026-10-01`; nothing for an empty cell or `*`."""
    if text in ("", "*"):
        return None
    for form in ("%Y%m%d", "%m/%d/%Y", "%Y-%m-%d"):
        try:
            return dt.datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise ReleaseError(f"{name}:{number}: {text[:20]!r} is not a date; nothing was changed")


# --- kinds ----------------------------------------------------------------------------------------------------------


def _icd10cm(name: str, data: bytes) -> pl.DataFrame:
    """`icd10cm_order_YYYY.txt` (order number, code, 0 heading or 1 billable, titles) or `icd10cm_codes_YYYY.txt`."""
    rows: list[tuple[str, bool, str]] = []
    for number, line in enumerate(_text(data).split("\n"), 1):
        if not line.strip():
            continue
        if ordered := re.match(r"[0-9]{5} ([A-Z0-9]{3,7}) +([01]) (.{0,60})(.*)", line):
            code, flag, title = ordered[1], ordered[2], (ordered[4] or ordered[3]).strip()
        elif plain := re.match(r"([A-Z0-9]{3,7}) +(\S.*)", line):
            code, flag, title = plain[1], "1", plain[2].strip()
        else:
            code, flag, title = "", "", ""
        if not _ICD10CM.fullmatch(code):
            raise ReleaseError(f"{name}:{number}: this line does not begin with an ICD-10-CM code; nothing was changed")
        rows.append((code, flag == "1", title))
    table = pl.DataFrame(rows, schema={"code": pl.String, "billable": pl.Boolean, "title": pl.String}, orient="row")
    return table if not table["billable"].all() else _with_headings(table)


def _with_headings(table: pl.DataFrame) -> pl.DataFrame:
    """The codes of `icd10cm_codes`, which has no headings, with those shipped codes that have codes below them."""
    shorter = pl.concat([table["code"].str.head(n) for n in range(3, 7)]).unique()
    headings = icd10cm.shipped_titles().filter(pl.col("code").is_in(shorter.implode()))
    headings = headings.join(table, on="code", how="anti").with_columns(billable=False)
    return pl.concat([table, headings.select(table.columns)])


def _check_icd10cm(table: pl.DataFrame, release: Release) -> str:
    if int(release.name) < _SHIPPED_ICD10CM:
        return f"claimlint ships ICD-10-CM to fiscal year {_SHIPPED_ICD10CM}; an older release adds nothing"
    active = icd10cm.shipped_diagnoses()
    share = active.is_in(table["code"].implode()).mean()
    if isinstance(share, float) and share < _WHOLE:
        return f"it has only {share:.0%} of the {len(active):,} codes that claimlint ships, so it is not whole"
    return ""


def _ncci_ptp(name: str, data: bytes) -> pl.DataFrame:
    """Procedure-to-procedure edits: column 1 and 2, effective and deletion date, modifier indicator (0, 1 or 9)."""
    wanted = {"column1": "column1$", "column2": "column2$", "effective": "effective", "deletion": "deletion",
              "modifier": "modifier"}  # fmt: skip
    rows = []
    for number, cells in _body(name, _rows(name, data), wanted, "column1"):
        if not _CODE.fullmatch(cells["column2"].upper()) or cells["modifier"] not in ("0", "1", "9"):
            raise ReleaseError(f"{name}:{number}: this row is no pair of codes with an indicator 0, 1 or 9")
        begins, ends = (_day(name, number, cells[c]) for c in ("effective", "deletion"))
        rows.append((cells["column1"].upper(), cells["column2"].upper(), begins, ends, int(cells["modifier"])))
    schema = {"column1": pl.String, "column2": pl.String, "effective_from": pl.Date, "effective_to": pl.Date,
              "modifier_indicator": pl.Int8}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _ncci_mue(name: str, data: bytes) -> pl.DataFrame:
    """Medically unlikely edits: the most units of service a day, and what a unit limit counts (MAI 1, 2 or 3)."""
    wanted = {"code": "(hcpcs)?cptcode|hcpcs", "units": ".*mue?values?", "indicator": "mueadjudicationindicator",
              "rationale": "muerationale"}  # fmt: skip
    rows = []
    for number, cells in _body(name, _rows(name, data), wanted, "code"):
        if not cells["units"].isdigit():
            raise ReleaseError(f"{name}:{number}: {cells['units'][:20]!r} is no number of units")
        indicator = int(cells["indicator"][:1]) if cells["indicator"][:1].isdigit() else None
        rows.append((cells["code"].upper(), int(cells["units"]), indicator, cells["rationale"]))
    schema = {"code": pl.String, "units": pl.Int64, "indicator": pl.Int8, "rationale": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


_CODES = {"code": pl.String, "label": pl.String, "effective_from": pl.Date, "effective_to": pl.Date}


def _hcpcs(name: str, data: bytes) -> pl.DataFrame:
    """HCPCS Level II: code, short description (public domain), the day it was added and the day it ends."""
    rows = _rows(name, data)
    wanted = {"code": "hcpcs?$|code$", "label": "short|description|label", "begins": "adddt|addeddate|effectivefrom",
              "ends": "termdt|terminationdate|effectiveto"}  # fmt: skip
    found: dict[str, tuple[str, str, dt.date | None, dt.date | None]] = {}
    at, columns = _columns(name, rows, wanted)
    for number, row in enumerate(rows[at + 1 :], at + 2):
        cells = {c: row[i].strip() if i < len(row) else "" for c, i in columns.items()}
        code = cells["code"].upper()
        if not code or re.fullmatch("[A-Z0-9]{2}", code):  # a continued description; a modifier
            continue
        if not _CODE.fullmatch(code):
            raise ReleaseError(f"{name}:{number}: {code[:20]!r} is not a HCPCS code; nothing was changed")
        # Long descriptions take several rows of one code; the first has the dates.
        dates = (_day(name, number, cells["begins"]), _day(name, number, cells["ends"]))
        found.setdefault(code, (code, cells["label"], *dates))
    return pl.DataFrame(list(found.values()), schema=_CODES, orient="row")


def _cpt(name: str, data: bytes) -> pl.DataFrame:
    """The AMA's list under the practice's own licence. Descriptions are the AMA's and are not kept."""
    rows = []
    for row in _rows(name, data):
        first = next((cell.strip().upper() for cell in row if cell.strip()), "")
        if match := re.match(r"([0-9]{4}[0-9AFMTU])(?![0-9A-Z])", first):
            rows.append((match[1], None, None, None))
    return pl.DataFrame(rows, schema=_CODES, orient="row")


def _check_codes(table: pl.DataFrame, release: Release, *, letters: bool) -> str:
    """A full list has every code of this field that is in force."""
    wanted = codeset.shipped_procedures(letters=letters, on=release.begins)
    lacking = sorted(set(wanted) - set(table["code"]))
    if lacking:
        return f"it lacks {', '.join(lacking[:6])}{' …' if len(lacking) > 6 else ''}, so it is not the whole list"
    return ""


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("icd10cm", "ICD-10-CM codes", "CMS's icd10cm_order_YYYY.txt or icd10cm_codes_YYYY.txt", True,
             r"icd10cm[_-](order|codes)[^/]*20\d\d[^/]*\.txt$", _icd10cm, _check_icd10cm),
        Kind("hcpcs", "HCPCS codes", "CMS's HCPCS Level II workbook (HCPC2026_OCT_ANWEB.xlsx)", False,
             r"hcpc[^/]*anweb[^/]*\.(xlsx|csv)$", _hcpcs, lambda t, r: _check_codes(t, r, letters=True)),
        Kind("cpt", "CPT codes", "the AMA's list of CPT codes, one a row", True, r"\.(txt|csv|xlsx)$", _cpt,
             lambda t, r: _check_codes(t, r, letters=False)),
        Kind("ncci-ptp", "pairs of codes", "CMS's practitioner PTP edits (ccipra-v323r0-f1.txt to -f4.txt, or .xlsx)",
             False, r"ccipra[^/]*\.(txt|xlsx)$", _ncci_ptp, lambda t, r: ""),
        Kind("ncci-mue", "unit limits", "CMS's MCR_MUE_PractitionerServices_Eff_MM-DD-YYYY.csv or .xlsx", False,
             r"mue_practitioner[^/]*\.(csv|xlsx)$", _ncci_mue, lambda t, r: ""),
    )
}  # fmt: skip
