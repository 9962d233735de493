"""Codesets: what claimlint knows of procedures, diagnoses, modifiers and places, each row dated and with its source.

The files are data (`codesets/*.csv`, `icd10cm.parquet`), read once a run and only when asked for. Over what is shipped
lie what the practice imported (`store`) and its own folders (overlays): a later layer's rows for a code replace all of
the earlier one's.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from claimlint import ClaimlintError, store

_PACKAGED = Path(__file__).parent / "codesets"
_CHECKOUT = Path(__file__).parents[1] / "codesets"
_DATES = ("effective_from", "effective_to")
_FLAGS = ("verify", "unlisted", "s_code", "excluded", "modifier_allowed")
_INTEGERS = ("minutes_per_unit", "units_per_day", "units", "amount", "review_amount")
# What every row of every codeset says of itself.
_PROVENANCE = ("source", "effective_from", "effective_to", "verify")
_PROCEDURE = {
    "code": "procedure",
    "label": "procedure_label",
    "kind": "procedure_kind",
    "groups": "procedure_groups",
    "therapy": "therapy",
    "disciplines": "disciplines",
    "units_per_day": "units_per_day",
    "minutes_per_unit": "minutes_per_unit",
    "unlisted": "is_unlisted",
    "s_code": "is_s_code",
    "effective_from": "procedure_from",
    "effective_to": "procedure_to",
    "replacement": "replacement",
    "addon_of": "addon_of",
    "medicare_status": "medicare_status",
}
_CHILDREN_SHOWN = 6
_FEW_CODES = 2000
# Tables with one row for each code, whatever its dates.
_ONE_ROW = ("carc", "claim_filing_indicators", "modifiers", "place_of_service", "procedures", "taxonomies",
            "therapy_thresholds")  # fmt: skip
# What tells one row of a table from the next, where that is not its code.
KEYS = {
    "ncci_pairs": ["column1", "column2"],
    "diagnosis_groups": ["group", "prefix"],
    "icd10cm_excludes1": ["code", "excludes"],
    "decompression_terms": ["pattern"],
    "local_codes": ["pattern"],
    "authorization_placeholders": ["pattern"],
}
# A diagnosis without its dot: a letter, a digit (since April 2026 a letter too, as in QA00), then digits and letters.
DIAGNOSIS = "[A-Z](?:[0-9][0-9A-Z]|[A-HJ-NP-Z][0-9])[0-9A-Z]{0,4}"
# The ICD-10-CM releases that are shipped: the first day of the last one, and the last day that they speak for.
_ICD10CM_BEGINS, _ICD10CM_ENDS = dt.date(2025, 10, 1), dt.date(2026, 9, 30)

_F = TypeVar("_F", bound=Callable[..., Any])
_forgetful: list[Callable[[], None]] = []
_overlays: tuple[Path, ...] = ()
_imports = True


class CodesetError(ClaimlintError):
    """A codeset file is missing or malformed; the message names the file, the line and what to do."""


def kept(function: _F) -> _F:
    """Work a result out once for as long as the layers stay the same (see `use` and `forget`)."""
    cached = functools.cache(function)
    _forgetful.append(cached.cache_clear)
    return cached  # type: ignore[return-value]


def forget() -> None:
    """Read every codeset again when it is next asked for."""
    store.forget()
    for clear in _forgetful:
        clear()


def use(overlays: Sequence[Path], *, imports: bool = True) -> None:
    """Lay these folders over what is shipped and (unless not) imported, the last on top.

    Raises CodesetError if a folder is not there.
    """
    global _overlays, _imports
    for folder in overlays:
        if not folder.is_dir():
            raise CodesetError(f"{folder}: there is no such folder of codesets; correct `overlays` in claimlint.toml")
    if (tuple(overlays), imports) != (_overlays, _imports):
        _overlays, _imports = tuple(overlays), imports
        store.use(imports)
        forget()


def folders() -> tuple[Path, ...]:
    """The folders of codesets, the shipped one first."""
    return (directory(), *_overlays)


def directory() -> Path:
    """The folder of the codesets: in the installed package, else in the checkout that it runs from."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def tables() -> list[str]:
    """The names of the shipped tables."""
    return sorted(path.stem for path in directory().glob("*.csv"))


@kept
def table(name: str) -> pl.DataFrame:
    """One codeset as a table: `effective_from` and `effective_to` Date, flags Boolean, the rest String or Int64.

    An empty flag is false; any other empty cell is null. Raises CodesetError, naming file and line, when the file is
    missing, lacks source, dates or `verify`, or has a value that cannot be read.
    """
    result = read_table(directory() / f"{name}.csv")
    layers = [read_import(each.path, result) for each in store.imports(name)]
    layers += [
        read_table(path, result, KEYS.get(name, ["code"])) for f in _overlays if (path := f / f"{name}.csv").is_file()
    ]
    for layer in layers:
        result = pl.concat([result.join(layer, on=KEYS.get(name, ["code"]), how="anti"), layer], how="diagonal")
    return result


def read_import(path: Path, like: pl.DataFrame) -> pl.DataFrame:
    """An imported table, as it was read when it was imported."""
    imported = pl.read_parquet(path)
    return imported.select(c for c in imported.columns if c in like.columns)


def read_table(path: Path, like: pl.DataFrame | None = None, keys: Sequence[str] = ()) -> pl.DataFrame:
    """A CSV in the layout of the shipped codesets. Raises CodesetError.

    With `like`, a practice's own table in the layout of that one: it needs its keys, source, dates and `verify`, and
    may leave other columns out.
    """
    try:
        raw = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None
    key = list(keys) or (KEYS.get(path.stem, ["code"]) if like is not None else [])
    lacking = [c for c in (*key, *_PROVENANCE) if c not in raw.columns]
    if lacking:
        raise CodesetError(
            f"{path}:1: no column {', '.join(lacking)}; every codeset ends with {', '.join(_PROVENANCE)}"
        )
    if like is not None:
        for name in set(raw.columns) - set(like.columns):
            near = difflib.get_close_matches(name, like.columns, 1)
            raise CodesetError(f"{path}:1: unknown column {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    casts = [pl.col(c).str.to_date("%Y-%m-%d", strict=False) for c in _DATES]
    casts += [pl.col(c).cast(pl.Int64, strict=False) for c in _INTEGERS if c in raw.columns]
    casts += [pl.col(c).fill_null("0").replace_strict({"0": False, "1": True}, default=None, return_dtype=pl.Boolean)
              for c in _FLAGS if c in raw.columns]  # fmt: skip
    typed = raw.with_columns(casts)
    wanted = dict.fromkeys(_DATES, "a date such as 2026-01-31")
    wanted |= dict.fromkeys(_INTEGERS, "a whole number") | dict.fromkeys(_FLAGS, "0 or 1")
    for column, what in wanted.items():
        if column in raw.columns:
            _refuse(path, typed[column].is_null() & raw[column].is_not_null(), raw[column], f"{column} must be {what}")
    _refuse(path, raw["source"].is_null(), raw["source"], "every row must name its source")
    for column in key:
        _refuse(path, raw[column].is_null(), raw[column], f"every row must have a {column}")
    again = (~raw["code"].is_first_distinct()).arg_true() if path.stem in _ONE_ROW else ()
    for row in again:
        raise CodesetError(f"{path}:{row + 2}: {raw['code'][row]} has a row already; this table has one for each code")
    for column in ("pattern", "prefix"):
        for row, text in enumerate(raw[column] if like is not None and column in raw.columns else (), 2):
            if fault := fault_of_pattern(text or ""):
                raise CodesetError(f"{path}:{row}: the {column} cannot be used: {fault}")
    ends_early = (typed["effective_to"] < typed["effective_from"]).fill_null(False)
    _refuse(path, ends_early, raw["effective_to"], "it ends before it begins")
    return typed


def _refuse(path: Path, bad: pl.Series, values: pl.Series, why: str) -> None:
    """Raise CodesetError for the first row that is bad, if there is one."""
    row = bad.arg_true()
    if len(row):
        raise CodesetError(f"{path}:{row[0] + 2}: {why}, not {values[row[0]] or ''!r}; correct or restore the file")


def fault_of_pattern(text: str) -> str:
    """Why a regular expression cannot be used, in Polars and in Python; empty where it can."""
    try:
        re.compile(text)
        pl.Series([""]).str.contains(text)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    except pl.exceptions.PolarsError as error:
        return str(error).partition("\n\n")[0].splitlines()[-1].removeprefix("regex ").removeprefix("error: ")
    return ""


@kept
def pattern(group: str) -> str:
    """A regular expression for the undotted diagnoses of a group, anchored at the start."""
    groups = table("diagnosis_groups")
    prefixes = groups.filter(pl.col("group") == group)["prefix"].to_list()
    if not prefixes:
        raise CodesetError(f"there is no diagnosis group {group!r}; there are {sorted(set(groups['group']))}")
    return f"^(?:{'|'.join(sorted(prefixes))})"


@kept
def decompression_pattern() -> tuple[str, str]:
    """Expressions over lower-case text: words for motorised decompression, and phrases to leave out before looking."""
    terms = table("decompression_terms")
    wanted, excluded = (terms.filter(pl.col("excluded") == flag)["pattern"].to_list() for flag in (False, True))
    return f"({'|'.join(wanted)})", f"(?:{'|'.join(excluded)})"


@kept
def local_code_pattern() -> str:
    """An expression for home-grown and local procedure codes."""
    return f"(?:{'|'.join(table('local_codes')['pattern'])})"


@kept
def placeholder_pattern() -> str:
    """An expression for what is written where a prior authorization number should be."""
    return f"(?:{'|'.join(table('authorization_placeholders')['pattern'])})"


@kept
def _procedures() -> pl.DataFrame:
    words = [
        pl.col(c).fill_null("").str.split(" ").list.drop_nulls()
        for c in ("procedure_groups", "disciplines", "addon_of")
    ]
    words = [w.list.eval(pl.element().filter(pl.element() != "")) for w in words]
    return table("procedures").select(pl.col(old).alias(new) for old, new in _PROCEDURE.items()).with_columns(words)


def procedure_columns(lines: pl.DataFrame) -> pl.DataFrame:
    """What is known of every procedure in `lines`, one row each, to be joined on `procedure`.

    Columns: procedure_label, procedure_kind (S supervised, C constant attendance, T timed, U untimed, E evaluation, D
    equipment), procedure_groups and disciplines (List[String]), therapy (A always, M sometimes), minutes_per_unit
    (minutes), units_per_day (units of service), is_unlisted, is_s_code, procedure_from, procedure_to (Date),
    replacement, addon_of (List[String]: the codes of which one must be billed with it), medicare_status; list_begins
    and list_ends (Date: the days for which a full list of the code's kind was imported; null for none) and is_listed
    (Boolean: the code is in that list).
    """
    wanted = lines["procedure"].drop_nulls().unique().sort()
    known = pl.DataFrame({"procedure": wanted}, schema={"procedure": pl.String})
    known = known.join(_procedures(), on="procedure", how="left", maintain_order="left")
    parts = [_listed(kind, wanted.filter(wanted.str.contains(form))) for kind, form in LISTS.items()]
    known = known.join(pl.concat(parts), on="procedure", how="left", maintain_order="left")
    # What claimlint ships says more of a code than a list does.
    return known.with_columns(
        pl.coalesce("procedure_label", "list_label").alias("procedure_label"),
        pl.coalesce("procedure_from", "list_from").alias("procedure_from"),
        pl.coalesce("procedure_to", "list_to").alias("procedure_to"),
    ).drop("list_label", "list_from", "list_to")


# What can be imported as a full list, and the codes that it is of.
LISTS = {"cpt": "^[0-9]", "hcpcs": "^[A-Z]"}
_LISTED = {"procedure": pl.String, "list_label": pl.String, "list_from": pl.Date, "list_to": pl.Date,
           "list_begins": pl.Date, "list_ends": pl.Date, "is_listed": pl.Boolean}  # fmt: skip


def _listed(kind: str, codes: pl.Series) -> pl.DataFrame:
    """What the imported lists of a kind say of codes: columns of `_LISTED`; no rows where none was imported."""
    lists = store.imports(kind)
    if not lists or not len(codes):
        return pl.DataFrame(schema=_LISTED)
    found: dict[str, dict[str, Any]] = {}
    for each in lists:  # the oldest first: what the next one lacks ended with it
        rows = _scan(each.path, pl.col("code").is_in(codes.implode()))
        here = {row["code"]: row for row in rows.iter_rows(named=True)}
        for code, row in found.items():
            if code not in here and row["list_to"] is None:
                row["list_to"] = each.begins - dt.timedelta(days=1)
        for code, row in here.items():
            first = found.get(code, {}).get("list_from") or row["effective_from"]
            new = first is None and each is not lists[0] and code not in found
            found[code] = {
                "list_label": row["label"] or f"in the imported list of {kind.upper()} codes",
                "list_from": each.begins if new else first,
                "list_to": row["effective_to"],
            }
    period = {"list_begins": lists[0].begins, "list_ends": lists[-1].ends}
    none = {"list_label": None, "list_from": None, "list_to": None}
    records = [{"procedure": c, **found.get(c, none), **period, "is_listed": c in found} for c in codes]
    return pl.DataFrame(records, schema=_LISTED)


def shipped_procedures(*, letters: bool, on: dt.date) -> list[str]:
    """The shipped HCPCS (`letters`) or CPT codes that are in force on a day, without those that are not confirmed."""
    rows = read_table(directory() / "procedures.csv")
    in_force = (pl.col("effective_from").fill_null(on) <= on) & (pl.col("effective_to").fill_null(on) >= on)
    sure = ~pl.col("verify") | (pl.col("effective_from").is_null() & pl.col("effective_to").is_null())
    form = LISTS["hcpcs" if letters else "cpt"]
    return rows.filter(in_force & sure & pl.col("code").str.contains(form))["code"].to_list()


def shipped_diagnoses() -> pl.Series:
    """The billable codes of the last ICD-10-CM release that is shipped."""
    return _scan(directory() / "icd10cm.parquet", pl.col("billable") & pl.col("effective_to").is_null())["code"]


def shipped_titles() -> pl.DataFrame:
    """Every shipped diagnosis, billable or not: code and title."""
    return _scan(directory() / "icd10cm.parquet", pl.lit(True)).select("code", "title")


@kept
def _excludes1() -> dict[str, dict[str, bool]]:
    """By the beginning of a code, the beginnings of those that it excludes, both ways, and whether that is sure."""
    pairs = table("icd10cm_excludes1")
    result: dict[str, dict[str, bool]] = {}
    for code, other, verify in pairs.select("code", "excludes", "verify").iter_rows():
        result.setdefault(code, {})[other] = not verify
        result.setdefault(other, {})[code] = not verify
    return result


def excluded(diagnoses: pl.Series, earlier: pl.Series) -> pl.DataFrame:
    """For each diagnosis of a claim and the ones before it (undotted): the first of those that ICD-10-CM excludes.

    Columns: diagnosis_excludes (String, dotted; null for none) and diagnosis_excludes_sure (Boolean: the note is known
    to be as old as the shipped releases).
    """
    notes = _excludes1()
    begins = {code: [code[:k] for k in range(3, len(code) + 1) if code[:k] in notes] for code in diagnoses.unique()}
    known: dict[tuple[str, tuple[str, ...]], tuple[str | None, bool | None]] = {}

    def found(code: str, others: tuple[str, ...]) -> tuple[str | None, bool | None]:
        for other in others:
            for begin in begins[code]:
                for excluded, sure in notes[begin].items():
                    # What one note says of a code says it of the code's own children too, so a code is not its own.
                    if other.startswith(excluded) and not code.startswith(excluded):
                        return other[:3] + "." * (len(other) > 3) + other[3:], sure
        return None, None

    rows = []
    for code, before in zip(diagnoses.to_list(), earlier.to_list(), strict=True):
        key = (code, tuple(before or ()))
        if key not in known:
            known[key] = found(*key) if key[1] and begins[code] else (None, None)
        rows.append(known[key])
    schema = {"diagnosis_excludes": pl.String, "diagnosis_excludes_sure": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def icd10cm_last_day() -> dt.date:
    """The last day that the loaded ICD-10-CM releases speak for; after it an unknown code may be new."""
    return max([_ICD10CM_ENDS, *(each.ends for each in store.imports("icd10cm"))])


def _scan(path: Path, condition: pl.Expr) -> pl.DataFrame:
    try:
        return pl.scan_parquet(path).filter(condition).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None


def _icd10cm(condition: pl.Expr) -> pl.DataFrame:
    """The dated table of diagnoses, for codes that a condition on `code` lets through, sorted by code.

    The shipped releases, and over them each imported one: what it has is so from its first day on, what it lacks ended
    the day before.
    """
    result = _scan(directory() / "icd10cm.parquet", condition)
    for each in store.imports("icd10cm"):
        before = each.begins - dt.timedelta(days=1)
        newer = _scan(each.path, condition).rename({"billable": "is_billable", "title": "new_title"})
        both = result.join(newer.with_columns(listed=True), on="code", how="full", coalesce=True, nulls_equal=True)
        first, listed, billable = pl.col("billable").is_null(), pl.col("listed").fill_null(False), pl.col("is_billable")
        # The release that is shipped may be imported again; it ends nothing.
        later = pl.lit(each.begins > _ICD10CM_BEGINS)
        result = both.with_columns(
            billable=pl.coalesce(billable, "billable"),
            title=pl.coalesce("new_title", "title"),
            effective_from=pl.when(first).then(each.begins).otherwise("effective_from"),
            effective_to=pl.when(~listed & later).then(pl.coalesce("effective_to", pl.lit(before))).when(~listed)
            .then("effective_to"),
            billable_to=pl.when(pl.col("billable") & ~billable).then(before).otherwise("billable_to"),
            verify=pl.col("verify").fill_null(False),
        ).select(result.columns).sort("code")  # fmt: skip
    return result


def diagnoses() -> pl.DataFrame:
    """The whole dated table of diagnoses: code, billable, effective_from, effective_to, billable_to, verify, title."""
    return _icd10cm(pl.lit(True))


def diagnosis_status(codes: pl.Series) -> pl.DataFrame:
    """What ICD-10-CM says of undotted codes, one row for each that occurs.

    Columns: diagnosis, diagnosis_dotted (String), diagnosis_billable (Boolean), diagnosis_from, diagnosis_to (Date;
    open is null; where the day is not published with the code, the earliest possible beginning and the latest possible
    end), diagnosis_billable_to (Date: until when a heading was billable itself), diagnosis_title (String, public
    domain), diagnosis_children (String: billable codes below a heading, dotted, at most six), diagnosis_specific
    (String: of a code whose title says unspecified, the codes beside it that say more), diagnosis_known (Boolean).
    Raises CodesetError.
    """
    wanted = codes.drop_nulls().unique().sort()
    return _few_status(tuple(wanted)) if len(wanted) <= _FEW_CODES else _status(wanted)


@functools.lru_cache(maxsize=4)
def _few_status(codes: tuple[str, ...]) -> pl.DataFrame:
    """What `_status` gives, kept: an editor asks for the same few codes at every change."""
    return _status(pl.Series(codes, dtype=pl.String))


_forgetful.append(_few_status.cache_clear)


def _status(wanted: pl.Series) -> pl.DataFrame:
    """See `diagnosis_status`; the codes are sorted, and each is there once."""
    names = {"code": "diagnosis", "billable": "diagnosis_billable", "effective_from": "diagnosis_from",
             "effective_to": "diagnosis_to", "billable_to": "diagnosis_billable_to",
             "title": "diagnosis_title"}  # fmt: skip
    found = _icd10cm(pl.col("code").is_in(wanted.implode())).select(pl.col(o).alias(n) for o, n in names.items())
    children = _children(found.filter(~pl.col("diagnosis_billable"))["diagnosis"])
    every = pl.DataFrame({"diagnosis": wanted}, schema={"diagnosis": pl.String})
    joined = every.join(found, on="diagnosis", how="left", maintain_order="left")
    joined = joined.join(children, on="diagnosis", how="left", maintain_order="left")
    vague = found.filter(pl.col("diagnosis_title").str.to_lowercase().str.contains("unspecified", literal=True))
    joined = joined.join(_specific(vague["diagnosis"]), on="diagnosis", how="left", maintain_order="left")
    known, dotted = pl.col("diagnosis_billable").is_not_null(), _dotted(pl.col("diagnosis"))
    return joined.with_columns(diagnosis_known=known, diagnosis_dotted=dotted)


def _dotted(code: pl.Expr) -> pl.Expr:
    return pl.when(code.str.len_chars() > 3).then(code.str.head(3) + "." + code.str.slice(3)).otherwise(code)


def _children(headings: pl.Series) -> pl.DataFrame:
    """Columns diagnosis and diagnosis_children of headings: the billable codes below each that have not ended."""
    category, code = pl.col("diagnosis").str.head(3), pl.col("code")
    wanted = pl.DataFrame({"diagnosis": headings}, schema={"diagnosis": pl.String}).with_columns(category=category)
    below = _icd10cm(code.str.head(3).is_in(wanted["category"].unique().implode()))
    below = below.filter(pl.col("billable") & pl.col("effective_to").is_null())
    below = below.select(code, code.str.head(3).alias("category"))
    pairs = wanted.join(below, on="category").filter(code.str.starts_with(pl.col("diagnosis")))
    return _named(pairs, "diagnosis_children")


def _specific(vague: pl.Series) -> pl.DataFrame:
    """Columns diagnosis and diagnosis_specific of codes: those beside each that are neither unspecified nor other."""
    code, title = pl.col("code"), pl.col("title").str.to_lowercase()
    # A seventh character (A, D, S) tells the encounter, not the site: such codes are left alone.
    wanted = pl.DataFrame({"diagnosis": vague}, schema={"diagnosis": pl.String})
    wanted = wanted.filter(pl.col("diagnosis").str.len_chars() < 7)
    wanted = wanted.with_columns(pl.col("diagnosis").str.head(-1).alias("parent"))
    beside = _icd10cm(code.str.head(-1).is_in(wanted["parent"].unique().implode()))
    says_more = ~title.str.contains(r"unspecified|\bother\b")
    beside = beside.filter(pl.col("billable") & pl.col("effective_to").is_null() & says_more)
    pairs = wanted.join(beside.select(code, code.str.head(-1).alias("parent")), on="parent")
    return _named(pairs, "diagnosis_specific")


def _named(pairs: pl.DataFrame, name: str) -> pl.DataFrame:
    """Of pairs of diagnosis and code: the codes of each diagnosis as dotted text under `name`, at most six."""
    code = pl.col("code")
    more = pl.len() - _CHILDREN_SHOWN
    rest = pl.when(pl.len() > _CHILDREN_SHOWN).then(pl.format(" and {} more", more)).otherwise(pl.lit("")).first()
    named = (_dotted(code).head(_CHILDREN_SHOWN).str.join(", ") + rest).alias(name)
    return pairs.sort("diagnosis", "code").group_by("diagnosis", maintain_order=True).agg(named)


def ncci_pairs(codes: pl.Series) -> pl.DataFrame:
    """The procedure-to-procedure edits that have one of these codes: the imported quarters, else the shipped selection.

    Columns: column1, column2, modifier_indicator (0 never, 1 a modifier may pass it, 9 no longer), effective_from,
    effective_to (Date; null is open), verify (Boolean: not confirmed).
    """
    either = pl.col("column1").is_in(codes.implode()) | pl.col("column2").is_in(codes.implode())
    columns = ["column1", "column2", "modifier_indicator", "effective_from", "effective_to", "verify"]
    if quarters := store.imports("ncci-ptp"):  # each has the whole history of its pairs
        return _scan(quarters[-1].path, either).with_columns(verify=False).select(columns)
    shipped = table("ncci_pairs").filter(either)
    return shipped.with_columns(modifier_indicator=pl.col("modifier_allowed").cast(pl.Int8)).select(columns)


def has_every_ncci_pair() -> bool:
    """Whether the pairs are the whole table of edits, so that a pair that is not there is none."""
    return bool(store.imports("ncci-ptp"))


def unit_limits(codes: pl.Series) -> pl.DataFrame:
    """The most units of service a day of these codes: the imported quarters, else the shipped selection.

    Columns: code, units, indicator (MAI 1 line, 2 date of service by policy, 3 date of service by practice; null: not
    said), effective_from, effective_to (Date), verify (Boolean).
    """
    wanted = pl.col("code").is_in(codes.implode())
    columns = ["code", "units", "indicator", "effective_from", "effective_to", "verify"]
    parts = [
        _scan(each.path, wanted).with_columns(effective_from=each.begins, effective_to=each.ends, verify=False)
        for each in store.imports("ncci-mue")
    ]
    if not parts:
        parts = [table("ncci_mue").filter(wanted).with_columns(indicator=pl.lit(None, pl.Int8))]
    return pl.concat([p.select(columns) for p in parts])
