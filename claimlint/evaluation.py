"""Rules over the table: what each can check, what it finds, and what is at risk by it."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from claimlint import causes, icd10cm, lines, policy, registers, vocabulary
from claimlint.findings import NotChecked
from claimlint.hits import Correction, Replacement
from claimlint.inputs import Options
from claimlint.readers import Read
from claimlint.rules import Finds, Rule
from claimlint.sources import relative
from claimlint.threads import in_order
from claimlint.wording import template

# What a finding puts at risk when it is about more than one line: the claim's charges, or the patient's day's.
_WIDE = {"claim": ["claim_key"], "diagnoses": ["claim_key"], "session": ["session_key"],
         "patient": ["patient_key"]}  # fmt: skip
_CHARGE = {"claim": "claim_lines_charge", "diagnoses": "claim_lines_charge", "session": "session_charge",
           "patient": "patient_charge"}  # fmt: skip
_ONE = ("claim", "session", "patient")  # views that have one finding for all rows of their key
# What is known of every hit.
_OF_HIT = ("file_no", "row", "claim_key", *lines.POSITIONS, "claim_id", "service_line", "procedure", "service_date",
           "payer_class")  # fmt: skip
_ALWAYS = ("past", "file_no", "payer_class")  # what every condition is limited by
_ROWS = 10_000  # taken out of a view at a time, about
_INDEXED = {"modifiers": "modifier", "diagnoses": "diagnosis", "pointers": "pointer"}


class Memory:
    """Where conditions held in a table, for the next table, which is nearly the same: a document while it is typed.

    A condition that reads only columns that are as they were holds where it held.
    """

    def __init__(self) -> None:
        self._of: object = None
        # By view, the table and where conditions held in it; those of another table would be of another state.
        self._views: dict[str, tuple[pl.DataFrame, dict[int, tuple[Finds, pl.Series]]]] = {}

    def begin(self, of: object) -> None:
        """A new table; forget what was known if it is not of the same `of`."""
        if self._of != of:
            self._of, self._views = of, {}

    def masks(self, view: str, table: pl.DataFrame, cases: Sequence[_Case]) -> dict[int, pl.Series]:
        """Where conditions hold that need not be evaluated, by their numbers in `cases`."""
        before, masks = self._views.get(view, (None, {}))
        if before is None or before.height != table.height:
            return {}
        asked = {root for case in cases for root in (*case.finds.roots, *_ALWAYS)}
        same = {c for c in asked if c in before.columns and before[c].equals(table[c], null_equal=True)}
        known = {i: masks.get(id(case.finds)) for i, case in enumerate(cases)}
        return {i: mask[1] for i, mask in known.items() if mask and same.issuperset((*mask[0].roots, *_ALWAYS))}

    def keep(self, view: str, table: pl.DataFrame, cases: Sequence[_Case], masks: Sequence[pl.Series]) -> None:
        """Note where all conditions of a view hold."""
        self._views[view] = table, {id(c.finds): (c.finds, mask) for c, mask in zip(cases, masks, strict=True)}


class _Case(NamedTuple):
    """A condition of a rule, and when it is looked at here: not in files that lack a column that it needs."""

    rule: Rule
    finds: Finds
    when: pl.Expr


class _Taken(NamedTuple):
    """Where a condition holds, and the values that its message names there."""

    rule: Rule
    finds: Finds
    where: pl.Series
    values: list[pl.Series]


class Evaluation:
    """Rules gathered by the view they see, then run over each view in one query."""

    def __init__(
        self,
        table: pl.DataFrame,
        reads: Mapping[int, tuple[str, Read]],
        given: registers.Registers,
        options: Options,
        memory: Memory | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self._options, self.suppressed = options, Counter[int]()
        self._memory = memory
        # Of several tables each has its thread.
        self._each = in_order if alone else map
        if memory:
            memory.begin({n: (name, made.columns) for n, (name, made) in reads.items()})
        self._table, self._reads = table, reads
        of_kind = {prefix: getattr(given, kind) for prefix, (kind, *_) in registers.KINDS.items()}
        self._has = {prefix: each and each.columns for prefix, each in of_kind.items()}
        self._cases: dict[str, list[_Case]] = {}
        # By what tells the rows: cause, and that of what is put at risk.
        self._risk: dict[tuple[str, ...], list[pl.DataFrame]] = {}
        unknown = table.filter(pl.col("payer_class").is_null() & ~pl.col("past"))
        self._unknown_payers = unknown["claim_key"].n_unique()
        self._payer_classes = set(table["payer_class"].unique())
        self._silent = {c.name for c in table if c.null_count() == table.height}
        self._case = 0
        self._hits_found: list[pl.DataFrame] = []
        # With how many it is about, where `{count}` stands in the reason.
        self.not_checked: Counter[NotChecked] = Counter()

    def add(self, rule: Rule, only: pl.Expr | None = None) -> None:
        """Take a rule in (for `only` these rows), without what the files and registers do not let it check."""
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
            if only is not None:
                when = when & only
            absent = self._missing_columns(roots)
            if absent:
                without = sorted(absent)
                names = list(dict.fromkeys(relative(self._reads[n][0]) for n in without))
                files = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
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
                if self._payer_classes.isdisjoint(rule.payers) and not rule.across:  # whose lines others may look at
                    continue
                when = when & pl.col("payer_class").is_in(rule.payers)
            if finds.only_with in self._silent:
                continue
            self._cases.setdefault(finds.view or rule.view, []).append(_Case(rule, finds, when))
        if self._unknown_payers and (rule.payers or rule.policy):
            self._cannot(
                rule,
                "the payer class of {count} claims is not known",
                f"fill the claim filing indicator (SBR09), or say --payer with one of {', '.join(policy.CLASSES)}",
                whole=False,
                count=self._unknown_payers,
            )

    def _failed(self, rule: Rule, error: Exception) -> None:
        """One of the user's rules failed: it is not checked. Raises the error of one that is claimlint's own."""
        if not rule.origin:
            raise error
        # The error's own text may quote a claim.
        self._cannot(
            rule, f"the rule failed ({type(error).__name__})", f"correct it: {relative(rule.origin)}", whole=True
        )

    def _cannot(self, rule: Rule, reason: str, enable: str, *, whole: bool, count: int = 0) -> None:
        self.not_checked[NotChecked(rule.code, rule.name, reason, enable, whole)] += count

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
        lacks = {columns: needed - columns for columns in {made.columns for _, made in self._reads.values()}}
        if not any(lacks.values()):
            return {}
        return {n: lacks[made.columns] for n, (_, made) in self._reads.items() if lacks[made.columns]}

    def view(self, view: str, columns: set[str]) -> pl.DataFrame:
        """The table as a view sees it. One with a row per modifier, diagnosis or pointer has only these columns."""
        name = _INDEXED.get(view)
        if name is None:
            return self._table
        spread = [view, "index"] + (["diagnoses_text"] if view == "diagnoses" else [])
        wanted = columns | {"row", *spread}
        which = pl.col(view).is_not_null()
        if view == "diagnoses":  # of the claim, not of each line
            which &= pl.col("row") == pl.col("row").min().over("claim_key")
        rows = self._table.select(which).to_series().arg_true()
        table = self._table.select(c for c in self._table.columns if c in wanted)[rows]
        table = table.with_columns(
            pl.int_ranges(pl.col(view).list.len()).alias("index"), pl.col(view).alias(f"all_{view}")
        ).explode(spread)
        renames = {view: name} | ({"diagnoses_text": "diagnosis_text"} if view == "diagnoses" else {})
        table = table.rename(renames)
        if view == "diagnoses":
            status = icd10cm.diagnosis_status(table["diagnosis"])
            table = table.join(status, on="diagnosis", how="left", maintain_order="left")
            if "diagnosis_excludes" in columns:
                before = table.select(pl.col("all_diagnoses").list.head("index")).to_series()
                table = table.hstack(icd10cm.excluded(table["diagnosis"], before))
        return table

    def run(self) -> None:
        """Evaluate all cases: `hits` then has what they find."""

        def held(view: str) -> tuple[str, pl.DataFrame, Sequence[_Case], Sequence[pl.Series]]:
            cases = self._cases[view]
            table = self.view(view, {root for case in cases for root in (*case.finds.roots, *_ALWAYS)})
            shipped = [case for case in cases if not case.rule.origin]
            return view, table, shipped, self._masks(view, table, shipped)

        for view, table, shipped, masks in self._each(held, self._cases):
            schema = dict(self._table.schema) | dict(table.schema)
            self._found(view, table, schema, shipped, masks)
            for case in (case for case in self._cases[view] if case.rule.origin):
                try:
                    self._found(view, table, schema, [case], self._masks(view, table, [case]))
                except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - see `add`
                    self._failed(case.rule, error)

    def _found(
        self,
        view: str,
        table: pl.DataFrame,
        schema: dict[str, pl.DataType],
        cases: Sequence[_Case],
        masks: Sequence[pl.Series],
    ) -> None:
        """What is shown of the conditions that hold somewhere."""
        hit = [(i, case.rule, case.finds) for i, case in enumerate(cases) if masks[i].any()]
        # Windows in `values` look at the whole view, so they are worked out before the hits are taken.
        named = [(i, name, e) for i, _, finds in hit for name, e in (finds.values or {}).items()]
        values = table.lazy().select(e.alias(f"{i} {name}") for i, name, e in named).collect()
        taken: list[_Taken] = []
        for i, rule, finds in hit:
            where = masks[i].arg_true()
            if finds.unchecked:
                self._cannot(rule, finds.unchecked, finds.hint, whole=False, count=len(where))
                continue
            if taken and sum(len(each.where) for each in taken) + len(where) > _ROWS:
                self._take(view, table, schema, taken)
                taken = []
            own = [values[f"{i} {name}"][where].alias(name) for name in finds.values or {}]
            taken.append(_Taken(rule, finds, where, own))
        if taken:
            self._take(view, table, schema, taken)

    def _masks(self, view: str, table: pl.DataFrame, cases: Sequence[_Case]) -> list[pl.Series]:
        """Where each condition holds, all in one query."""
        memory = self._memory if cases and not cases[0].rule.origin else None
        known = memory.masks(view, table, cases) if memory else {}
        new = {str(i): case for i, case in enumerate(cases) if i not in known}
        found = table.lazy().select(case.when.alias(i) for i, case in new.items()).collect()
        masks = [known[i] if i in known else found[str(i)] for i in range(len(cases))]
        if memory:
            memory.keep(view, table, cases, masks)
        return masks

    def _take(self, view: str, table: pl.DataFrame, schema: dict[str, pl.DataType], taken: Sequence[_Taken]) -> None:
        """Take the rows of several conditions out of a view, all at once: each time costs much, each row little."""
        known = _known(view)
        asked = {"row", *_WIDE.get(view, ()), *_roots(known)}
        told = []
        for rule, finds, _, values in taken:
            shown = self._shown(view, rule, finds, schema | {each.name: each.dtype for each in values})
            asked |= _roots((*shown, *self._fixed(view, rule, finds, schema))).difference(v.name for v in values)
            told.append(shown)
        own = [c for c in asked if c in table.columns]
        every = table.select(own)[pl.concat([each.where for each in taken])]
        if others := asked.difference(own):
            every = every.hstack(self._table.select(others)[every["row"]])
        every = every.with_columns(known)
        names = [e.meta.output_name() for e in known]
        begin = 0
        for (rule, finds, where, values), shown in zip(taken, told, strict=True):
            hits = every.slice(begin, len(where))
            begin += len(where)
            if values:  # a value may have the name of a column, and then stands for it
                hits = hits.with_columns(values)
            if view in _ONE:  # the line that speaks for the others does not depend on how the rows stand
                number = pl.col("service_line").cast(pl.Int64, strict=False)
                hits = hits.sort("service_date", "claim_id", number, "row", nulls_last=True, maintain_order=True)
                hits = hits.unique(_WIDE[view], keep="first", maintain_order=True)
            self._of(view, rule, finds, hits, hits[names].hstack(hits.select_seq(shown)), schema)

    def _shown(self, view: str, rule: Rule, finds: Finds, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
        """What a finding of this condition says of a hit, beside what is known of every hit."""
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
            template(finds.message or rule.message, schema).alias("message"),
            hint.alias("hint"),
            severity.alias("severity"),
            causes.key(rule, finds.field or rule.field, _INDEXED.get(view), schema).alias("cause"),
        ]

    def _of(
        self,
        view: str,
        rule: Rule,
        finds: Finds,
        hits: pl.DataFrame,
        wanted: pl.DataFrame,
        schema: Mapping[str, pl.DataType],
    ) -> None:
        scope = self._options.scope
        chosen = self._options.rules is None or rule.code in self._options.rules
        if not chosen or scope.concerns(rule.code):
            each = wanted.select("file_no", "claim_id", "payer_class", "payer", "severity").with_row_index("at")
            kept, suppressed = scope.told(rule.code, each, self._reads, self._options.as_of, chosen=chosen)
            self.suppressed.update(suppressed)
            hits, wanted = hits[kept["at"]], wanted[kept["at"]].with_columns(kept["severity"])
        keys = _WIDE.get(view, ["row"])
        at_risk = pl.DataFrame([wanted["cause"], *(hits[key] for key in keys)])
        if (harmless := wanted["severity"] == "info").any():
            at_risk = at_risk.filter(~harmless)
        self._risk.setdefault(tuple(keys), []).append(at_risk)
        corrections = self._corrections(rule, finds, view, hits, schema)
        self._case += 1
        alike = pl.DataFrame(
            {"code": [rule.code], "case": [self._case], "column": [finds.field or rule.field], "correction": [None]},
            {"code": pl.String, "case": pl.Int32, "column": pl.String, "correction": pl.Binary},
        )
        told = wanted.hstack([each.new_from_index(0, wanted.height) for each in alike])
        if corrections:
            of_each = [corrections.get(at) for at in range(wanted.height)]
            told = told.with_columns(pl.Series("correction", of_each, pl.Binary))
        self._hits_found.append(told)

    def rows_of(self, rules: Sequence[Rule], group: tuple[str, ...]) -> pl.DataFrame:
        """The rows of groups that go beyond this table, with what these rules of theirs need to look at them elsewhere.

        A finding may put a whole claim or session at risk, so these come along whole. Rules that were not taken in need
        nothing, and those about a register only the rows that it knows.
        """
        taken = {id(case.rule) for cases in self._cases.values() for case in cases}
        rules = [rule for rule in rules if id(rule) in taken]
        if not rules:
            return pl.DataFrame()
        schema = self._table.schema
        needed = {"row", "past", "charge", spans(group), *_OF_HIT, *_CHARGE.values()}
        needed |= {key for keys in _WIDE.values() for key in keys}
        asked: set[str] = set()
        for rule in rules:
            for finds in rule.conditions():
                view, values = finds.view or rule.view, finds.values or {}
                shown = self._shown(view, rule, finds, {**schema, **dict.fromkeys(values, pl.String())})
                shown += _known(view)
                needed |= _roots((finds.when, *values.values(), *shown, *self._fixed(view, rule, finds, schema)))
                asked |= vocabulary.needs(finds)
        of_registers = [pl.col(c).is_not_null() for c in asked if c.startswith(tuple(registers.KINDS)) and c in schema]
        known = pl.any_horizontal(of_registers) if of_registers else pl.lit(True)
        whole = [(pl.col(spans(group)) & known).any().over(key) for key in ("claim_key", "session_key")]
        return _own(self._table.filter(pl.any_horizontal(whole)).select(c for c in schema if c in needed))

    def hits(self) -> pl.DataFrame:
        """A row for every row that a condition holds for; see `hits.located` for its columns."""
        self._hits_found = [pl.concat(self._hits_found)] if self._hits_found else []
        return self._hits_found[0] if self._hits_found else pl.DataFrame()

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
    ) -> dict[int, bytes]:
        """By its number among the hits, the pickled `Correction` of each that has one."""
        if finds.fix is None:
            return {}
        rows = hits.select(self._fixed(view, rule, finds, schema)).with_row_index("at")
        # Every row of a claim repeats what is the claim's.
        alike: dict[int, list[dict[str, int]]] = {}
        if view in ("claim", "diagnoses"):
            csvs = [n for n, (_, made) in self._reads.items() if made.format == "csv"]
            keys = rows.filter(pl.col("new").is_not_null() & pl.col("file_no").is_in(csvs))["claim_key"]
            same = self._table.filter(pl.col("claim_key").is_in(keys.implode()))
            for each in same.select("claim_key", "row", *lines.POSITIONS).iter_rows(named=True):
                alike.setdefault(each["claim_key"], []).append(each)
        result = {}
        for row in rows.filter(pl.col("new").is_not_null()).iter_rows(named=True):
            others = [each for each in alike.get(row["claim_key"], ()) if each["row"] != row["row"]]
            spots = [{p: each[p] for p in lines.POSITIONS} for each in (row, *others)]
            entries = [row["old"], row["new"]]
            if not row["new"]:  # what follows moves up, and the list's last place is emptied
                entries = [*row["entries"][row["index"] :], ""]
            edits = [
                Replacement(spot, row["index"] + k, old, new, also=n > 0)
                for n, spot in enumerate(spots)
                for k, (old, new) in enumerate(itertools.pairwise(entries))
            ]
            result[row["at"]] = pickle.dumps(Correction(not row["unsafe"], row["new"], edits))
        return result

    def at_risk(self) -> pl.DataFrame:
        """The service lines that a cause puts at risk: cause and row, once each."""
        rows = self._table.select({"row", *(key for keys in self._risk for key in keys)})
        rows = rows.filter(~self._table["past"])
        found = [pl.concat(found).join(rows, on=keys).select("cause", "row") for keys, found in self._risk.items()]
        return pl.concat(found).unique() if found else pl.DataFrame(schema={"cause": pl.String, "row": pl.UInt32})

    def charges(self) -> pl.Series:
        """The charge of each service line of the run (US cents)."""
        return self._table.filter(~pl.col("past"))["charge"].fill_null(0)

    def risk(self, at_risk: pl.DataFrame, new: pl.Series) -> causes.Risk:
        """What is at risk (see `at_risk`); `new` are the rows of it that nothing else put at risk."""
        own = ("claim_key", "charge", "service_date", "payer_name", "payer_id", "payer_class", "rendering_npi",
               "billing_npi")  # fmt: skip
        lines_at_risk = self._table.select("row", *own).with_columns(pl.col("charge").fill_null(0))
        found = at_risk.join(lines_at_risk.select("row", "claim_key", "charge"), on="row")
        sums = pl.col("charge").sum().alias("cents")
        by_rule = found.with_columns(causes.CODE.alias("code")).unique(["code", "row"])
        lines_at_risk = lines_at_risk.filter(pl.col("row").is_in(new.implode()))
        hits = self.hits()
        return causes.Risk(
            _own(causes.told(hits.filter(pl.col("severity") != "info")) if hits.height else pl.DataFrame()),
            found.group_by(causes.KEY, "claim_key").agg(sums),
            lines_at_risk.group_by("claim_key").agg(sums),
            _own(causes.shares(by_rule, lines_at_risk)),
        )


def _known(view: str) -> list[pl.Expr]:
    """What is known of every hit in a view, whatever the condition."""
    return [
        *map(pl.col, _OF_HIT),
        pl.col(_CHARGE.get(view, "charge")).alias("cents"),
        (pl.col("index") if view in _INDEXED else pl.lit(-1)).cast(pl.Int32).alias("index"),
        causes.PAYER_NAME.alias("payer"),
        causes.PROVIDER_NPI.alias("provider"),
    ]


def _roots(expressions: Iterable[pl.Expr]) -> set[str]:
    return {root for e in expressions for root in e.meta.root_names()}


def _own(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with texts of its own: a few texts of a column keep those of all rows in memory."""
    return pl.DataFrame(frame.to_dict(as_series=False), frame.schema)


def spans(group: tuple[str, ...]) -> str:
    """The column that says whether a line's group (see `Rule.across`) has lines in other parts."""
    return f"spans_{'_'.join(group)}"
