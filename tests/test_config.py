"""What a project says in claimlint.toml: found, layered, checked key by key, and shown."""

from __future__ import annotations

import gzip
import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from claimlint import config
from tests.test_cli import SAMPLES, claimlint

CSV, X12 = SAMPLES / "flagged.csv", SAMPLES / "flagged.837"


def codes(folder: Path, *args: str | Path) -> dict[str, int]:
    """How many findings of which rule a run in the folder has, on the samples unless there are others."""
    paths = args if any(isinstance(a, Path) for a in args) else (CSV, *args)
    ran = claimlint("check", "--as-of", "2026-02-02", "--output-format", "json", *paths, cwd=folder)
    assert ran.returncode in (0, 1), ran.stderr
    made: dict[str, int] = json.loads(ran.stdout)["summary"]["findings_by_code"]
    return made


@pytest.mark.fault(114)
def test_the_nearest_file_upwards_speaks_and_the_command_line_before_it(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "claimlint.toml").write_text('[check]\nselect = ["COD113"]\n')
    assert set(codes(inner)) == {"COD113"}
    assert set(codes(inner, "--select", "COD103")) == {"COD103"}
    assert len(codes(inner, "--isolated")) > 3
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert set(codes(inner)) == {"COD113"}
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.claimlint.check]\nselect = ["COD103"]\n')
    assert set(codes(inner)) == {"COD103"}
    (tmp_path / "other.toml").write_text('[check]\nselect = ["PAY402"]\n')
    assert set(codes(inner, "--config", str(tmp_path / "other.toml"))) == {"PAY402"}


def test_a_file_is_laid_over_another(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "claimlint.toml").write_text(
        '[check]\nselect = ["COD"]\nfail-on = "never"\n[[suppress]]\nrules = ["COD113"]\nreason = "base"\n'
    )
    (tmp_path / "claimlint.toml").write_text('extend = "base/claimlint.toml"\n[check]\nfail-on = "info"\n')
    ran = claimlint("check", "--as-of", "2026-02-02", CSV, cwd=tmp_path)
    assert ran.returncode == 1
    assert "COD103" in ran.stdout
    assert "COD113" not in ran.stdout
    assert "base/claimlint.toml:4: 1 findings suppressed: base" in ran.stderr
    (tmp_path / "base" / "claimlint.toml").write_text('extend = "../claimlint.toml"\n')
    ran = claimlint("check", CSV, cwd=tmp_path)
    assert (ran.returncode, "leads back" in ran.stderr) == (2, True)


@pytest.mark.fault(114)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[check]\nselekt = []\n", ":2: unknown key check.selekt; did you mean check.select?"),
        ("[chek]\n", "unknown key chek; did you mean check?"),
        ('[check]\n\nfail-on = "eror"\n', ":3: check.fail-on is 'eror', not one of"),
        ('[check]\nselect = "COD"\n', ":2: check.select must be a list of rules in quotes"),
        ('[check]\nselect = ["COX"]\n', "there is no rule 'COX'"),
        ('[severities]\nCOD131 = "bad"\n', ":2: severities.COD131 is 'bad'"),
        ('[severities]\nCOX = "info"\n', ":2: there is no rule 'COX'"),
        ('[check]\nfees = "nofees.csv"\n', ":2: there is no file"),
        ('[[suppress]]\nrules = ["COD131"]\n', ":1: this [[suppress]] has no reason"),
        ('[[suppress]]\nrules = ["COD131"]\nreason = "x"\nuntil = "2026-01-01"\n', ":4: suppress.until must be a date"),
        ('[[override]]\nignore = ["COX1"]\n', ":2: there is no rule 'COX1'"),
        ('[[override]]\npayer = "auto"\n', ":1: payer and map are set for files"),
        ("[override]\n", "override must be written [[override]]"),
        ("check = 3\n", "check must be a table: write [check]"),
        ("[check\n", "claimlint.toml: "),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "claimlint.toml").write_text(text)
    ran = claimlint("check", CSV, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr


def test_rules_are_chosen_by_snip_type_and_all(tmp_path: Path) -> None:
    found = codes(tmp_path, "--select", "snip7")
    every = codes(tmp_path, "--select", "all")
    assert 0 < len(found) < len(every) == len(codes(tmp_path))
    assert set(codes(tmp_path, "--select", "all", "--ignore", "SNIP-7")) == set(every) - set(found)


def test_an_override_is_for_its_files_and_payers(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "week.csv").write_bytes(CSV.read_bytes())
    north, south = tmp_path / "north", tmp_path / "south"
    whole = codes(tmp_path, north)

    def told(text: str) -> tuple[dict[str, int], dict[str, int]]:
        (tmp_path / "claimlint.toml").write_text(text)
        return codes(tmp_path, north), codes(tmp_path, south)

    assert told('[[override]]\npaths = ["north/*"]\nignore = ["COD", "PAY"]\n') == (
        {code: n for code, n in whole.items() if code[:3] not in ("COD", "PAY")},
        whole,
    )
    only = told('[check]\nselect = ["COD103"]\n[[override]]\npaths = ["*/south/*"]\nextend-select = ["COD105"]\n')
    assert only == ({"COD103": 1}, {"COD103": 1, "COD105": 1})
    north_found, south_found = told('[[override]]\npayers = ["medicare", "cigna*"]\nignore = ["all"]\n')
    assert north_found == south_found
    assert 0 < sum(north_found.values()) < sum(whole.values())
    # One payer class for the files of a practice that treats injured workers.
    forced, _ = told('[[override]]\npaths = ["north/*"]\npayer = "workers-comp"\n')
    assert forced == codes(tmp_path, north, "--payer", "workers-comp", "--isolated")


def test_headings_of_some_files_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("Ref;CPT;DOS;Charge Amt\nA;97001;01/05/2026;90\n")
    (tmp_path / "even.csv").write_text("Claim #,CPT,DOS,Charge Amt\nB,97001,01/05/2026,90\n")
    (tmp_path / "claimlint.toml").write_text(
        '[check]\nselect = ["COD103"]\n[[override]]\npaths = ["odd*"]\nmap = { "Ref" = "claim_id" }\n'
    )
    assert codes(tmp_path, tmp_path / "odd.csv", tmp_path / "even.csv") == {"COD103": 2}


def test_severities_are_ones_own(tmp_path: Path) -> None:
    (tmp_path / "claimlint.toml").write_text(
        '[check]\nselect = ["COD103", "COD105"]\n[severities]\nCOD10 = "info"\nCOD105 = "warning"\n'
    )
    ran = claimlint("check", "--as-of", "2026-02-02", CSV, "--output-format", "json", cwd=tmp_path)
    made = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert {f["code"]: f["severity"] for f in made["findings"]} == {"COD103": "info", "COD105": "warning"}
    assert made["summary"]["charges_at_risk"] == 95  # a note puts nothing at risk


def test_settings_are_shown_with_where_they_are_from(tmp_path: Path) -> None:
    (tmp_path / "claimlint.toml").write_text(
        '[check]\nignore = ["COD102"]\n[[suppress]]\nrules = ["COD113"]\nreason = "said \\"no\\""\nuntil = 2026-12-31\n'
    )
    ran = claimlint("check", CSV, "--fail-on", "never", "--show-settings", cwd=tmp_path)
    assert ran.returncode == 0
    assert f'ignore = ["COD102"]  # {tmp_path}/claimlint.toml:2' in ran.stdout
    assert 'fail-on = "never"  # command line' in ran.stdout
    assert 'severity = "info"  # default' in ran.stdout
    made = tomllib.loads(ran.stdout)
    assert made["suppress"][0]["reason"] == 'said "no"'
    assert made["check"]["ignore"] == ["COD102"]


def test_the_schema_takes_what_the_reader_takes(tmp_path: Path) -> None:
    schema = json.loads(claimlint("schema", "config").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def plain(value: Any) -> Any:
        return json.loads(json.dumps(value, default=str))

    for text, fits in (
        ('[check]\nselect = ["COD"]\n[[suppress]]\nrules = ["A"]\nreason = "x"\nuntil = 2026-01-01\n', True),
        ('[severities]\nCOD131 = "info"\n', True),
        ('[severities]\nCOD131 = "bad"\n', False),
        ('[check]\nselekt = ["COD"]\n', False),
        ('[[suppress]]\nrules = ["A"]\n', False),
        ('[check]\nfail-on = "eror"\n', False),
    ):
        assert validator.is_valid(plain(tomllib.loads(text))) is fits
        (tmp_path / "claimlint.toml").write_text(text)
        if fits:
            config.load(tmp_path / "claimlint.toml")
        else:
            with pytest.raises(config.ConfigError):
                config.load(tmp_path / "claimlint.toml")


def test_init_looks_at_the_exports(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("Claim #,CPT,DOS,Charge Amt,Our Auth No\nA,97001,01/05/2026,90,x\n")
    register = SAMPLES / "registers" / "authorizations.csv"
    (tmp_path / "auths.csv").write_bytes(register.read_bytes())
    ran = claimlint("init", ".", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    text = (tmp_path / "claimlint.toml").read_text()
    assert '\nauthorizations = "auths.csv"\n' in text
    assert '# "Our Auth No" = "…"  # in 1 file' in text
    assert "no register of session documentation was given" in text
    assert "no register of authorizations was given" not in text
    assert claimlint("check", "odd.csv", cwd=tmp_path).returncode == 1
    again = claimlint("init", cwd=tmp_path)
    assert (again.returncode, "there is a claimlint.toml here already" in again.stderr) == (2, True)
    assert claimlint("init", "--stdout", cwd=tmp_path).stdout.startswith("# What `claimlint check` is told")
    # What it offers is what a configuration may say.
    offered = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line or "[[" in line)
    for key in (*config.KEYS["check"], *config.LISTS["override"], *config.LISTS["suppress"]):
        assert f"\n{key} = " in f"\n{offered}" or key == "map"


@pytest.mark.fault(114)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extend = 0\n", "extend must be a path in quotes, not 0"),
        ('extend = "a\\u0000b"\n', "extend must be a path in quotes"),
        ('extend = "nowhere.toml"\n', "nowhere.toml: cannot be read: No such file or directory"),
        ("x = " + "[" * 5000 + "]" * 5000, "claimlint.toml: "),
        ('[[suppress]]\nrules = ["COD131"]\nreason = " "\n', ":1: this [[suppress]] has no reason"),
        ('[[suppress]]\nrules = ["COD131"]\nreason = "x"\nclaims = []\n', ":4: suppress.claims is empty"),
        ('[[override]]\npaths = []\npayer = "auto"\n', ":2: override.paths is empty"),
        ("[[rule]]\nsnip = 99\n", ":2: rule.snip must be a number from 1 to 7"),
        ('[severities]\n\n[check.map]\n"Claim" = 3\n[check]\n', ":3: check.map must be a table of texts"),
        ('[[override]]\npaths = ["*"]\n[override.severities]\nCOX = "info"\n', ":3: there is no rule 'COX'"),
    ],
)
def test_no_mistake_is_passed_over(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "claimlint.toml").write_text(text)
    ran = claimlint("check", CSV, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr
    assert "internal error" not in ran.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[tool.claimlint.check]\nselect = ["COD103"]\n[broken\n', "pyproject.toml: "),
        ("[tool]\nclaimlint = 3\n", "tool.claimlint must be a table"),
        ("tool = 3\n", ""),
        ("[broken\n", ""),
    ],
)
def test_a_pyproject_is_read_where_it_speaks_of_claimlint(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    ran = claimlint("check", CSV, "-q", cwd=tmp_path)
    assert (ran.returncode, told in ran.stderr) == (2 if told else 1, True), ran.stderr
    assert "internal error" not in ran.stderr


def test_settings_that_are_shown_are_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "my 😀").mkdir()
    (tmp_path / "my 😀" / "fees.csv").write_text("x")
    (tmp_path / "map.toml").write_text('"Chart 😀" = "claim_id"\n')
    (tmp_path / "claimlint.toml").write_text(
        '[check]\nfees = "my 😀/fees.csv"\n[severities]\n"COD103, COD105" = "info"\nsnip7 = "warning"\n'
        '[[override]]\npaths = ["a\\"[x]*"]\nseverities = { "COD131" = "info" }\n'
        '[[suppress]]\nrules = ["COD"]\nreason = "two\\nlines \\u007f"\nuntil = 2026-05-01\n'
        '[[example]]\nrule = "COD103"\nflagged = "x"\n'
    )
    ran = claimlint("check", CSV, "--map", "map.toml", "--show-settings", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    before, made = tomllib.loads((tmp_path / "claimlint.toml").read_text()), tomllib.loads(ran.stdout)
    assert {key: made[key] for key in ("severities", "override", "suppress", "example")} == {
        key: before[key] for key in ("severities", "override", "suppress", "example")
    }
    assert made["check"]["map"] == {"Chart 😀": "claim_id"}
    assert made["check"]["fees"] == str(tmp_path / "my 😀" / "fees.csv")
    (tmp_path / "shown.toml").write_text(ran.stdout)
    again = claimlint("check", CSV, "--config", "shown.toml", "--show-settings", cwd=tmp_path)
    assert tomllib.loads(again.stdout) == made


def test_init_names_only_registers_that_can_be_given(tmp_path: Path) -> None:
    register = (SAMPLES / "registers" / "authorizations.csv").read_bytes()
    (tmp_path / "auths.csv.gz").write_bytes(gzip.compress(register))
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as packed:
        packed.writestr("sessions.csv", (SAMPLES / "registers" / "sessions.csv").read_bytes())
    (tmp_path / "claims.csv").write_bytes(CSV.read_bytes())
    assert claimlint("init", ".", cwd=tmp_path).returncode == 0
    text = (tmp_path / "claimlint.toml").read_text()
    assert set(tomllib.loads(text)["check"]) == {"map"}
    assert "# auths.csv.gz is one, but packed: unpack it first" in text
    assert "# more.zip!sessions.csv is one, but packed: unpack it first" in text


def test_names_and_headings_stay_in_the_comments_of_what_init_writes(tmp_path: Path) -> None:
    (tmp_path / 'a\n[severities]\nCOD = "info"\n#.csv').write_text("no,claims\n1,2\n")
    rows = CSV.read_text().splitlines()
    (tmp_path / "b\n[x]\n.csv").write_text("\n".join([rows[0].replace("Notes", "x\x7f\x85"), *rows[1:]]) + "\n")
    assert claimlint("init", ".", cwd=tmp_path).returncode == 0
    assert tomllib.loads((tmp_path / "claimlint.toml").read_text()) == {"check": {"map": {}}}


def test_the_narrower_severity_holds_wherever_it_stands(tmp_path: Path) -> None:
    for text in (
        '[severities]\nCOD103 = "info"\nCOD = "warning"\nall = "error"\n',
        '[[override]]\nseverities = { "COD103" = "info", "COD" = "warning", "all" = "error" }\n',
    ):
        (tmp_path / "claimlint.toml").write_text(text)
        ran = claimlint("check", "--as-of", "2026-02-02", "--output-format", "json", CSV, cwd=tmp_path)
        found = {f["code"]: f["severity"] for f in json.loads(ran.stdout)["findings"]}
        assert found.pop("COD103") == "info"
        assert all(severity == ("warning" if code[:3] == "COD" else "error") for code, severity in found.items())


def test_only_star_and_question_mark_stand_for_others_in_paths(tmp_path: Path) -> None:
    (tmp_path / "week [1](a).csv").write_bytes(CSV.read_bytes())
    (tmp_path / "week 1(a).csv").write_bytes(CSV.read_bytes())
    (tmp_path / "claimlint.toml").write_text('[[override]]\npaths = ["week [1](?).*"]\nignore = ["all"]\n')
    assert not codes(tmp_path, tmp_path / "week [1](a).csv")
    assert codes(tmp_path, tmp_path / "week 1(a).csv")
