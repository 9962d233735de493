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
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
# Tables with one row for each code, whatever its dates.
_ONE_ROW = ("carc", "claim_filing_indicators", "modifiers", "place_of_service", "procedures", "taxonomies",
            "therapy_thresholds")  # fmt: skip
_AGAIN = "has a row already; this table has one for each code"
# What tells one row of a table from the next, where that is not its code.
KEYS = {
    "ncci_pairs": ["column1", "column2"],
    "diagnosis_groups": ["group", "prefix"],
    "icd10cm_excludes1": ["code", "excludes"],
    "decompression_terms": ["pattern"],
    "local_codes": ["pattern"],
    "authorization_placeholders": ["pattern"],
}

_F = TypeVar("_F", bound=Callable[..., Any])
_forgetful: list[Callable[[], None]] = []
_overlays: tuple[Path, ...] = ()
_imports = True
_reading_ahead: threading.Thread | None = None


class CodesetError(ClaimlintError):
    """A codeset file is missing or malformed; the message names the file, the line and what to do."""


def kept(function: _F, most: int | None = None) -> _F:
    """Work a result out once for as long as the layers stay the same (see `use` and `forget`); `most` are kept."""
    cached = functools.lru_cache(most)(function)
    _forgetful.append(cached.cache_clear)
    return cached  # type: ignore[return-value]


def forget() -> None:
    """Read every codeset again when it is next asked for."""
    if _reading_ahead:  # what it still reads is of the layers before
        _reading_ahead.join()
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


def read_ahead(*others: Callable[[], object]) -> None:
    """Begin to read the tables, and then `others`, in a thread of its own, while the modules of a run are imported.

    What cannot be read is told of when it is asked for.
    """
    global _reading_ahead

    def read() -> None:
        with suppress(CodesetError):
            for name in tables():
                table(name)
            for other in others:
                other()

    _reading_ahead = threading.Thread(target=read, daemon=True)
    _reading_ahead.start()


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
    casts = {c: pl.col(c).str.to_date("%Y-%m-%d", strict=False) for c in _DATES}
    casts |= {c: pl.col(c).cast(pl.Int64, strict=False) for c in _INTEGERS if c in raw.columns}
    casts |= {c: pl.when(pl.col(c).is_null() | (pl.col(c) == "0")).then(False).when(pl.col(c) == "1").then(True)
              for c in _FLAGS if c in raw.columns}  # fmt: skip
    typed = raw.with_columns(**casts)
    if not _is_sound(raw, typed, key, one_row=path.stem in _ONE_ROW):
        raise CodesetError(_fault(path, raw, casts, key))
    for column in ("pattern", "prefix"):
        for row, text in enumerate(raw[column] if like is not None and column in raw.columns else (), 2):
            if fault := fault_of_pattern(text or ""):
                raise CodesetError(f"{path}:{row}: the {column} cannot be used: {fault}")
    return typed


def _is_sound(raw: pl.DataFrame, typed: pl.DataFrame, key: Sequence[str], *, one_row: bool) -> bool:
    """Whether all of a table could be read. Every table is asked at every start, so that no query is made for it."""
    unread = any(typed[c].null_count() > (0 if c in _FLAGS else raw[c].null_count()) for c in raw.columns)
    lacking = any(raw[c].null_count() for c in (*key, "source"))
    ends_early = (typed["effective_to"] < typed["effective_from"]).any()
    return not (unread or lacking or ends_early or (one_row and raw["code"].is_duplicated().any()))


def _fault(path: Path, raw: pl.DataFrame, casts: Mapping[str, pl.Expr], key: Sequence[str]) -> str:
    """Where a table that is not sound has its first fault of the first kind, and what it is."""
    what = dict.fromkeys(_DATES, "a date such as 2026-01-31")
    what |= dict.fromkeys(_INTEGERS, "a whole number") | dict.fromkeys(_FLAGS, "0 or 1")
    faults = [(c, cast.is_null() & pl.col(c).is_not_null(), f"{c} must be {what[c]}") for c, cast in casts.items()]
    faults += [(c, pl.col(c).is_null(), f"every row must have a {c}") for c in key]
    faults.append(("source", pl.col("source").is_null(), "every row must name its source"))
    ends_early = (casts["effective_to"] < casts["effective_from"]).fill_null(False)
    faults.append(("effective_to", ends_early, "it ends before it begins"))
    if path.stem in _ONE_ROW:
        faults.append(("code", ~pl.col("code").is_first_distinct(), _AGAIN))
    at = raw.select(bad.arg_true().first().alias(str(n)) for n, (_, bad, _) in enumerate(faults)).row(0)
    row, (column, _, why) = next(each for each in zip(at, faults, strict=True) if each[0] is not None)
    value = raw[column][row] or ""
    told = f"{value} {why}" if why == _AGAIN else f"{why}, not {value!r}; correct or restore the file"
    return f"{path}:{row + 2}: {told}"


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
        rows = scan(each.path, pl.col("code").is_in(codes.implode()))
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


def scan(path: Path, condition: pl.Expr) -> pl.DataFrame:
    """The rows of a Parquet file that a condition lets through. Raises CodesetError."""
    try:
        return pl.scan_parquet(path).filter(condition).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None


def ncci_pairs(codes: pl.Series) -> pl.DataFrame:
    """The procedure-to-procedure edits that have one of these codes: the imported quarters, else the shipped selection.

    Columns: column1, column2, modifier_indicator (0 never, 1 a modifier may pass it, 9 no longer), effective_from,
    effective_to (Date; null is open), verify (Boolean: not confirmed).
    """
    either = pl.col("column1").is_in(codes.implode()) | pl.col("column2").is_in(codes.implode())
    columns = ["column1", "column2", "modifier_indicator", "effective_from", "effective_to", "verify"]
    if quarters := store.imports("ncci-ptp"):  # each has the whole history of its pairs
        return scan(quarters[-1].path, either).with_columns(verify=False).select(columns)
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
        scan(each.path, wanted).with_columns(effective_from=each.begins, effective_to=each.ends, verify=False)
        for each in store.imports("ncci-mue")
    ]
    if not parts:
        parts = [table("ncci_mue").filter(wanted).with_columns(indicator=pl.lit(None, pl.Int8))]
    return pl.concat([p.select(columns) for p in parts])
