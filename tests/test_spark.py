"""Lint on a real local Spark: what it finds is what a single machine finds, whatever the number of parts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claimlint.engine import Options, check
from claimlint.examples import AS_OF
from claimlint.generate import Plan, write_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest.importorskip("pyspark", reason="PySpark is not installed: make test-spark installs it")
if not shutil.which("java"):
    pytest.skip("Spark needs Java, which is not installed", allow_module_level=True)

# Of PySpark itself, and of how it talks to Java.
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning"
)
SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    """A local Spark of four workers."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = (
        SparkSession.builder.master("local[4]")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield made
    made.stop()


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in every format, of patients that are in several of them, and the registers of all."""
    folder = tmp_path_factory.mktemp("region")
    claims = folder / "claims"
    claims.mkdir()
    for number, name in enumerate(("north.837", "south.csv", "east.xml", "west.837")):
        write_file(Plan(claims / name, seed=number, defects=0.4, registers=folder / f"registers{number}"), 300)
    # Yesterday's batch once more, and something else.
    shutil.copy(claims / "north.837", claims / "north-again.837")
    (claims / "letter.txt").write_text("Dear payer,\n\nplease find our claims enclosed.\n")
    for kind in ("authorizations", "documentation"):
        texts = [(folder / f"registers{number}" / f"{kind}.csv").read_text().splitlines() for number in range(4)]
        (folder / f"{kind}.csv").write_text("\n".join([texts[0][0], *(row for text in texts for row in text[1:])]))
    return folder


def _same(session: SparkSession, paths: list[str], options: Options, parts: int) -> int:
    """Lint both ways, hold the findings equal, and tell how many there are."""
    from claimlint import spark

    single = check(paths, options).findings
    columns = [each.split()[0] for each in spark.FINDINGS.split(", ") if not each.startswith("charge_cents")]
    expected = sorted(str([f.as_dict()[name] for name in columns] + [f.charge_cents]) for f in single)
    rows = spark.lint(session, paths, options, parts=parts).collect()
    found = sorted(str([row[name] for name in columns] + [row["charge_cents"]]) for row in rows)
    assert found == expected
    return len(found)


@pytest.mark.parametrize("parts", [1, 7])
def test_findings_are_those_of_a_single_machine(session: SparkSession, region: Path, parts: int) -> None:
    registers = region / "authorizations.csv", region / "documentation.csv"
    options = Options(as_of=AS_OF, authorizations=registers[0], documentation=registers[1])
    count = _same(session, [str(region / "claims")], options, parts)
    assert count > 500


def test_without_registers_and_with_chosen_rules(session: SparkSession, region: Path) -> None:
    assert _same(session, [str(region / "claims")], Options(as_of=AS_OF), 8)
    assert _same(session, [str(region / "claims")], Options(as_of=AS_OF, rules=("STR009", "COD144", "STR003")), 3)
    assert _same(session, [str(SAMPLES / "flagged.csv")], Options(as_of=AS_OF), 8)


def test_a_table_is_linted_as_a_file_with_its_rows(session: SparkSession, region: Path) -> None:
    from pyspark.sql import functions as f

    from claimlint import spark

    file = region / "claims" / "south.csv"
    table = session.read.csv(str(file), header=True)
    table = table.withColumn("modifiers", f.split("modifiers", ",")).withColumn("note_to_self", f.lit("x"))
    rows = spark.lint(session, table, Options(as_of=AS_OF), parts=5).collect()
    single = check([str(file)], Options(as_of=AS_OF)).findings
    found = sorted((row.code, row.claim_id or "", row.service_line or "", row.charge_cents or 0) for row in rows)
    assert found == sorted((f.code, f.claim_id or "", f.service_line or "", f.charge_cents or 0) for f in single)
    assert {row.file for row in rows} > {"table-00000.csv"}


def test_findings_can_be_written(session: SparkSession, region: Path, tmp_path: Path) -> None:
    from claimlint import spark

    found = spark.lint(session, [str(region / "claims")], Options(as_of=AS_OF, rules=("COD131",)))
    found.write.parquet(str(tmp_path / "findings"))
    again = session.read.parquet(str(tmp_path / "findings"))
    assert {row.code for row in again.select("code").distinct().collect()} == {"COD131", "STR001"} & {
        row.code for row in found.collect()
    }
    assert again.count() == found.count() > 0


def test_what_cannot_be_done_is_said(session: SparkSession, region: Path) -> None:
    from claimlint import ClaimlintError, spark

    with pytest.raises(ClaimlintError, match="neither earlier exports"):
        spark.lint(session, [str(region)], Options(history=(region / "x.csv",)))
    (region / "empty").mkdir()
    with pytest.raises(spark.NoFiles, match="no files in"):
        spark.lint(session, [str(region / "empty")], Options())
