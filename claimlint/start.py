"""`claimlint init`: a commented claimlint.toml, written after a look at the practice's own exports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from claimlint import engine, lines, registers
from claimlint.config import KEYS, LISTS, Key, quoted
from claimlint.inputs import Options, registers_of
from claimlint.readers import NotClaims, shown
from claimlint.readers.sheet import open_sheet
from claimlint.readers.sniff import sniff
from claimlint.sources import Opened, Source

_HEAD = 1 << 20  # bytes of a CSV that are looked at for its headings


@dataclass
class Seen:
    """What a look at the files showed.

    `unused`: headings that mean no column, with how many files have them. `lacking`: why rules could not be checked,
    and what would enable them. `given`: the registers, by the option for them. `refused`: files that are no claims yet,
    and why.
    """

    summary: str = "no claim files were looked at"
    unused: Counter[str] = field(default_factory=Counter)
    lacking: list[tuple[str, str]] = field(default_factory=list)
    given: dict[str, Source] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def look(paths: Sequence[str], options: Options) -> Seen:
    """Look at files. Raises CannotRun where there are some, but no claims among them."""
    seen, found = Seen(), list[Opened]()
    for opened in engine.claim_files(paths, options) if paths else ():
        head = opened.read_at(_HEAD, 0) if isinstance(opened, Source) else b""
        head = head[: head.rfind(b"\n") + 1] or head
        if prefix := registers.kind_of(head):
            assert isinstance(opened, Source)
            seen.given.setdefault(registers.KINDS[prefix][0], opened)
            continue
        found.append(opened)
        try:
            if sniff(head) == "csv":
                sheet, *_ = open_sheet(head, lines.COLUMNS, lines.NEEDED, MappingProxyType({}))
                seen.unused.update(sheet.headings.unused)
        except NotClaims as error:
            seen.refused.append(f"{opened.name}: {error}")
    if found:
        report = engine.check_sources(found, options, given=registers_of(seen.given))
        seen.lacking = sorted({(n.reason, n.enable) for n in report.not_checked})
        s = report.summary
        counts = (f"{s[key]:,} {what}" for key, what in (("files", "files"), ("claims_read", "claims")))
        seen.summary = f"{', '.join(counts)}, {s['service_lines']:,} service lines"
    return seen


def written(seen: Seen, folder: Path) -> str:
    """The text of a configuration in this folder, by what was seen."""
    return "\n".join(_lines(seen, folder)) + "\n"


def _lines(seen: Seen, folder: Path) -> Iterator[str]:
    yield "# What `claimlint check` is told in this folder and below; the command line goes before it."
    yield "# `claimlint check --show-settings` says what holds. All keys: docs/configuration.md."
    yield f"# Written after a look at {seen.summary}."
    yield ""
    yield "[check]"
    for key, told in KEYS["check"].items():
        if told.kind == "table":
            continue
        choices = f" One of {', '.join(told.choices)}." if told.choices else ""
        yield f"# {told.about}{choices}"
        given = seen.given.get(key)
        if given and _is_plain(given):
            yield f"{key} = {quoted(_from(folder, given.name))}"
        else:
            if given:
                yield f"# {shown(given.name)} is one, but packed: unpack it first"
            yield f"# {key} = {_example(key, told)}"
    yield ""
    yield "# Headings of your CSV exports that mean no column yet, and the column of each (docs/columns.md)."
    yield "[check.map]"
    for name, count in sorted(seen.unused.items()):
        yield f'# {quoted(name)} = "…"  # in {count} file{"s" * (count != 1)}'
    for line in seen.refused:
        yield f"# {shown(line)}"
    yield ""
    yield "# Not checked in these files, and what would enable it:"
    for reason, enable in seen.lacking:
        yield f"# - {shown(reason)}: {shown(enable)}"
    for name, about in (
        ("override", "Other rules, severities, headings or payers for some files or payers."),
        ("suppress", "Findings that are agreed to stand, and why."),
    ):
        yield ""
        yield f"# {about}"
        yield f"# [[{name}]]"
        for key, told in LISTS[name].items():
            yield f"# {key} = {_example(key, told)}  # {told.about}"


_EXAMPLES = {
    "select": '["COD", "AUT"]',
    "ignore": '["COD102"]',
    "extend-select": '["snip7"]',
    "rules": '["COD120"]',
    "paths": '["exports/north/*"]',
    "payers": '["Aetna*", "medicare"]',
    "claims": '["A-1001"]',
    "severities": '{ COD131 = "warning" }',
    "map": '{ "Our Auth No" = "prior_authorization" }',
    "reason": '"the plan agreed in writing on 2026-01-15"',
    "until": "2026-12-31",
    "history": '["exports/2025.csv"]',
    "state": '"nightly.db"',
    "baseline": '"baseline.json"',
}


def _example(key: str, told: Key) -> str:
    return _EXAMPLES.get(key) or json.dumps(told.default or (told.choices[0] if told.choices else f"{key}.csv"))


def _is_plain(source: Source) -> bool:
    """Whether it is a file as it stands, not packed in one: only such a register can be given."""
    path = Path(source.name)
    return path.is_file() and path.stat().st_size == source.size


def _from(folder: Path, name: str) -> str:
    """A file as it is seen from the folder."""
    path = Path(name).absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
