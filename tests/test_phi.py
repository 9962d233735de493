"""Patients: one invented person in every field of every format, whole and broken, is in nothing that claimlint writes.

Claim ids and dates of service are told by contract, and so is what has the form of its place: no program can see that
nine digits in the place of a charge are a social security number.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from claimlint import reports
from claimlint.engine import Options, check_sources, claim_files
from claimlint.readers import locate
from claimlint.state import State
from tests.planted import CSV, PERSON, X12, XML, csv_of, told
from tests.test_cli import claimlint
from tests.test_server import frames, spoken
from tests.test_ui import interrupted, serving

AS_OF = ("--as-of", "2026-02-02")
WHOLE = {"837": X12, "csv": CSV, "xml": XML}
# What slips into the place of something else. Left out is what has the form of what belongs there, such as an amount.
STRAYS = ("QUILLFEATHER", "ZEBEDIAH OSWINUS", "QX77VARN01", "9917 WISTERIA HOLLOW", "987-65-1320", "ZQ@QUILLS.EXAMPLE",
          "MRN884213")  # fmt: skip
DATES = ("19570413", "1957-04-13", "04/13/1957")
# Values of the planted X12 that are codes, dates, amounts and counts.
CODES = ("*1000000336~", "*261QP2000~", "HC:9711:", ":G*90", "*UN*2*", "*90*UN", "ABK:MO5116", "BF:7221", "*185.5*",
         "**98:B", "B:1*Y", "*AA:", "431*D8*20261301", "472*D8*20260231", "*PHYSICALTH~", "LX*2~", "***3~", "HL*3*",
         "*3*2*23", "SE*60*", "ST*837*0001", "GE*1*", "IEA*1*", "X222A1~\nST", ":TABLE*", "*100000022~", "******AM~",
         "SBR*P*", "PRV*PE", "SV1*HC", "DTP*431*D8", "REF*6R*LINE2", "*ADD*")  # fmt: skip


def broken_x12() -> Iterator[str]:
    segments = X12.split("~\n")
    for at in range(len(segments) - 1):  # a terminator is lost
        for joint in ("", "\n"):
            yield "~\n".join([*segments[:at], segments[at] + joint + segments[at + 1], *segments[at + 2 :]])
    yield from (X12[:cut] for cut in range(150, len(X12), 83))
    head, body = X12[:106], X12[106:]
    for old, new in (("*", "|"), (":", ">"), ("~\n", "\n"), ("~\n", "'"), ("*", "\t"), ("~", "")):
        yield head + body.replace(old, new)
        yield head + body[:1200] + body[1200:].replace(old, new)
    for birth in (*DATES[1:], "QUILLFEATHER", "19571341", "13-Apr-1957"):
        yield X12.replace("D8*19570413", f"D8*{birth}")
    yield X12.replace("NM1*QC", "NM1*QCX").replace("DMG*", "DMX*").replace("N3*", "n3*")
    yield X12.replace("PER*", "PERSON*").replace("NTE*", "QUILLFEATHER*")


def strayed_x12() -> Iterator[str]:
    for code in CODES:
        assert code in X12
        value = max(re.findall(r"[A-Z0-9.]+", code), key=code.index)
        # A date of eight digits has the form of an amount and of a control number.
        numbers = ("SE*", "ST*", "GE*", "IEA*", "*185", "*90", "D8*2")
        for stray in (*STRAYS, *DATES):
            if (stray, "REF" in code) == ("QX77VARN01", True) or (stray in DATES and any(n in code for n in numbers)):
                continue
            yield X12.replace(code, stray.join(code.rsplit(value, 1)), 1)


def broken_csv() -> Iterator[str]:
    lines = CSV.splitlines()
    for row in range(len(lines)):  # a quote is not closed
        cells = lines[row].split(",")
        for at in range(0, len(cells), 1 if row == 1 else 5):
            yield "\n".join(
                [*lines[:row], ",".join([*cells[:at], f'"{cells[at]}', *cells[at + 1 :]]), *lines[row + 1 :]]
            )
    yield from (CSV[:cut] for cut in range(len(lines[0]) // 2, len(CSV), 47))
    yield "\n".join(lines[1:])
    yield lines[0] + "\n" + "\n".join(lines[1:]).replace(",", "\t")
    yield CSV.replace("PH-1,", "PH-1,,")
    yield CSV.replace("QUILLFEATHER,", "QUILLFEATHER, ZEBEDIAH,")
    yield CSV.replace(",04/13/1957,", ",QUILLFEATHER 1957-13-04,")


def strayed_csv() -> Iterator[str]:
    heading, row = list(csv.reader(io.StringIO(CSV)))[:2]
    open_ = {"Claim #", "Insurance"}  # told as they stand
    rows: list[dict[str, str]] = []
    for name, value in zip(heading, row, strict=True):
        dated = re.fullmatch(r"\d\d/\d\d/\d{4}", value)
        for stray in (*STRAYS, *(() if dated else DATES)):
            if name in open_ or (name == "Prior Auth" and stray in ("QX77VARN01", "19570413", "MRN884213")):
                continue
            if (stray, name) in {("19570413", "Charge Amt"), ("19570413", "Total Charge"), ("19570413", "Qty")}:
                continue
            rows.append({"Claim #": f"PS-{len(rows)}", name: stray})
    yield csv_of(*rows)


def broken_xml() -> Iterator[str]:
    yield from (XML[:cut] for cut in range(600, len(XML), 397))
    yield XML.replace("QUILLFEATHER", "QUILLFEATHER & QUILLFEATHER < QUILLFEATHER")
    yield XML.replace("<e>QUILLFEATHER</e>", "<QUILLFEATHER>")
    yield XML.replace("<e>QUILLFEATHER</e>", "<e>&QUILLFEATHER;</e>")
    yield XML.replace('id="NM1"', 'id="QUILLFEATHER"')
    yield XML.replace("<claims", "<?QUILLFEATHER ?><claims", 1).replace('"UTF-8"', '"QUILLFEATHER"')
    for stray in STRAYS:
        for value in ("9711", "MO5116", "PHYSICALTH", "98", "G"):
            yield XML.replace(f">{value}<", f">{stray}<")


BROKEN = {
    "837 broken": broken_x12, "837 strayed": strayed_x12, "csv broken": broken_csv, "csv strayed": strayed_csv,
    "xml broken": broken_xml,
}  # fmt: skip


def everything(path: Path) -> str:
    """The text of a file, unpacked if it is a workbook."""
    data = path.read_bytes()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            return "\n".join(parts.read(name).decode("utf-8", "replace") for name in parts.namelist())
    return data.decode("utf-8", "replace")


def in_every_format(out: Path, *paths: Path | str, options: tuple[str, ...] = ()) -> dict[str, str]:
    """What a run over the files writes: every format, the manifest and what is said."""
    out.mkdir()
    asked = [o for form in reports.FORMATS for o in ("--output-format", form, "-o", str(out / form))]
    also: tuple[str | Path, ...] = ("--manifest", out / "manifest", "-v", *options)
    ran = claimlint("check", *AS_OF, *paths, *asked, *also, "--isolated")
    assert ran.returncode in (0, 1), ran.stderr
    return {"said": ran.stdout + ran.stderr, **{each.name: everything(each) for each in out.iterdir()}}


def private(written: dict[str, str]) -> dict[str, list[str]]:
    """By where it is written, what of the person is told there."""
    return {where: found for where, text in written.items() if (found := told(text))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The planted claim in every format."""
    (tmp_path / "claims").mkdir()
    for ending, text in WHOLE.items():
        (tmp_path / "claims" / f"week.{ending}").write_text(text)
    return tmp_path / "claims"


def test_the_person_is_in_every_file() -> None:
    kinds = {ending: {each.split(":")[0] for each in told(text)} for ending, text in WHOLE.items()}
    assert kinds["837"] == kinds["xml"] == set(PERSON)
    assert set(PERSON) - kinds["csv"] == set()


def test_no_report_of_whole_files_has_the_person(folder: Path, tmp_path: Path) -> None:
    written = in_every_format(tmp_path / "out", folder)
    assert set(written) == {"said", "manifest", *reports.FORMATS}
    assert len(json.loads(written["json"])["findings"]) > 60
    assert private(written) == {}
    # It is there when it is asked for, in the excerpts: so it would have been found.
    asked = in_every_format(tmp_path / "asked", folder, options=("--show-phi",))
    assert len(told(asked["full"])) > 6
    assert set(private(asked)) <= {"full", "html", "concise"}


@pytest.mark.parametrize("how", BROKEN)
def test_no_report_of_broken_files_has_the_person(how: str, tmp_path: Path) -> None:
    files = list(BROKEN[how]())
    (tmp_path / "claims").mkdir()
    for number, text in enumerate(files):
        (tmp_path / "claims" / f"{number:04}.{how[:3]}").write_text(text)
    written = in_every_format(tmp_path / "out", tmp_path / "claims")
    assert json.loads(written["json"])["summary"]["files"] == len(files)
    assert len(json.loads(written["json"])["findings"]) > 10 * len(files) > 0
    assert private(written) == {}


def test_no_other_command_says_it(folder: Path, tmp_path: Path) -> None:
    said = {}
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("check", folder, "--diff", "--unsafe-fixes"),
        ("check", folder, "--fix-to", tmp_path / "fixed", "--unsafe-fixes"),
        ("check", folder, "--statistics"),
        ("check", folder, "--write-baseline", tmp_path / "baseline.json"),
        ("check", folder, "--baseline", tmp_path / "baseline.json", "--prune-baseline"),
        ("check", folder, "--show-settings"),
        ("check", folder, "--output-format", "concise", "--format", "csv"),
        ("check", folder, "--map", folder / "week.csv"),
        ("check", folder, "--config", folder / "week.csv"),
        ("check", folder, "--baseline", folder / "week.csv"),
        ("check", folder, "--state", folder / "week.csv"),
        ("check", folder, "--authorizations", folder / "week.csv"),
        ("check", folder, "--documentation", folder / "week.xml"),
        ("check", folder, "--fees", folder / "week.837"),
        ("check", "-", "--history", folder / "week.837"),
        ("rerun", folder / "week.csv"),
        ("what-changes", "--from", "2015-01-01", "--to", "2026-02-02", folder),
        ("what-changes", "--from", folder / "week.csv", "--to", "2026-02-02", folder),
        ("init", "--stdout", folder),
        ("codesets", "import", "icd10cm", folder / "week.csv", "--release", "2026"),
    )
    for options in commands:
        date = AS_OF if options[0] == "check" else ()
        ran = claimlint(*options, *date, stdin=X12.encode(), cwd=tmp_path)
        assert ran.stdout + ran.stderr
        said[" ".join(map(str, options))] = ran.stdout + ran.stderr
    said["the baseline"] = everything(tmp_path / "baseline.json")
    assert private(said) == {}
    assert (tmp_path / "fixed" / "week.837").read_text().count("QUILLFEATHER") == 1, "a corrected copy is the claim"


def test_the_state_of_a_night_has_nothing_told_or_waiting(folder: Path, tmp_path: Path) -> None:
    night, options = tmp_path / "night.db", Options()
    with closing(State(night, options)) as state:
        found = state.keep(check_sources(state.unknown(claim_files([str(folder)], options)), options))
    assert found.findings
    with closing(sqlite3.connect(night)) as base:
        assert base.execute("select count(*) from untold").fetchone()[0] == len(found.findings)
        packed = base.execute("select finding from untold").fetchall()
    waiting = "".join(everything(each) for each in tmp_path.glob("night.db*"))
    waiting += "".join(zlib.decompress(each).decode() for (each,) in packed)
    assert found.findings[0].message in waiting, "the search would find a name"
    with closing(State(night, options)) as state:
        state.told()
    after = "".join(everything(each) for each in tmp_path.glob("night.db*"))
    left = b"".join(each.read_bytes() for each in tmp_path.glob("night.db*"))
    assert packed
    assert not any(each in left for (each,) in packed)
    assert private({"waiting": waiting, "after": after}) == {}


def test_a_rule_of_ones_own_that_fails_on_a_name_does_not_quote_it(folder: Path, tmp_path: Path) -> None:
    rule = """[[rule]]
    code = "LV001"
    name = "fails"
    where = "CAST({column} AS INTEGER) > 0"
    message = "m"
    hint = "h"
    """
    for column in ("patient_last_name", "member_id", "patient_birth_date_text", "claim_note"):
        (tmp_path / "claimlint.toml").write_text(rule.replace("    ", "").replace("{column}", column))
        ran = claimlint("check", folder, "-v", *AS_OF, cwd=tmp_path)
        assert "the rule failed" in ran.stdout or ran.returncode == 2
        assert told(ran.stdout + ran.stderr) == []


CRASH = """
import claimlint.{module} as module
before = module.{name}
def raising(*args, **kwargs):
    raise {error}("QUILLFEATHER ZEBEDIAH 19570413 QX77VARN01", repr(args)[:100_000])
module.{name} = raising
"""


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "RuntimeError", "AssertionError", "RecursionError"])
@pytest.mark.parametrize(
    ("module", "name"), [("readers.x12", "read"), ("engine", "enrich"), ("engine", "located"), ("reports", "render")]
)
def test_a_crash_says_where_and_not_of_whom(folder: Path, tmp_path: Path, module: str, name: str, error: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASH.format(module=module, name=name, error=error))
    ran = claimlint("check", folder / "week.837", *AS_OF, "--isolated", env={"PYTHONPATH": str(tmp_path)})
    assert ran.returncode == 2
    assert f"internal error ({error} in " in ran.stderr
    assert told(ran.stdout + ran.stderr) == []


def test_no_segment_is_kept_in_memory_after_a_run(folder: Path) -> None:
    report = check_sources(claim_files([str(folder)], Options()), Options())
    assert any(finding.place.excerpt for finding in report.findings)
    assert locate._told_again.cache_info().currsize == 0  # nothing public tells of it


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_nothing_is_left_on_the_disk_by_a_run_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "temp").mkdir()
    large = tmp_path / "large.837"
    head, claim, tail = (
        X12[: X12.index("HL*2*")],
        X12[X12.index("HL*2*") : X12.index("SE*60")],
        X12[X12.index("SE*60") :],
    )
    large.write_text(head + claim * 25_000 + tail)
    command = [sys.executable, "-m", "claimlint", "check", str(large), "-o", str(tmp_path / "report.json")]
    seen: set[tuple[str, bytes]] = set()  # files that had a name
    held = False
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path / "temp")}) as process:
        for _ in range(1200):
            for each in (tmp_path / "temp").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    seen.add((each.name, each.read_bytes()))
            files = Path(f"/proc/{process.pid}/fd")
            # "(deleted)" is a file without a name; `tempfile` first looks for a folder it may write to, by one with a
            # name, and a run that is killed at that very moment leaves that.
            held = held or any(str(tmp_path / "temp") in each and each.endswith("(deleted)") for each in _held(files))
            if held or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    if files.parent.parent.is_dir():  # Linux shows which files are held
        assert held, "the lines were not put on the disk at all"
    assert list((tmp_path / "temp").iterdir()) == []
    assert not [name for name, _ in seen if name.startswith("claimlint-")], "the lines were in a file with a name"
    assert {data for _, data in seen} <= {b"", b"blat"}  # `tempfile` writes "blat" to try a folder
    assert sorted(each.name for each in tmp_path.iterdir()) == ["large.837", "temp"]


def _held(folder: Path) -> list[str]:
    """Where the links of a folder lead, as far as they are still there."""
    found = []
    with contextlib.suppress(OSError):  # the process has ended
        for each in folder.iterdir():
            with contextlib.suppress(OSError):  # it has closed this one
                found.append(str(each.readlink()))
    return found


@pytest.mark.parametrize("ending", WHOLE)
def test_the_language_server_tells_nothing_but_at_the_place_itself(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"week.{ending}"
    document = {"textDocument": {"uri": path.as_uri()}}
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 900, "character": 0}}
    text = WHOLE[ending]
    opened = {"uri": path.as_uri(), "languageId": {"837": "x12"}.get(ending, ending), "version": 1, "text": text}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": opened}},
        {"method": "textDocument/didChange", "params": {"textDocument": "QUILLFEATHER"}},
        {"id": 2, "method": "textDocument/hover", "params": {"QUILLFEATHER": 1}},
        {"id": 3, "method": "textDocument/documentSymbol", "params": document},
        {"id": 4, "method": "textDocument/foldingRange", "params": document},
        {"id": 5, "method": "textDocument/codeAction",
         "params": {**document, "range": whole, "context": {"diagnostics": []}}},
    ]  # fmt: skip
    out, err = spoken(messages)
    made = frames(out)
    diagnostics = [each for each in made if each.get("method") == "textDocument/publishDiagnostics"]
    assert sum(len(each["params"]["diagnostics"]) for each in diagnostics) > 10
    titles = [action["title"] for each in made if each.get("id") == 5 for action in each["result"] or ()]
    assert titles
    told_of = {
        "diagnostics": json.dumps(diagnostics),
        "titles": json.dumps(titles),
        "errors": json.dumps([each for each in made if "error" in each]),
        "window": json.dumps([each for each in made if str(each.get("method", "")).startswith(("window/", "$/"))]),
        "standard error": err.decode(),
    }
    assert private(told_of) == {}


def test_the_page_in_the_browser_does_not_show_it() -> None:
    shown = {}
    with serving("--no-browser") as server:
        for ending, text in WHOLE.items():
            path = server.checked(("claims", f"week.{ending}", text.encode()))
            fixed = server.ended(server.post(f"{path}fix").headers["Location"])
            for each in (path, fixed, f"{path}progress", f"{path}report"):
                shown[f"{ending} {each[-10:]}"] = server.get(each).text
            server.upload([("claims", f"week.{ending}", text.encode()), ("map", "m.toml", text.encode())])
        _, out, err = interrupted(server)
    assert any("STR006" in text for text in shown.values())
    assert private({**shown, "out": out, "err": err}) == {}
