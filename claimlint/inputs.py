"""What a run is told: its options, its registers, the earlier exports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from claimlint import ClaimlintError, policy, registers
from claimlint.readers import NotClaims, Read
from claimlint.readers.sniff import read
from claimlint.rules import Rule, all_rules
from claimlint.scope import Scope
from claimlint.sources import Source, sources


class Progress(NamedTuple):
    """How far a run is: the share of its work that is done, about, and the files and claims read so far."""

    done: float
    files: int
    claims: int


@dataclass(frozen=True)
class Options:
    """What a run is told.

    `as_of` stands for today; with `first_day` all dates, it too, are moved so that the first date of service is this
    one. `payer` overrides the payer class of every claim. `history` are earlier exports, whose lines count where a rule
    counts but have no findings. `packs` speak beside those of the codesets.
    `rules` are those chosen (none: all); `scope` says where they speak.
    `expected_bytes` is how large the files are together, about; by it the work is parted, and its `progress` told.
    """

    as_of: dt.date = field(default_factory=dt.date.today)
    payer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    authorizations: Path | None = None
    documentation: Path | None = None
    fees: Path | None = None
    history: tuple[Path, ...] = ()
    packs: tuple[policy.Pack, ...] = ()
    rules: tuple[str, ...] | None = None
    scope: Scope = field(default_factory=Scope)
    show_phi: bool = False
    first_day: dt.date | None = None
    stdin_filename: str = "-"
    input_format: str | None = None
    expected_bytes: int = 0
    progress: Callable[[Progress], None] | None = field(default=None, compare=False)

    def chosen(self) -> list[Rule]:
        """The rules that run."""
        somewhere = self.scope.somewhere()
        return [r for code, r in all_rules().items() if self.rules is None or code in self.rules or code in somewhere]

    def headings(self, name: str) -> dict[str, str]:
        """The user's CSV headings of a file."""
        return {**self.mapping, **self.scope.mapping(name)}


class CannotRun(ClaimlintError):
    """The run as a whole cannot be done."""


def read_history(options: Options) -> tuple[list[tuple[str, Read]], list[str]]:
    """The earlier exports, read, and what to note of them. Raises CannotRun for one that cannot be read."""
    reads, notes = [], []
    for source in sources([str(p) for p in options.history], options.stdin_filename, []) if options.history else ():
        if not isinstance(source, Source):
            raise CannotRun(f"--history {source.name}: {source.message}")
        try:
            made = read(source.data, options.headings(source.name))
        except NotClaims as error:
            raise CannotRun(f"--history {source.name}: {error}") from None
        reads.append((source.name, made))
        lost = len(made.unreadable) + len([p for p in made.problems if p.code == "STR001"])
        if lost or source.damage:
            why = source.damage or f"{len(made.unreadable)} claims in it cannot be read"
            notes.append(f"--history {source.name}: {why}; what is missing there is not counted")
    return reads, notes


def read_registers(options: Options) -> registers.Registers:
    """The registers that were named. Raises CannotRun for one that cannot be read."""
    found: dict[str, Source] = {}
    for kind, *_ in registers.KINDS.values():
        path: Path | None = getattr(options, kind)
        if path is None:
            continue
        try:
            found[kind] = Source(str(path), path.read_bytes())
        except OSError as error:
            raise CannotRun(f"{path}: {error.strerror}") from None
    return registers_of(found)


def registers_of(found: Mapping[str, Source]) -> registers.Registers:
    """Registers from their bytes, by kind: authorizations, documentation, fees. Raises CannotRun for one that is none.

    Options name files; these may have come another way, and go to `engine.check_sources` as `given`.
    """
    made = {}
    for prefix, (kind, *_) in registers.KINDS.items():
        if source := found.get(kind):
            try:
                made[kind] = registers.read(prefix, source.data, source.name)
            except NotClaims as error:
                raise CannotRun(str(error)) from None
    return registers.Registers(**made)
