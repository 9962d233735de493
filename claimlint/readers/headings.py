"""Which cell of a row holds which column: the headings of a CSV, their other names and the user's own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from claimlint.lines import LIST_KINDS, Column, heading_key
from claimlint.readers import NotClaimRows, NotClaims

# Headings that come in numbers (`Dx1` … `Dx12`, `Modifier 2`, box `21A`), as `heading_key` leaves them.
_STEMS = {
    "diagnoses": (12, r"(?:box)?21|dx|diag|diagnosis|diagnoses|icd(?:10)?(?:cm)?|(?:dx|diag|diagnosis|icd(?:10)?)code"),
    "modifiers": (4, r"m|mod|mods|modifier|modifiers|modifiercode|(?:proc|procedure|cpt|hcpcs|24d)(?:mod|modifier)"),
    "pointers": (12, r"ptr|pointer|(?:diag|dx|diagnosis|icd|24e|24ediagnosis)(?:ptr|pointer)"),
    "procedures": (12, r"cpt|hcpcs|proc|procedure|cptcode|procedurecode|proccode"),
}
_FAMILIES = {
    name: re.compile(rf"(?:{stems})0?(?P<number>[1-9]|1[0-2]|[a-l])(?:code)?") for name, (_, stems) in _STEMS.items()
}
_FIRST = {
    "principaldiagnosis": 1,
    "primarydiagnosis": 1,
    "primarydx": 1,
    "secondarydiagnosis": 2,
    "secondarydx": 2,
    "tertiarydiagnosis": 3,
    "principaldx": 1,
    "tertiarydx": 3,
}
LONGEST = 60  # characters of a heading
EXAMPLES = "Claim #, CPT, DOS, Charge Amt, Dx1, Modifier 1"


@dataclass(frozen=True)
class Headings:
    """The heading row: `names` as written, and for each column found the cells that hold it, in order.

    `unused`: the names that mean no column.
    """

    names: tuple[str, ...]
    cells: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]
    unused: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[int, ...]:
        """The cells that hold any column, in order."""
        return tuple(sorted({i for cells in self.cells.values() for i in cells}))


@lru_cache(maxsize=16)
def _aliases(columns: tuple[Column, ...]) -> dict[str, str]:
    """Column name by heading key; the first column that claims a key has it."""
    found: dict[str, str] = {}
    for column in columns:
        for key in column.keys:
            found.setdefault(key, column.name)
    return found


def _family(key: str, columns: tuple[Column, ...]) -> tuple[str, int] | None:
    """List column and number of a numbered heading: `dx3` is diagnoses 3."""
    names = {c.name for c in columns if c.kind in LIST_KINDS}
    if "diagnoses" in names and key in _FIRST:
        return "diagnoses", _FIRST[key]
    for name in names & _FAMILIES.keys():
        match = _FAMILIES[name].fullmatch(key)
        if match:
            text = match["number"]
            number = int(text) if text.isdigit() else "abcdefghijkl".index(text) + 1
            if number <= _STEMS[name][0]:
                return name, number
    return None


def _own(mapping: Mapping[str, str], columns: tuple[Column, ...]) -> dict[str, str]:
    """The user's headings by key. Raises NotClaims for a column that there is not."""
    names = [c.name for c in columns]
    for heading, name in mapping.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, 3)
            hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(names)}"
            raise NotClaims(f"the mapping of “{heading}” names no column: “{name}”{hint}")
    return {heading_key(heading): name for heading, name in mapping.items()}


def score(row: list[str], columns: tuple[Column, ...], mapping: Mapping[str, str]) -> int:
    """How many of a row's cells are known headings; bare numbers, as in a row of data, count beside two words only."""
    known, words = 0, 0
    aliases, own = _aliases(columns), _own(mapping, columns)
    for key in {heading_key(cell) for cell in row if len(cell) < LONGEST}:
        if key in own or key in aliases or _family(key, columns):
            known += 1
            words += not key.isdigit()
    return known if words > 1 else words


def covers(row: list[str], columns: tuple[Column, ...], needed: tuple[str, ...], mapping: Mapping[str, str]) -> bool:
    """Whether a row has a heading for every needed column, and all of the user's own."""
    try:
        assign(tuple(row), columns, needed, mapping)
    except NotClaims:
        return False
    return True


def assign(
    names: tuple[str, ...], columns: tuple[Column, ...], needed: tuple[str, ...], mapping: Mapping[str, str]
) -> Headings:
    """Find the columns of a heading row. Raises NotClaims if a needed one is missing or the mapping does not fit."""
    keys = [heading_key(name) for name in names]
    aliases, own = _aliases(columns), _own(mapping, columns)
    for heading in mapping:
        if heading_key(heading) not in keys:
            near = difflib.get_close_matches(heading, [n for n in names if n], 3)
            hint = f"; did you mean {', '.join(near)}?" if near else f"; it has {_few([n for n in names if n])}"
            raise NotClaims(f"the mapping names a heading that the file does not have: “{heading}”{hint}")
    lists = {c.name for c in columns if c.kind in LIST_KINDS}
    numbered: dict[str, dict[int, int]] = {}
    plain: dict[str, list[int]] = {}
    unused, seconds, blank = [], [], []
    for i, key in enumerate(keys):
        family = None if key in own else _family(key, columns)
        # `ICD10` is the whole list, unless it follows `ICD9` or stands beside `ICD1`.
        if family and (key not in aliases or (key == "icd10" and {"icd1", "icd9"} & set(keys))):
            if family[1] in numbered.setdefault(family[0], {}):
                seconds.append((i, family[0]))
            numbered[family[0]].setdefault(family[1], i)
        elif key in own:
            plain.setdefault(own[key], []).append(i)
        elif key in aliases:
            plain.setdefault(aliases[key], []).append(i)
        elif key or names[i]:
            unused.append(names[i])
        else:
            blank.append(str(i + 1))
    cells: dict[str, tuple[int, ...]] = {}
    for column in columns:
        name = column.name
        # The user's own headings come before any that we know.
        found = sorted(plain.get(name, []), key=lambda i: keys[i] not in own)
        members = numbered.get(name, {})
        if members and found and keys[found[0]] not in own:
            # `Dx, Dx2, Dx3`: the bare heading is the first. Beside `Dx1` it repeats what the others say.
            if 1 not in members:
                members[1] = found.pop(0)
            seconds += [(i, name) for i in found]
            found = []
        if not found and members:
            cells[name] = tuple(members[n] for n in sorted(members))
            continue
        seconds += [(i, name) for i in members.values()]
        if found:
            # A list column's heading repeated word for word (`Mod, Mod, Mod`) or mapped by the user goes on.
            more = [i for i in found[1:] if name in lists and (keys[i] in own or keys[i] == keys[found[0]])]
            cells[name] = (found[0], *more)
            seconds += [(i, name) for i in found[1:] if i not in more]
    missing = [name for name in needed if name not in cells]
    if missing:
        raise NotClaimRows(_missing(missing, unused, columns))
    notes = [
        f"heading “{names[i]}” (cell {i + 1}) not used: {name} is read from “{names[cells[name][0]]}”"
        for i, name in sorted(seconds)
    ]
    if unused:
        notes.append(f"headings not used: {_few(unused)}")
    if blank:
        notes.append(f"cells without a heading not used: {_few(blank)}")
    return Headings(names, cells, tuple(notes), tuple(unused))


def _few(names: list[str]) -> str:
    """The names in a row, the first forty of them."""
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def _missing(missing: list[str], unused: list[str], columns: tuple[Column, ...]) -> str:
    """What to tell about needed columns that no heading stands for."""
    by_name = {c.name: c for c in columns}
    keys = {heading_key(heading): heading for heading in reversed(unused)}
    parts, example = [], []
    for name in missing:
        near = [keys[k] for alias in by_name[name].keys for k in difflib.get_close_matches(alias, keys, 2, 0.7)]
        near = list(dict.fromkeys(near))[:3]
        known = ", ".join((name, *by_name[name].headings[:3]))
        parts.append(f"{name} (such as {known}{'; near: ' + ', '.join(near) if near else ''})")
        example.append(f'"{near[0] if near else "Your heading"}" = "{name}"')
    given = f"; headings not used: {_few(unused)}" if unused else ""
    return f"no heading for {'; '.join(parts)}{given}; name yours with --map, one a line: {' '.join(example)}"


def no_headings(rows: list[list[str]], columns: tuple[Column, ...]) -> str:
    """What to tell where no heading row was found. No cell is shown: it may be a patient's name."""
    near: list[str] = []
    for number, row in enumerate(rows, 1):
        for cell, text in enumerate(row, 1):
            match = difflib.get_close_matches(heading_key(text[:40]), _aliases(columns), 1, 0.75)
            if match and len(text) > 3:
                near.append(f"row {number} cell {cell} resembles {_aliases(columns)[match[0]]}")
    names = ", ".join(c.headings[0] if c.headings else c.name for c in columns[:6])
    also = f"; {'; '.join(near[:5])}" if near else ""
    looked = EXAMPLES if any(c.name == "charge" for c in columns) else names
    return f"no heading row found{also}; claimlint looks for headings such as {looked}; name yours with --map"
