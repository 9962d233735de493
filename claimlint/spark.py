"""Lint a folder of claim files on Apache Spark: the same readers, rules and places, on as many machines as there are.

    from claimlint import spark
    findings = spark.lint(session, ["s3a://claims/2026/"], Options(as_of=...))
    findings.write.parquet("s3a://findings/2026-02-02")

or `spark.lint(session, session.table("claims"), ...)` for a table, a row per service line.

Files are read in parallel, each by the reader for its format. Their lines go, as Arrow batches, to parts of whole
patients, where the rules that a single machine runs are run on them; lines of several patients that a rule groups
(`Rule.across`) go once more to a part by that group. What is found goes back to its file and is placed there.

Needs the extra `claimlint-rcm[spark]`, on the driver and on the workers.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from claimlint import ClaimlintError, codeset, config, lines, own, registers, rules
from claimlint.engine import Options, by_read
from claimlint.evaluation import Evaluation, spans
from claimlint.findings import Finding
from claimlint.hits import file_finding, located, of_reader, repeated_interchanges, unpacked
from claimlint.inputs import read_registers
from claimlint.intake import read_bytes
from claimlint.readers import Problem, Read
from claimlint.shelf import group_key, part_of
from claimlint.table import enrich, typed
from claimlint.table import numbered as numbered_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LINES, _FILE = 0, 1  # kinds of rows that reading gives: lines of a part, and what is known of a file
_READ = "kind int, file_no int, part int, payload binary"
_HITS = "file_no int, joint int, part int, payload binary"
FINDINGS = (
    "code string, name string, severity string, message string, hint string, file string, line int, column int, "
    "end_line int, end_column int, segment string, element string, claim_id string, service_line string, "
    "procedure string, service_date string, payer_class string, charge_cents bigint, snip int, carc string, "
    "source string, fingerprint string"
)


class NoFiles(ClaimlintError):
    """There are no files to lint."""


@dataclass(frozen=True)
class _File:
    """What the rules ask of a file: its name, and a read of it without lines and places."""

    name: str
    made: Read | None
    failed: tuple[str, str] | None


@dataclass(frozen=True)
class _Job:
    """What every task is told."""

    options: Options
    parts: int
    config_file: Path | None
    given: registers.Registers

    def begin(self) -> None:
        """Use the configuration of the job in the process of a task."""
        told = config.load(self.config_file)
        codeset.use(told.overlays)
        rules.use(own.rules_of(told.rules), plugins=True)

    def rules(self) -> list[rules.Rule]:
        """The rules to run."""
        return self.options.chosen()

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """By what rules group lines of several patients."""
        return sorted({rule.across for rule in self.rules() if rule.across})


def lint(
    session: SparkSession,
    claims: Sequence[str] | DataFrame,
    options: Options,
    *,
    parts: int = 0,
    config_file: Path | None = None,
) -> DataFrame:
    """Findings on claims, as a DataFrame with the columns of `FINDINGS`, in no order; `charge_cents` is at risk.

    `claims` are folders or globs of files, or a table whose columns are named as in docs/columns.md (text, dates,
    numbers or arrays; others are ignored). A table has no places: `file` and `line` number its partitions and their
    rows. `parts` is into how many the patients are parted (by default as many as `spark.sql.shuffle.partitions`); a
    part has to fit into a worker's memory, and so has a file. Earlier exports (`Options.history`) and `first_day` are
    not supported. Raises NoFiles where there are none.
    """
    if options.history or options.first_day:
        raise ClaimlintError("Spark runs take neither earlier exports nor another first day")
    shuffled = int(session.conf.get("spark.sql.shuffle.partitions") or 200)
    job = _Job(replace(options, progress=None), parts or shuffled, config_file, read_registers(options))
    if isinstance(claims, Sequence):
        found = session.read.format("binaryFile").option("recursiveFileLookup", "true").load(list(claims))
    else:
        found = _as_files(claims, job.parts).persist()
    names = sorted((row.path for row in found.select("path").collect()), key=PurePath)  # as `sources` has them
    if not names:
        raise NoFiles(f"no files in {', '.join(claims)}" if isinstance(claims, Sequence) else "the table has no rows")
    number = session.createDataFrame(list(enumerate(names)), "file_no int, path string")
    files = found.select("path", "content").join(number, "path").repartition(min(len(names), job.parts))
    reads = files.mapInArrow(_reader(job), _READ).persist()
    told = reads.where(f"kind = {_FILE}").orderBy("file_no").collect()
    known: dict[int, _File] = {row.file_no: pickle.loads(row.payload) for row in told}  # noqa: S301 - our own
    of_patients = reads.where(f"kind = {_LINES}").groupBy("part").applyInArrow(_linter(job, known), _HITS)
    if job.groups:
        of_patients = of_patients.persist()
        joint = of_patients.where("joint >= 0").groupBy("joint", "part").applyInArrow(_joint_linter(job, known), _HITS)
        of_patients = of_patients.where("joint < 0").unionByName(joint)
    placed = of_patients.groupBy("file_no").cogroup(files.groupBy("file_no"))
    return placed.applyInArrow(_placer(job, known), FINDINGS)


def _as_files(table: DataFrame, parts: int) -> DataFrame:
    """A table as CSV files, each of whole claims."""
    from pyspark import TaskContext
    from pyspark.sql import functions as f

    known = [field for field in table.schema.fields if field.name in lines.BY_NAME]
    if missing := [name for name in lines.NEEDED if name not in {field.name for field in known}]:
        raise ClaimlintError(f"the table has no column {missing[0]}; docs/columns.md has the names")
    arrays = {field.name for field in known if field.dataType.typeName() == "array"}
    texts = [
        (f.array_join(field.name, ",") if field.name in arrays else f.col(field.name).cast("string")).alias(field.name)
        for field in known
    ]
    names = [field.name for field in known]

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        frames = [pl.DataFrame(batch) for batch in batches if batch.num_rows]
        if frames:
            context = TaskContext.get()
            assert context
            name = f"table-{context.partitionId():05d}.csv"
            text = pl.concat(frames).write_csv().encode()
            yield from _rows("path string, content binary", [(name, text)]).to_batches()

    # Lines in their order, and all sorted, so that a partition that has to be made again is the same.
    number = [f.expr("try_cast(service_line AS int)")] if "service_line" in names else []
    whole = table.select(texts).repartition(parts, "claim_id").sortWithinPartitions("claim_id", *number, *names)
    return whole.mapInArrow(write, "path string, content binary")


def _rows(schema: str, rows: Sequence[Sequence[object]]) -> pa.Table:
    """Rows as an Arrow table of this Spark schema."""
    kinds = {"int": pa.int32(), "bigint": pa.int64(), "string": pa.string(), "binary": pa.binary()}
    fields = [pa.field(name, kinds[kind]) for name, kind in (each.split() for each in schema.split(", "))]
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _as_bytes(frame: pl.DataFrame) -> bytes:
    import io

    out = io.BytesIO()
    frame.write_ipc(out, compression="lz4")
    return out.getvalue()


def _frames(table: pa.Table) -> pl.DataFrame:
    """The frames that a table of payloads holds, in the order of their files, as one."""
    payloads = sorted(zip(table["file_no"].to_pylist(), table["payload"].to_pylist(), strict=True), key=lambda p: p[0])
    return pl.concat([pl.read_ipc(payload) for _, payload in payloads])


def _name(path: str) -> str:
    return path.removeprefix("file://") if path.startswith("file:///") else path.removeprefix("file:")


def _reader(job: _Job) -> Any:
    """Reads files: rows of `_READ` for each."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        job.begin()
        for batch in batches:
            for row in batch.to_pylist():
                number, name = row["file_no"], _name(row["path"])
                made = read_bytes(row["content"], name, job.options)
                if isinstance(made, tuple):
                    rows = [(_FILE, number, -1, pickle.dumps(_File(name, None, made)))]
                else:
                    table = typed({number: made}, past=False).with_columns(part_of(job.parts))
                    rows = [
                        (_LINES, number, int(part), _as_bytes(own_lines.drop("part")))
                        for (part,), own_lines in table.partition_by("part", as_dict=True).items()
                    ]
                    bare = replace(made, lines=made.lines.clear(), locate=_nowhere, problems=[])
                    rows.append((_FILE, number, -1, pickle.dumps(_File(name, bare, None))))
                yield from _rows(_READ, rows).to_batches()

    return run


def _nowhere(*_: object) -> Any:
    raise AssertionError("places are found in the file itself")


def _reads(known: dict[int, _File]) -> dict[int, tuple[str, Read]]:
    return {number: (file.name, file.made) for number, file in known.items() if file.made}


def _linter(job: _Job, known: dict[int, _File]) -> Any:
    """Lints a part: hits by file, and the lines that rules look at together with those of other parts."""

    def run(found: pa.Table) -> pa.Table:
        job.begin()
        reads = _reads(known)
        table = enrich(numbered_rows(_frames(found)), job.options, job.given, job.options.scope.payers(reads))
        table = table.with_columns(pl.lit(True).alias(spans(group)) for group in job.groups)
        evaluation = Evaluation(table, reads, job.given, job.options)
        for rule in job.rules():
            evaluation.add(rule, pl.lit(False) if rule.across else None)
        evaluation.run()
        rows: list[tuple[int, int, int, bytes]] = [(n, -1, -1, hits) for n, hits in by_read(evaluation.hits())]
        for number, group in enumerate(job.groups):
            joint = evaluation.rows_of([rule for rule in job.rules() if rule.across == group], group)
            if joint.height:
                joint = joint.with_columns((group_key(group) % job.parts).cast(pl.Int32).alias("part"))
                parted = joint.drop_nulls("part").partition_by("part", as_dict=True)
                rows += [(0, number, int(part), _as_bytes(own.drop("part"))) for (part,), own in parted.items()]
        return _rows(_HITS, rows)

    return run


def _joint_linter(job: _Job, known: dict[int, _File]) -> Any:
    """Lints lines that a rule groups, of several patients."""

    def run(key: tuple[Any, ...], found: pa.Table) -> pa.Table:
        job.begin()
        group = job.groups[key[0].as_py()]
        table = _frames(found).drop("row")
        table = table.sort("file_no", pl.max_horizontal("at_line", "at_claim")).with_row_index("row")
        evaluation = Evaluation(table, _reads(known), job.given, job.options)
        for rule in job.rules():
            if rule.across == group:
                evaluation.add(rule)
        evaluation.run()
        return _rows(_HITS, [(number, -1, -1, hits) for number, hits in by_read(evaluation.hits())])

    return run


def _placer(job: _Job, known: dict[int, _File]) -> Any:
    """Places what was found in a file."""
    repeated = repeated_interchanges(_reads(known))

    def run(hits: pa.Table, files: pa.Table) -> pa.Table:
        job.begin()
        number = files["file_no"][0].as_py()
        file = known[number]
        every, wanted = rules.all_rules(), {rule.code for rule in job.rules()}
        scope, as_of, chosen = job.options.scope, job.options.as_of, job.options.rules
        if file.failed:
            told = scope.told_of_readers([file_finding(file.name, *file.failed, every)], file.name, as_of, chosen)[0]
            return _rows(FINDINGS, [_record(each) for each in told])
        made = read_bytes(files["content"][0].as_py(), file.name, job.options)
        assert isinstance(made, Read)
        problems: list[Problem] = [*made.problems, *repeated.get(number, ())]
        of_readers = of_reader(file.name, (p for p in problems if p.code in wanted), every)
        found = scope.told_of_readers(of_readers, file.name, as_of, chosen)[0]
        rows = (row for each in hits["payload"].to_pylist() for row in unpacked(each))
        found += located(rows, file.name, made, every, show_phi=job.options.show_phi)
        return _rows(FINDINGS, [_record(each) for each in found])

    return run


def _record(f: Finding) -> tuple[object, ...]:
    told = f.as_dict() | {"charge_cents": f.charge_cents}
    return tuple(told[each.split()[0]] for each in FINDINGS.split(", "))
