"""What is written from the schema, the rules and the command line: `python -m claimlint.reference docs`.

The reference pages and manual pages in docs/, and the list of rules that shells complete.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from claimlint import cli_completion, engine, examples, lines, manpages, registers, vocabulary
from claimlint.config import EXTEND, KEYS, LISTS, Key
from claimlint.reports import rules as rule_pages
from claimlint.rules import shipped

_TYPES = {
    "text": "text",
    "code": "code (upper case)",
    "date": "date",
    "money": "amount (integer US cents)",
    "number": "number",
    "codes": "list of codes",
    "diagnoses": "list of codes",
    "pointers": "list of numbers",
}

_KINDS: dict[object, str] = {
    pl.String: "text",
    pl.Boolean: "true or false",
    pl.Date: "date",
    pl.List: "list of texts",
    pl.Float64: "number",
    **dict.fromkeys((pl.Int8, pl.Int64, pl.UInt64), "whole number"),
}


def pages() -> dict[str, str]:
    """File name → text of every generated page."""
    manual = {f"man/{name}": text for name, text in manpages.pages().items()}
    return {"columns.md": _columns(), "configuration.md": _configuration()} | _rules() | manual


def _configuration() -> str:
    parts = [
        "# Configuration",
        "",
        "`claimlint check` and `claimlint what-changes` are told what is in `claimlint.toml`, or in the table "
        "`[tool.claimlint]` of `pyproject.toml`: the nearest one upwards from the folder that they start in. The "
        "command line goes before it, `--config FILE` names another one, and `--isolated` uses none. A key that there "
        "is not is an error which names the right one. Paths are as seen from the file's folder.",
        "",
        "    claimlint init exports/             # a commented file, after a look at your exports",
        "    claimlint check --show-settings .   # what holds, and where each setting is from",
        "    claimlint schema config             # the JSON Schema of the file, for editors",
        "",
        f'`extend = "FILE"`: {EXTEND.about[0].lower()}{EXTEND.about[1:]}',
        "",
        "Rules are chosen by code (`COD132`), prefix of a code (`COD`, `COD1`), name (`missing-therapy-modifier`), "
        "family (`coding`), SNIP type (`snip4`) or `all`. In patterns `*` stands for any text, also with folders in "
        "it, and `?` for one character; payers and claims are compared without regard to case.",
        "",
    ]
    for name, keys in KEYS.items():
        parts += [f"## [{name}]", "", *([_ABOUT[name], ""] if name in _ABOUT else []), *_keys(keys), ""]
    for name, keys in LISTS.items():
        parts += [f"## [[{name}]]", "", _ABOUT[name], "", *_keys(keys), ""]
    return "\n".join(parts)


_ABOUT = {
    "check": "Options of `claimlint check` by the same names.",
    "severities": 'One line a rule or prefix: `COD131 = "info"`.',
    "codesets": "See [codesets](codesets.md).",
    "override": "Other rules, severities, headings or a payer class for some files or payers; of several that say "
    "something of a rule the last one holds. Without `paths` it is for all files, without `payers` for all payers.",
    "suppress": "Findings that are agreed to stand. They are counted and not told, put no dollars at risk and do not "
    "make a run fail. A run notes how many each entry has set aside, which matches nothing and which is over.",
    "rule": "A rule of your own: see [own rules](own-rules.md).",
    "example": "An example for `claimlint test`: see [own rules](own-rules.md).",
}


def _keys(keys: Mapping[str, Key]) -> list[str]:
    rows = ["| key | value | what it is for |", "|---|---|---|"]
    for key, told in keys.items():
        value = " or ".join(f"`{choice}`" for choice in told.choices) or told.kind
        value += f"; {told.default} if not set" if told.default else ""
        value += "; must be there" if told.needed else ""
        rows.append(f"| `{'RULE' if key == '*' else key}` | {value} | {told.about} |")
    return rows


def _columns() -> str:
    (example,) = examples.parse("Clean:\n    procedure=97110")
    schema = engine.seen(*examples.prepared(example), "line").schema
    parts = [
        "# The columns of a claim and of the registers",
        "",
        "Every format becomes one table with a row per service line. A CSV heading means a column when it is the "
        "column's name or one of the headings below; case, blanks and punctuation do not matter. Any other heading is "
        'mapped with `--map FILE`, a TOML file of lines such as `"Our Auth No" = "prior_authorization"`.',
        "",
        f"A claim CSV must have: {', '.join(f'`{name}`' for name in lines.NEEDED)}. Where another column is missing, "
        "the rules that need it are listed as not checked. Columns marked PHI are never shown unless asked for.",
        "",
        "Diagnoses, modifiers and pointers may stand in one cell (`M51.16;M54.16`) or in numbered columns (`Dx1`, "
        "`Dx2` …, `Mod1` …).",
        "",
        "## Claims",
        "",
        *_table(lines.COLUMNS, with_x12=True),
        "",
        "## `--authorizations FILE`: prior authorizations",
        "",
        *_table(registers.AUTHORIZATIONS, with_x12=False),
        "",
        "## `--documentation FILE`: session documentation",
        "",
        "One row per member and date of service. Plan of care, conservative care, imaging, notice, estimate and letter "
        "need not be repeated: where a row has none, the member's latest earlier row counts.",
        "",
        *_table(registers.DOCUMENTATION, with_x12=False),
        "",
        "## `--fees FILE`: the fee schedule",
        "",
        "One row per procedure, or several with dates or payer classes of their own.",
        "",
        *_table(registers.FEES, with_x12=False),
        "",
        "## What is worked out",
        "",
        "For [rules of your own](own-rules.md). The columns of the registers have `auth_`, `doc_` or `fee_` before "
        "their names, and what the payer's policies say is `policy_` and the key, as in [payer packs]"
        "(../codesets/payers/README.md). In the views `modifiers`, `diagnoses` and `pointers` a row is one entry: "
        "`modifier`, `diagnosis` or `pointer`, with `index` from 0.",
        "",
        "| column | type | what |",
        "|---|---|---|",
        *(
            f"| `{name}` | {_KINDS[schema[name].base_type()]} | {what} |"
            for name, what in vocabulary.WORKED_OUT.items()
        ),
    ]
    return "\n".join(parts) + "\n"


def _table(columns: Sequence[lines.Column], *, with_x12: bool) -> list[str]:
    place = " 837P |" if with_x12 else ""
    rows = [f"| column | type | what |{place} CSV headings |", "|---|---|---|" + "---|" * (1 + with_x12)]
    for c in columns:
        phi = " PHI." if c.phi else ""
        x12 = f" {', '.join(map(str, c.x12)) or 'none'} |" if with_x12 else ""
        rows.append(f"| `{c.name}` | {_TYPES[c.kind]} | {c.doc}{phi} |{x12} {', '.join(c.headings) or 'none'} |")
    return rows


def _rules() -> dict[str, str]:
    rules = list(shipped().values())
    listed = {f"rules/{r.code}.md": rule_pages.render([r], "markdown", listing=False) + "\n" for r in rules}
    return {"rules/README.md": rule_pages.index(rules)} | listed


def completions() -> str:
    """The text of `cli_completion.INDEX`."""
    return "".join(f"{r.code} {r.name} {r.family}\n" for r in shipped().values())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for kind in ("rules", "man"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for stale in (folder / kind).iterdir():
            stale.unlink()
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    cli_completion.INDEX.write_text(completions(), encoding="utf-8")
