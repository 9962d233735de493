"""Reports for machines: each as its own standard wants it, whatever a claim holds, and the same in every run."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import jsonschema
import junitparser
import pytest
from lxml import etree

from claimlint import cli_check, reports
from claimlint.findings import Finding, Findings, Report
from claimlint.readers import Place
from claimlint.reports import sarif
from claimlint.rules import all_rules
from tests.test_cli import REGISTERS, SAMPLES, claimlint

MACHINE = ("json", "jsonl", "sarif", "junit", "github", "gitlab", "csv")
SCHEMAS = Path(__file__).parent / "schemas"
SARIF = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text())
SCHEMA = json.loads(claimlint("schema", "report").stdout)
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+2",
    "  -2+3",
    "＝HYPERLINK(1)",
    "@SUM(1)",
    "x;=cmd|' /C calc'!A0",
    'quote"comma,',
    "::error file=a.csv::forged",
    "%0A::warning::forged%0D",
    "]]></failure><failure/>",
    "</script><script>alert(1)</script>",
    "[click](http://evil.example)",
    "{0} and {1}",
    "bell\x07 escape\x1b[31m",
    "turn\u202e back\ufeff",
    "naïve 医療 \U0001f480",
    "##[add-mask]1",
]
HOSTILE_NAME = "a,b %0A=1 [x](y){0} é医.csv" if os.name == "nt" else "a,b %0A::=1 [x](y){0} é医.csv"


Reports = dict[str, str]


def check(form: str, *args: str | Path, cwd: Path | None = None) -> str:
    """Run `check` and give its report in this format."""
    ran = claimlint("check", "--as-of", "2026-02-02", "--output-format", form, *args, cwd=cwd)
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def check_all(out: Path, *args: str | Path, cwd: Path, seed: str = "0") -> Reports:
    """The reports that one run writes to the folder `out` in every format, by format."""
    out.mkdir()
    options = [option for form in MACHINE for option in ("--output-format", form, "-o", out / form)]
    command = ("check", "--as-of", "2026-02-02", *args, *options)
    ran = claimlint(*command, cwd=cwd, env={"PYTHONHASHSEED": seed})
    assert (ran.returncode in (0, 1), ran.stdout) == (True, ""), ran.stderr
    return {form: (out / form).read_bytes().decode() for form in MACHINE}


def records(text: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of a JSON Lines report by their type, each checked against the schema."""
    found: dict[str, list[dict[str, Any]]] = {}
    validate = jsonschema.Draft202012Validator({"$ref": "#/$defs/record", "$defs": SCHEMA["$defs"]}).validate
    for line in text.splitlines():
        record = json.loads(line)
        validate(record)
        found.setdefault(record["type"], []).append(record)
    return found


def sarif_run(text: str) -> dict[str, Any]:
    """The one run of a SARIF log, checked against the official schema."""
    log = json.loads(text)
    jsonschema.Draft4Validator(SARIF, format_checker=jsonschema.FormatChecker()).validate(log)
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def junit(text: str) -> junitparser.JUnitXml:
    """A JUnit report, checked against the schema that Jenkins takes; its counts are those of its test cases."""
    data = text.encode()
    etree.XMLSchema(etree.parse(SCHEMAS / "junit-4.xsd")).assertValid(etree.fromstring(data))
    made = junitparser.JUnitXml.fromstring(data)
    cases = [case for suite in made for case in suite]
    assert (made.tests, made.failures, made.errors) == (len(cases), *_counts(cases)[:2])
    for suite in made:
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (len(list(suite)), *_counts(list(suite)))
    assert len({(case.classname, case.name) for case in cases}) == len(cases)
    return made


def _counts(cases: list[Any]) -> tuple[int, int, int]:
    kinds = Counter(type(result) for case in cases for result in case.result)
    return kinds[junitparser.Failure], kinds[junitparser.Error], kinds[junitparser.Skipped]


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as the runner of GitHub Actions reads them: name, properties and text."""

    def plain(value: str) -> str:
        for written, meant in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(written, meant)
        return value

    found = []
    for line in text.splitlines():
        parts = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert parts, line
        properties = dict(each.split("=", 1) for each in parts[2].split(","))
        found.append((parts[1], {key: plain(value) for key, value in properties.items()}, plain(parts[3])))
    return found


def rows(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    assert text.count("\n") == text.count("\r\n")
    return list(csv.DictReader(io.StringIO(text[1:], newline=""), strict=True))


def undated(text: str) -> str:
    """A report without what differs from run to run."""
    return re.sub(r'"duration_s": [\d.]+', "", text)


def write_hostile(folder: Path) -> None:
    """Write a file of claims whose ids are made to do harm, each with something wrong, and one unreadable."""
    heading, *lines = (SAMPLES / "flagged.csv").read_text().splitlines()
    template = next(csv.DictReader([heading, lines[2]]))  # an S code to Medicare
    text = io.StringIO()
    writer = csv.DictWriter(text, template, lineterminator="\n")
    writer.writeheader()
    writer.writerows(template | {"Claim #": claim, "Insured ID": f"W{n}"} for n, claim in enumerate(HOSTILE))
    text.write("=unread,::error::,</failure>," + "x," * 60 + "\n")
    (folder / HOSTILE_NAME).write_text(text.getvalue(), encoding="utf-8")


@pytest.fixture(scope="module")
def of_samples(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """The reports of the samples."""
    return check_all(tmp_path_factory.mktemp("samples") / "out", ".", *REGISTERS, cwd=SAMPLES)


@pytest.fixture(scope="module")
def of_hostile(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """The reports of hostile claims."""
    folder = tmp_path_factory.mktemp("hostile")
    write_hostile(folder)
    return check_all(folder / "out", HOSTILE_NAME, cwd=folder)


@pytest.fixture(scope="module")
def of_many(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """The reports of invented claims, half of them with something wrong."""
    folder = tmp_path_factory.mktemp("many")
    claimlint("generate", "claims.csv", "--claims", "400", "--defects", "0.5", cwd=folder)
    return check_all(folder / "out", "claims.csv", cwd=folder)


def test_formats_are_those_of_the_command_line() -> None:
    assert cli_check.FORMATS == reports.FORMATS
    assert set(reports.ENDINGS.values()) <= set(reports.FORMATS)
    documented = (Path(__file__).parents[1] / "docs" / "reports.md").read_text()
    assert [form for form in reports.FORMATS if f"`{form}`" not in documented] == []


@pytest.mark.parametrize("given", ["of_samples", "of_hostile", "of_many"])
def test_json_reports_are_as_their_schema_says(given: str, request: pytest.FixtureRequest) -> None:
    told: Reports = request.getfixturevalue(given)
    made, by_type = json.loads(told["json"]), records(told["jsonl"])
    jsonschema.Draft202012Validator(SCHEMA).validate(made)
    kinds = {"finding": "findings", "unreadable": "unreadable", "not_checked": "not_checked", "cause": "causes"}
    assert list(by_type) == [*(kind for kind in kinds if kind in by_type), "summary"]
    for kind, key in kinds.items():
        assert [{**record, "type": kind} for record in made[key]] == by_type.get(kind, [])
    assert by_type["summary"] == [{"type": "summary", "schema_version": 1, **made["summary"]}]


def test_the_schema_takes_nothing_else(of_many: Reports) -> None:
    made = json.loads(of_many["json"])
    assert len(made["summary"]["findings_by_code"]) > 50
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    made["findings"] = made["findings"][:2]
    for part in (made, made["summary"], made["findings"][0], made["causes"][0], made["not_checked"][0]):
        part["new"] = 1
        assert not validator.is_valid(made)
        del part["new"]
        for key in list(part):
            value = part.pop(key)
            assert not validator.is_valid(made), key
            part[key] = value
    assert validator.is_valid(made)


def test_the_schema_takes_the_report_of_a_nightly_run(tmp_path: Path) -> None:
    for _ in range(2):
        made = check("json", SAMPLES / "flagged.837", "--state", tmp_path / "night.db")
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(made))
    assert json.loads(made)["summary"]["files_known"] == 1
    assert "summary" in records(check("jsonl", SAMPLES / "flagged.837", "--state", tmp_path / "night.db"))


@pytest.mark.fault(91)
def test_hostile_claims_in_json(of_hostile: Reports) -> None:
    made = json.loads(of_hostile["json"])
    assert {claim.strip(" \ufeff") for claim in HOSTILE} <= {f["claim_id"] for f in made["findings"]}
    assert [u["claim_id"] for u in made["unreadable"]] == ["=unread"]


@pytest.mark.parametrize("given", ["of_samples", "of_many"])
def test_sarif_says_what_json_says(given: str, request: pytest.FixtureRequest) -> None:
    told: Reports = request.getfixturevalue(given)
    findings, run = json.loads(told["json"])["findings"], sarif_run(told["sarif"])
    driver, results = run["tool"]["driver"], run["results"]
    assert [r["ruleId"] for r in results] == [f["code"] for f in findings]
    levels = {"error": "error", "warning": "warning", "info": "note"}
    for result, f in zip(results, findings, strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == f["code"]
        assert result["level"] == levels[f["severity"]]
        assert f["message"] in result["message"]["text"]
        assert f["hint"] in result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"] == {"uri": f["file"], "uriBaseId": "SRCROOT"}
        region = place["region"]
        assert [region[k] for k in ("startLine", "startColumn", "endLine", "endColumn")] == [
            f[k] for k in ("line", "column", "end_line", "end_column")
        ]
        assert result["partialFingerprints"] == {"claimlint/v1": f["fingerprint"]}
    assert run["columnKind"] == "unicodeCodePoints"


def test_sarif_rules_say_what_the_rules_say(of_many: Reports) -> None:
    run = sarif_run(of_many["sarif"])
    rules = run["tool"]["driver"]["rules"]
    notices = run["invocations"][0]["toolExecutionNotifications"]
    assert {r["id"] for r in rules} == {
        *(r["ruleId"] for r in run["results"]),
        *(n["associatedRule"]["id"] for n in notices),
    }
    assert [r["id"] for r in rules] == sorted(r["id"] for r in rules)
    for made in rules:
        rule = all_rules()[made["id"]]
        assert made["name"] == rule.name
        assert rule.doc.startswith(made["shortDescription"]["text"])
        assert rule.doc.startswith(made["fullDescription"]["text"])
        assert "Flagged:" not in made["fullDescription"]["text"]
        assert rule.doc in made["help"]["text"]
        assert made["help"]["markdown"].startswith(f"# {rule.code}")
        assert made["properties"]["source"] == rule.source
        assert len(made["properties"]["tags"]) <= 10
    for notice in notices:
        assert rules[notice["associatedRule"]["index"]]["id"] == notice["associatedRule"]["id"]
        assert "To enable: " in notice["message"]["text"]


@pytest.mark.fault(91)
def test_sarif_of_hostile_claims(of_hostile: Reports) -> None:
    run = sarif_run(of_hostile["sarif"])
    uris = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]}
    assert uris == {quote(HOSTILE_NAME)}
    assert {unquote(uri) for uri in uris} == {HOSTILE_NAME}
    texts = [r["message"]["text"] for r in run["results"]]
    assert not any("](" in text for text in texts), "a claim may not make a link"
    assert not any(re.search(r"(?<!\{)(\{\{)*\{\d", text) for text in texts), "a claim may not make a placeholder"
    assert not any(c in text for text in texts for c in "\x07\x1b\u202e")
    unread = [n for n in run["invocations"][0]["toolExecutionNotifications"] if n["descriptor"]["index"] == 0]
    assert [n["level"] for n in unread] == ["error"]
    assert unread[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": len(HOSTILE) + 2}


@pytest.mark.parametrize("form", ["csv", "x12", "xml"])
def test_fixes_in_sarif_are_those_that_are_made(form: str, tmp_path: Path) -> None:
    suffix = {"csv": "csv", "x12": "837", "xml": "xml"}[form]
    path, fixed = tmp_path / f"claims.{suffix}", tmp_path / "fixed"
    claimlint("generate", path, "--claims", "300", "--defect", "COD120=0.2", "--defect", "COD131=0.1")
    lines = path.read_bytes().decode().split("\n")
    fixes = [f for r in sarif_run(check("sarif", path))["results"] for f in r.get("fixes", ())]
    assert fixes
    edits = [(c["deletedRegion"], c["insertedContent"]) for f in fixes for c in f["artifactChanges"][0]["replacements"]]
    for region, new in sorted(edits, key=lambda e: (e[0]["startLine"], e[0]["startColumn"]), reverse=True):
        assert region["startLine"] == region["endLine"]
        at, start, end = region["startLine"] - 1, region["startColumn"] - 1, region["endColumn"] - 1
        lines[at] = lines[at][:start] + new["text"] + lines[at][end:]
    check("json", path, "--fix-to", fixed, "--select", "COD120")
    assert "\n".join(lines) == (fixed / path.name).read_bytes().decode()


def test_no_report_tells_of_the_machine_or_the_patient(tmp_path: Path) -> None:
    inside, outside = tmp_path / "work" / "exports", tmp_path / "yonder"
    inside.mkdir(parents=True)
    outside.mkdir()
    claims = (SAMPLES / "flagged.837").read_bytes()
    (inside / "in.837").write_bytes(claims)
    (outside / "out.837").write_bytes(claims)  # the same interchange once more, which names the other file
    (outside / "few.csv").write_text("claim,cpt,dos,charge,payer\n1,97012,2026-01-05,10,Aetna\n")
    given = (inside / "in.837", outside / "out.837", outside / "few.csv")
    told = check_all(tmp_path / "out", *given, cwd=tmp_path / "work")
    for form in ("sarif", "junit", "github", "gitlab"):
        made = told[form]
        assert "exports/in.837" in made
        assert "few.csv has no column for" in made or form in ("github", "gitlab")
        assert "was read before in this run, in exports/in.837:" in made
        for telling in (str(tmp_path), "elsewhere", "NUTMEG", "MAPLE", "snippet", "contents"):
            assert telling not in made, form


@pytest.mark.parametrize("given", ["of_samples", "of_many"])
def test_junit_has_a_case_for_each_finding(given: str, request: pytest.FixtureRequest) -> None:
    told: Reports = request.getfixturevalue(given)
    report, made = json.loads(told["json"]), junit(told["junit"])
    findings, summary = report["findings"], report["summary"]
    cases = [case for suite in made if suite.name != "claimlint" for case in suite]
    assert len(cases) == len(findings)
    assert {suite.name for suite in made} == {f["file"] for f in findings} | {"claimlint"}
    for case, f in zip(cases, findings, strict=True):
        assert case.classname == f["file"].replace(".", "_").replace("/", ".")
        assert case.name.startswith(f"{f['code']} {f['name']}")
        if f["severity"] == "info":
            assert case.is_passed
            continue
        (failure,) = case.result
        assert (failure.type, failure.message) == (f["severity"], f["message"])
        assert f"{f['file']}:{f['line']}:{f['column']}" in failure.text
        assert f["hint"] in failure.text
    (last,) = (suite for suite in made if suite.name == "claimlint")
    assert f"{summary['claims_read']} claims read = {summary['claims_checked']} checked" in next(iter(last)).system_out
    assert {case.name[:6] for case in last if case.is_skipped} == {n["code"] for n in report["not_checked"]}


@pytest.mark.fault(57)
@pytest.mark.fault(91)
def test_junit_of_hostile_claims(of_hostile: Reports) -> None:
    made = junit(of_hostile["junit"])
    assert (made.errors, len(list(made))) == (1, 2)
    names = [case.name for suite in made for case in suite]
    assert any("claim ]]></failure><failure/>" in name for name in names)
    assert any("naïve 医療 \U0001f480" in name for name in names)
    assert any("\\x07" in name for name in names)


def test_github_annotates_the_dearest_first(of_many: Reports) -> None:
    findings, found = json.loads(of_many["json"])["findings"], commands(of_many["github"])
    names = [name for name, _, _ in found]
    assert names == sorted(names, key=["error", "warning", "notice"].index)
    assert Counter(names)["error"] == sum(f["severity"] == "error" for f in findings)
    summary = found[names.index("notice")]
    assert summary[1] == {"title": "claimlint"}
    assert "claims read =" in summary[2]
    for severity, name in (("error", "error"), ("warning", "warning"), ("info", "notice")):
        expected = [f for f in findings if f["severity"] == severity]
        shown = [p for kind, p, _ in found if kind == name and "file" in p]
        assert len(expected) > 10 or severity == "info"
        dearest = sorted((f["charge"] or 0 for f in expected), reverse=True)[:10]
        charges = {(str(f["line"]), f"{f['code']} {f['name']}"): f["charge"] or 0 for f in expected}
        assert [charges[p["line"], p["title"]] for p in shown[:10]] == dearest
        assert Counter((p["line"], p["title"]) for p in shown) == Counter(
            (str(f["line"]), f"{f['code']} {f['name']}") for f in expected
        )


@pytest.mark.fault(57)
@pytest.mark.fault(91)
def test_github_commands_cannot_be_forged(of_hostile: Reports) -> None:
    made = of_hostile["github"]
    found, count = commands(made), len(json.loads(of_hostile["json"])["findings"])
    assert len(found) == count + 2, "one for each finding, for the unreadable claim and for the summary"
    assert {p["file"] for _, p, _ in found if "file" in p} == {HOSTILE_NAME}
    assert {key for _, p, _ in found for key in p} == {"file", "line", "endLine", "col", "endColumn", "title"}
    assert any("%0A::warning::forged%0D" in text for _, _, text in found)
    assert not set(made) & set("\x07\x1b\u202e\r")


def test_gitlab_issues_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "one.837").write_bytes((SAMPLES / "flagged.837").read_bytes())
    (tmp_path / "two.837").write_bytes((SAMPLES / "flagged.837").read_bytes())
    told = check_all(tmp_path / "out", "one.837", "two.837", cwd=tmp_path)
    findings, issues = json.loads(told["json"])["findings"], json.loads(told["gitlab"])
    assert len({f["fingerprint"] for f in findings}) < len(findings), "the claims are there twice"
    assert len({i["fingerprint"] for i in issues}) == len(issues) == len(findings)
    for issue, f in zip(issues, findings, strict=True):
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["check_name"] == f["code"]
        assert issue["severity"] == {"error": "major", "warning": "minor", "info": "info"}[f["severity"]]
        assert issue["location"] == {"path": f["file"], "lines": {"begin": f["line"]}}
        assert f["message"] in issue["description"]


@pytest.mark.fault(91)
def test_gitlab_of_hostile_claims(of_hostile: Reports) -> None:
    issues = json.loads(of_hostile["gitlab"])
    assert [i["location"]["lines"]["begin"] for i in issues if i["severity"] == "critical"] == [len(HOSTILE) + 2]
    assert {i["location"]["path"] for i in issues} == {HOSTILE_NAME}
    assert not any(c in i["description"] for i in issues for c in "\x07\x1b\u202e")


def test_csv_has_the_fields_of_json(of_samples: Reports) -> None:
    findings, made = json.loads(of_samples["json"])["findings"], rows(of_samples["csv"])
    numbers = {"line", "column", "end_line", "end_column", "charge", "snip"}
    for row, f in zip(made, findings, strict=True):
        fix = f.pop("fix") or {}
        f |= {f"fix_{key}": fix.get(key) for key in ("applicability", "replacement")}
        assert set(row) == set(f)
        for key, value in f.items():
            if key in numbers and value is not None:
                assert float(row[key]) == value
            else:
                assert row[key] == ("" if value is None else value)
    assert any(re.fullmatch(r"\d+\.\d\d", row["charge"]) for row in made)


@pytest.mark.fault(91)
def test_csv_holds_no_formula(of_hostile: Reports) -> None:
    found = rows(of_hostile["csv"])
    cells = [value for row in found for value in row.values()]
    assert not any(re.match(r"\s*[=+\-@＝＋－＠\t\r]", cell) for cell in cells)
    assert not any(re.search(r";[\s\"]*[=+\-@]", cell) for cell in cells), "nor where cells are parted at semicolons"
    claims = {row["claim_id"] for row in found}
    assert {"'=cmd|' /C calc'!A0", "'+1+2", "'-2+3", "'＝HYPERLINK(1)", "'@SUM(1)", 'quote"comma,'} <= claims
    assert {"x;'=cmd|' /C calc'!A0", "bell\\x07 escape\\x1b[31m"} <= claims


def test_a_clean_file(tmp_path: Path) -> None:
    told = check_all(tmp_path / "out", "clean.837", *REGISTERS, "--select", "COD", cwd=SAMPLES)
    assert json.loads(told["json"])["findings"] == []
    assert set(records(told["jsonl"])) <= {"not_checked", "summary"}
    assert sarif_run(told["sarif"])["results"] == []
    (suite,) = junit(told["junit"])
    assert "nothing found by" in next(iter(suite)).system_out
    ((name, properties, text),) = commands(told["github"])
    assert (name, properties) == ("notice", {"title": "claimlint"})
    assert "nothing found by" in text
    assert json.loads(told["gitlab"]) == []
    assert told["csv"].startswith('\ufeff"code","name"')
    assert rows(told["csv"]) == []


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    write_hostile(tmp_path)
    one, two = (check_all(tmp_path / n, HOSTILE_NAME, SAMPLES, cwd=tmp_path, seed=n) for n in ("1", "2"))
    assert {form: undated(text) for form, text in one.items()} == {form: undated(text) for form, text in two.items()}


@pytest.mark.parametrize("form", MACHINE)
def test_standard_output_has_the_report_alone(form: str, of_samples: Reports) -> None:
    assert undated(check(form, ".", *REGISTERS, cwd=SAMPLES)) == undated(of_samples[form])


def test_the_endings_of_files_tell_the_formats(tmp_path: Path, of_samples: Reports) -> None:
    files = {ending: tmp_path / f"report{ending.upper()}" for ending in reports.ENDINGS}
    options = [option for file in files.values() for option in ("-o", file)]
    ran = claimlint("check", "--as-of", "2026-02-02", ".", *REGISTERS, *options, cwd=SAMPLES)
    assert (ran.returncode, ran.stdout) == (1, "")
    for ending, file in files.items():
        if reports.ENDINGS[ending] not in of_samples:  # those for the office are tested by themselves
            assert file.read_bytes().startswith((b"PK", b"<!"))
            continue
        assert undated(file.read_bytes().decode()) == undated(of_samples[reports.ENDINGS[ending]])
        assert file.stat().st_mode & 0o077 == 0


def _many(count: int) -> Report:
    """A report of so many findings, every tenth an error, each dearer than the one before."""
    rule = all_rules()["COD113"]
    found = Findings()
    found.add(
        [
            Finding(
                rule.code, rule.name, "warning" if n % 10 else "error", f"message {n}", "hint", "claims.csv",
                Place(n + 1, 1, n + 1, 2), f"C{n}", "1", "S9090", dt.date(2026, 1, 5), "medicare", n, 5, "16",
                rule.source, f"{n:020x}",
            )
            for n in range(count)
        ]
    )  # fmt: skip
    return Report(found.settled(), [], [], {})


@pytest.mark.parametrize("count", [5_000, 5_001, 25_001])
def test_sarif_keeps_the_gravest_and_dearest_of_too_many(count: int) -> None:
    report = _many(count)
    run = json.loads("".join(map(str, sarif.render(report, reports.Style()))))["runs"][0]
    results, notices = run["results"], run["invocations"][0]["toolExecutionNotifications"]
    assert len(results) == min(count, sarif.MOST)
    by_weight = sorted(report.findings, key=lambda f: (f.severity != "error", -(f.charge_cents or 0)))
    expected = by_weight[: sarif.MOST] if count > 5_000 else list(report.findings)
    assert [r["partialFingerprints"]["claimlint/v1"] for r in results] == [f.fingerprint for f in expected]
    left_out = "1 findings are left out: these are the 25,000 most severe and then dearest"
    assert [n["message"]["text"] for n in notices] == [left_out] * (count > sarif.MOST)


def test_sarif_of_a_rule_that_is_gone() -> None:
    report = _many(1)
    report.findings = [report.findings[0]._replace(code="XYZ901")]
    run = sarif_run("".join(map(str, sarif.render(report, reports.Style()))))
    assert run["tool"]["driver"]["rules"] == [{"id": "XYZ901"}]
