"""Rules over the table: what each can check, what it finds, where that stands, and what is at risk by it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from claimlint import codeset, lines, policy, registers, vocabulary
from claimlint.findings import Edit, Finding, Fix, NotChecked, Severity, fingerprint
from claimlint.readers import Place, Problem, Read
from claimlint.rules import Finds, Rule

# What a finding puts at risk when it is about more than one line: the claim's charges, or the patient's day's.
_WIDE = {"claim": ["claim_key"], "diagnoses": ["claim_key"], "session": ["session_key"],
         "patient": ["patient_key"]}  # fmt: skip
_CHARGE = {"claim": "claim_lines_charge", "diagnoses": "claim_lines_charge", "session": "session_charge",
           "patient": "patient_charge"}  # fmt: skip
_ONE = ("claim", "session", "patient")  # views that have one finding for all rows of their key
# What is known of every hit.
_OF_HIT = ("file_no", "row", "claim_key", *lines.POSITIONS, "claim_id", "service_line", "procedure", "service_date",
           "payer_class")  # fmt: skip
_INDEXED = {"modifiers": "modifier", "diagnoses": "diagnosis", "pointers": "pointer"}


class Evaluation:
    """Rules gathered by the view they see, then run over each view in one query."""

    def __init__(
        self,
        table: pl.DataFrame,
        reads: Sequence[tuple[str, Read]],
        show_phi: bool,
        given: registers.Registers,
    ) -> None:
        self._table, self._reads, self._show_phi = table, reads, show_phi
        of_kind = {prefix: getattr(given, kind) for prefix, (kind, *_) in registers.KINDS.items()}
        self._has = {prefix: each and each.columns for prefix, each in of_kind.items()}
        self._cases: dict[str, list[tuple[Rule, Finds]]] = {}
        self._risk = np.zeros(table.height, np.bool_)
        self._risk_keys: dict[tuple[str, ...], list[pl.DataFrame]] = {}
        unknown = table.filter(pl.col("payer_class").is_null() & ~pl.col("past"))
        self._unknown_payers = unknown["claim_key"].n_unique()
        self.not_checked: list[NotChecked] = []

    def add(self, rule: Rule) -> None:
        """Take a rule in, without what the files and registers at hand do not let it check."""
        try:
            conditions = rule.conditions()
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and takes no other rule with it
            self._failed(rule, error)
            return
        for finds in conditions:
            roots = vocabulary.needs(finds) - set(rule.optional)
            register = self._missing_register(roots)
            if register:
                self._cannot(rule, *register, whole=len(conditions) == 1)
                continue
            when = finds.when & ~pl.col("past")
            absent = self._missing_columns(roots)
            if absent:
                without = sorted(absent)
                files = ", ".join(self._reads[n][0] for n in without[:3]) + (" …" if len(without) > 3 else "")
                columns = sorted(set().union(*absent.values()))
                headings = "; ".join(
                    f"{c} (such as {lines.BY_NAME[c].headings[0]!r})" if lines.BY_NAME[c].headings else c
                    for c in columns
                )
                self._cannot(
                    rule,
                    f"{files} has no column for {', '.join(columns)}",
                    f"export it, or map it: {headings}",
                    whole=len(absent) == len(self._reads) and len(conditions) == 1,
                )
                when = when & ~pl.col("file_no").is_in(without)
            if rule.payers:
                when = when & pl.col("payer_class").is_in(rule.payers)
            self._cases.setdefault(finds.view or rule.view, []).append((rule, replace(finds, when=when)))
        if self._unknown_payers and (rule.payers or rule.policy):
            self._cannot(
                rule,
                f"the payer class of {self._unknown_payers:,} claims is not known",
                f"fill the claim filing indicator (SBR09), or say --payer with one of {', '.join(policy.CLASSES)}",
                whole=False,
            )

    def _failed(self, rule: Rule, error: Exception) -> None:
        """One of the user's rules failed: it is not checked. Raises the error of one that is claimlint's own."""
        if not rule.origin:
            raise error
        # The error's own text may quote a claim.
        self._cannot(rule, f"the rule failed ({type(error).__name__})", f"correct it: {rule.origin}", whole=True)

    def _cannot(self, rule: Rule, reason: str, enable: str, *, whole: bool) -> None:
        record = NotChecked(rule.code, rule.name, reason, enable, whole)
        if record not in self.not_checked:
            self.not_checked.append(record)

    def _missing_register(self, roots: set[str]) -> tuple[str, str] | None:
        for prefix, (kind, what, *_) in registers.KINDS.items():
            wanted = {r.removeprefix(prefix) for r in roots if r.startswith(prefix)} - {"found"}
            has = self._has[prefix]
            if has is None and any(r.startswith(prefix) for r in roots):
                return f"no {what} was given", f"--{kind} FILE"
            if has is not None and wanted - has:
                return f"the {what} has no column for {', '.join(sorted(wanted - has))}", f"add it to the --{kind} file"
        return None

    def _missing_columns(self, roots: set[str]) -> dict[int, set[str]]:
        """By number, the files that lack columns which are needed."""
        needed = roots & set(lines.BY_NAME)
        return {n: lacking for n, (_, made) in enumerate(self._reads) if (lacking := needed - made.columns)}

    def view(self, view: str, columns: set[str]) -> pl.DataFrame:
        """The table as a view sees it. One with a row per modifier, diagnosis or pointer has only these columns."""
        name = _INDEXED.get(view)
        if name is None:
            return self._table
        table = self._table
        if view == "diagnoses":  # of the claim, not of each line
            table = table.filter(pl.col("row") == pl.col("row").min().over("claim_key"))
        spread = [view, "index"] + (["diagnoses_text"] if view == "diagnoses" else [])
        wanted = columns | {"row", *spread}
        table = table.filter(pl.col(view).is_not_null())
        table = table.with_columns(pl.int_ranges(pl.col(view).list.len()).alias("index"))
        table = table.select(c for c in table.columns if c in wanted)
        table = table.with_columns(pl.col(view).alias(f"all_{view}")).explode(spread)
        renames = {view: name} | ({"diagnoses_text": "diagnosis_text"} if view == "diagnoses" else {})
        table = table.rename(renames)
        if view == "diagnoses":
            status = codeset.diagnosis_status(table["diagnosis"])
            table = table.join(status, on="diagnosis", how="left", maintain_order="left")
            if "diagnosis_excludes" in columns:
                before = table.select(pl.col("all_diagnoses").list.head("index")).to_series()
                table = table.hstack(codeset.excluded(table["diagnosis"], before))
        return table

    def findings(self) -> list[Finding]:
        """All findings of all cases, in no particular order."""
        result: list[Finding] = []
        for view, cases in self._cases.items():
            expressions = [e for _, finds in cases for e in (finds.when, *(finds.values or {}).values())]
            table = self.view(view, {root for e in expressions for root in e.meta.root_names()})
            schema = dict(self._table.schema) | dict(table.schema)
            result += self._found(view, table, schema, [case for case in cases if not case[0].origin])
            for rule, finds in (case for case in cases if case[0].origin):
                try:
                    result += self._found(view, table, schema, [(rule, finds)])
                except Exception as error:  # noqa: BLE001 - see `add`
                    self._failed(rule, error)
        return result

    def _found(
        self, view: str, table: pl.DataFrame, schema: dict[str, pl.DataType], cases: Sequence[tuple[Rule, Finds]]
    ) -> list[Finding]:
        """What these cases find: all conditions in one query, then what is shown of those that hold somewhere."""
        masks = table.lazy().select(finds.when.alias(str(i)) for i, (_, finds) in enumerate(cases)).collect()
        hit = [(i, rule, finds) for i, (rule, finds) in enumerate(cases) if masks[str(i)].any()]
        # Windows in `values` look at the whole view, so they are worked out before the hits are taken.
        named = [(i, name, e) for i, _, finds in hit for name, e in (finds.values or {}).items()]
        values = table.lazy().select(e.alias(f"{i} {name}") for i, name, e in named).collect()
        result: list[Finding] = []
        for i, rule, finds in hit:
            where = masks[str(i)].arg_true()
            if finds.unchecked:
                self._cannot(rule, finds.unchecked.format(count=f"{len(where):,}"), finds.hint, whole=False)
                continue
            own = values.select(pl.col(f"{i} {name}").alias(name) for name in finds.values or {})
            result += self._hits(view, table, schema, rule, finds, where, own)
        return result

    def _hits(
        self,
        view: str,
        table: pl.DataFrame,
        schema: dict[str, pl.DataType],
        rule: Rule,
        finds: Finds,
        where: pl.Series,
        values: pl.DataFrame,
    ) -> list[Finding]:
        shown = self._shown(view, rule, finds, schema | dict(values.schema))
        asked = {root for e in (*shown, *self._fixed(view, rule, finds, schema)) for root in e.meta.root_names()}
        asked = (asked | {"row", *_WIDE.get(view, ())}) - set(values.columns)
        own = [c for c in asked if c in table.columns]
        hits = table.select(own)[where]
        if others := asked.difference(own):
            hits = hits.hstack(self._table.select(others)[hits["row"]])
        if values.width:
            hits = hits.hstack(values[where])
        if view in _ONE:
            hits = hits.unique(_WIDE[view], keep="first", maintain_order=True)
        return self._of(view, rule, finds, hits, hits.select(shown), schema)

    def _shown(self, view: str, rule: Rule, finds: Finds, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
        """What a finding says of a hit."""
        severity = pl.lit(rule.severity) if finds.severity is None else finds.severity
        hint = template(finds.hint or rule.hint, schema)
        if rule.policy:
            verify = pl.any_horizontal(pl.col(f"policy_{k}_verify").fill_null(False) for k in rule.policy)
            severity = pl.when(verify & (severity == "error")).then(pl.lit("warning")).otherwise(severity)
            source = pl.coalesce(pl.col(f"policy_{k}_source") for k in rule.policy)
            caveat = pl.when(verify).then(pl.lit(" (not confirmed: check the plan)")).otherwise(pl.lit(""))
            hint = hint + pl.when(source.is_not_null()).then(pl.lit(". Policy: ") + source + caveat).otherwise(
                pl.lit("")
            )
        return [
            *map(pl.col, _OF_HIT),
            pl.col(_CHARGE.get(view, "charge")).alias("cents"),
            (pl.col("index") if view in _INDEXED else pl.lit(-1)).alias("index"),
            template(finds.message or rule.message, schema).alias("message"),
            hint.alias("hint"),
            severity.alias("severity"),
        ]

    def _of(
        self,
        view: str,
        rule: Rule,
        finds: Finds,
        hits: pl.DataFrame,
        wanted: pl.DataFrame,
        schema: Mapping[str, pl.DataType],
    ) -> list[Finding]:
        at_risk = hits.filter(wanted["severity"] != "info")
        if keys := _WIDE.get(view):
            self._risk_keys.setdefault(tuple(keys), []).append(at_risk.select(keys))
        else:
            self._risk[at_risk["row"].to_numpy()] = True
        field_name = finds.field or rule.field
        corrections = self._corrections(rule, finds, view, hits, schema)
        # A value of the claim that several of its lines repeat stands at one place and is one finding.
        at_place: dict[tuple[object, ...], Finding] = {}
        for at, row in enumerate(wanted.iter_rows(named=True)):
            name, made = self._reads[row["file_no"]]
            positions = {p: row[p] for p in lines.POSITIONS}
            place = made.locate(positions, field_name, row["index"], self._show_phi)
            cents = row["cents"]
            key = (name, place.line, place.column, place.element, row["claim_key"], row["message"])
            if (first := at_place.get(key)) is not None:
                cents = (first.charge_cents or 0) + (cents or 0)
                at_place[key] = replace(first, charge_cents=cents, service_line=None, procedure=None)
                continue
            at_place[key] = finding(
                rule,
                name,
                place,
                row["message"],
                row["hint"],
                row["severity"],
                row,
                cents,
                field_name,
                corrections.get(at),
            )
        return list(at_place.values())

    def _fixed(self, view: str, rule: Rule, finds: Finds, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
        """What a fix of a hit is; nothing for a condition without one."""
        if finds.fix is None:
            return []
        verify = pl.any_horizontal(pl.lit(not finds.safe), *(pl.col(f"policy_{k}_verify") for k in rule.policy))
        entry = _INDEXED.get(view)
        column = entry or finds.field or rule.field
        return [
            pl.col("file_no"),
            pl.col("row"),
            pl.col("claim_key"),
            *map(pl.col, lines.POSITIONS),
            finds.fix.alias("new"),
            pl.col(f"{column}_text" if f"{column}_text" in schema else column).cast(pl.String).alias("old"),
            verify.fill_null(False).alias("unsafe"),
            (pl.col("index") if entry else pl.lit(-1)).alias("index"),
            (pl.col(f"all_{view}").cast(pl.List(pl.String)) if entry else pl.lit(None)).alias("entries"),
        ]

    def _corrections(
        self, rule: Rule, finds: Finds, view: str, hits: pl.DataFrame, schema: Mapping[str, pl.DataType]
    ) -> dict[int, Fix]:
        """By its number among the hits, the fix of each that has one."""
        if finds.fix is None:
            return {}
        column = finds.field or rule.field
        rows = hits.select(self._fixed(view, rule, finds, schema)).with_row_index("at")
        # Every row of a claim repeats what is the claim's.
        alike: dict[int, list[dict[str, int]]] = {}
        if view in ("claim", "diagnoses"):
            csvs = [n for n, (_, made) in enumerate(self._reads) if made.format == "csv"]
            keys = rows.filter(pl.col("new").is_not_null() & pl.col("file_no").is_in(csvs))["claim_key"]
            same = self._table.filter(pl.col("claim_key").is_in(keys.implode()))
            for each in same.select("claim_key", "row", *lines.POSITIONS).iter_rows(named=True):
                alike.setdefault(each["claim_key"], []).append(each)
        result = {}
        for row in rows.filter(pl.col("new").is_not_null()).iter_rows(named=True):
            made = self._reads[row["file_no"]][1]
            others = [each for each in alike.get(row["claim_key"], ()) if each["row"] != row["row"]]
            spots = [{p: each[p] for p in lines.POSITIONS} for each in (row, *others)]
            entries = [row["old"], row["new"]]
            if not row["new"]:  # what follows moves up, and the list's last place is emptied
                entries = [*row["entries"][row["index"] :], ""]
            edits = [
                Edit(made.locate(spot, column, row["index"] + k, self._show_phi), old, new, also=n > 0)
                for n, spot in enumerate(spots)
                for k, (old, new) in enumerate(itertools.pairwise(entries))
            ]
            private = column in lines.BY_NAME and lines.BY_NAME[column].phi
            result[row["at"]] = Fix(not row["unsafe"], row["new"], tuple(edits), private, made.separator)
        return result

    def charges(self) -> pl.DataFrame:
        """A row per service line of the run: charge (US cents), and `at_risk` if it has an error or a warning."""
        for keys, frames in self._risk_keys.items():
            hit = pl.concat(frames).unique().with_columns(hit=True)
            found = self._table.select(keys).join(hit, on=keys, how="left", maintain_order="left")["hit"]
            self._risk |= found.fill_null(False).to_numpy()
        risk = self._table.select("past", "charge").with_columns(at_risk=pl.Series(self._risk, dtype=pl.Boolean))
        return risk.filter(~pl.col("past")).select(pl.col("charge").fill_null(0), "at_risk")


def finding(
    rule: Rule,
    file: str,
    place: Place,
    message: str,
    hint: str,
    severity: Severity,
    row: Mapping[str, Any],
    cents: int | None,
    field_name: str = "",
    fix: Fix | None = None,
) -> Finding:
    """A rule's finding at a place. `row` has what is known of the claim or line; `cents` are at risk by it."""
    claim, line = row.get("claim_id"), row.get("service_line")
    procedure, date = row.get("procedure"), row.get("service_date")
    mark = fingerprint(rule.code, claim, date, procedure, line, field_name, message)
    return Finding(
        rule.code,
        rule.name,
        severity,
        message,
        hint,
        file,
        place,
        claim,
        line,
        procedure,
        date,
        row.get("payer_class"),
        cents,
        rule.snip,
        rule.carc,
        rule.source,
        mark,
        fix,
    )


def correction(problem: Problem) -> Fix | None:
    """The fix of a reader's finding. A wrong count may mean that something was lost, so none is safe."""
    if problem.correction is None:
        return None
    old, new = problem.correction
    return Fix(False, new, (Edit(problem.place, old, new),), private=False, separator="")


def template(text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """A message with `{column}` placeholders as an expression; money in USD, dates in ISO form, lists with commas."""
    parts = re.split(r"\{(\w+)\}", text)
    exprs = [_as_text(name, schema[name]) if i % 2 else pl.lit(name) for i, name in enumerate(parts)]
    return pl.concat_str(exprs)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    known = lines.BY_NAME.get(name)
    if (known and known.kind == "money") or name.endswith("_cents"):
        cents = column.abs() % 100
        sign = pl.when(column < 0).then(pl.lit("-")).otherwise(pl.lit(""))
        text = pl.concat_str(
            sign, pl.lit("$"), (column.abs() // 100).cast(pl.String), pl.lit("."), cents.cast(pl.String).str.zfill(2)
        )
    elif dtype == pl.List:
        text = column.cast(pl.List(pl.String)).list.join(", ")
    elif dtype.is_float():
        text = column.cast(pl.String).str.replace(r"\.0$", "")
    else:
        text = column.cast(pl.String)
    return text.fill_null("nothing")
