"""How fast claimlint is, as ratios: to its peers, to a floor, to itself on fewer claims, and to its bare imports.

    python -m bench.ratios            # all but the next; fills the first table of docs/performance.md
    python -m bench.ratios --big      # peak memory on 250 MB and 1 GB of 837P; fills the second

Both sides of a ratio run in turns (A B A B ...) in one run, each as a process of its own, so start-up counts.
This process stays small and imports nothing of claimlint: a child's peak memory is never below its parent's.
"""

from __future__ import annotations

import argparse
import compileall
import operator
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
PEERS_FOLDER = HERE.parent / ".bench-venv"
HEADINGS = ("measured", "claimlint", "against", "ratio", "goal", "reached")
COMPARE = {"at most": operator.le, "at least": operator.ge, "under": operator.lt}

Pair: TypeAlias = tuple[float, float]  # of the best and of the median run
Goal: TypeAlias = tuple[str, float]
Row: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Peer:
    """Another reader of 837P: what pip installs, what runs, and what it prints when it has read a whole file."""

    needs: tuple[str, ...]
    command: tuple[str, ...]
    says: str

    @property
    def name(self) -> str:
        """The package and its release."""
        return self.needs[0].replace("==", " ")

    def on(self, file: Path) -> list[str]:
        """The command that reads a file, in the peer's own environment."""
        return [str(PEERS_FOLDER / self.needs[0] / "bin" / self.command[0]), *self.command[1:], str(file)]


_MODELS = (
    "import sys; from linuxforhealth.x12.io import X12ModelReader as R\n"
    "with R(sys.argv[1]) as r: print(sum(1 for _ in r.models()), 'models')"
)
PYX12 = Peer(("pyx12==4.0.0",), ("x12valid",), r": (OK|Failure)$")
PEERS = (
    PYX12,
    Peer(("linuxforhealth-x12==0.57.0", "pydantic<2"), ("python", "-c", _MODELS), r"^\d+ models$"),
    Peer(("claim-validator==0.3.0", "httpx"), ("claim-validator", "validate"), r'"passed"'),
)


class Failed(Exception):
    """A command did not do what it was run for; says why."""


@dataclass(frozen=True)
class Runs:
    """The runs of one command: seconds, and peak memory in MiB."""

    seconds: list[float]
    peaks: list[float]

    @property
    def time(self) -> Pair:
        """The least and the median time."""
        return min(self.seconds), statistics.median(self.seconds)

    @property
    def peak(self) -> Pair:
        """The least and the median peak memory."""
        return min(self.peaks), statistics.median(self.peaks)

    def rate(self, lines: int) -> Pair:
        """Service lines per second, of the quickest and of the median run."""
        return lines / self.time[0], lines / self.time[1]

    def cell(self, lines: int = 0) -> str:
        """The time (for so many service lines: the rate) and the median peak memory, as text."""
        speed = shown(self.rate(lines), " lines/s") if lines else shown(self.time, " s")
        return f"{speed}; {self.peak[1]:,.0f} MiB"


def run(command: Sequence[str], work: Path, says: str = "") -> tuple[float, float]:
    """Run a process: seconds and MiB. It must print what `says` matches, or else end with 0 or 1 (findings)."""
    printed = work / "printed.txt"
    with printed.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=work)  # noqa: S603
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    text = printed.read_text(encoding="utf-8", errors="replace")
    if not (re.search(says, text, re.MULTILINE) if says else process.returncode in (0, 1)):
        last = (text.strip().splitlines() or ["nothing"])[-1].strip()
        raise Failed(f"status {process.returncode}, and it printed {last.replace(str(work), '')[:160]}")
    return seconds, used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def in_turns(commands: Mapping[str, Sequence[str]], work: Path, turns: int) -> dict[str, Runs]:
    """Run commands in turns, so that what else the machine does touches all of them alike."""
    runs = {name: Runs([], []) for name in commands}
    for turn in range(turns):
        for name, command in commands.items():
            print(f"  {turn + 1} of {turns}: {name}", file=sys.stderr)
            seconds, peak = run(command, work)
            runs[name].seconds.append(seconds)
            runs[name].peaks.append(peak)
    return runs


def shown(pair: Pair, unit: str) -> str:
    """Two figures and their unit, large ones without decimals."""
    return " / ".join(f"{x:,.0f}" if x >= 100 else f"{x:.2f}" for x in pair) + unit


def row(what: str, ours: str, theirs: str, figure: Pair, goal: Goal | None = None, unit: str = "x") -> Row:
    """A row of the table. A goal is reached when both figures reach it."""
    wanted, reached = "", ""
    if goal:
        wanted = f"{goal[0]} {goal[1]:g}{unit}"
        reached = "yes" if all(COMPARE[goal[0]](each, goal[1]) for each in figure) else "no"
    return what, ours, theirs, shown(figure, unit), wanted, reached


def ratio(ours: Pair, theirs: Pair) -> Pair:
    """How many times theirs ours is: of the best runs, of the median runs."""
    return ours[0] / theirs[0], ours[1] / theirs[1]


def claimlint(*arguments: str | Path) -> list[str]:
    """A command of claimlint."""
    return [sys.executable, "-m", "claimlint", *map(str, arguments)]


def check(file: Path) -> list[str]:
    """The command that is measured."""
    out = file.with_suffix(".json")
    return claimlint("check", file, "--as-of", "2026-02-02", "--isolated", "--output-format", "json", "-o", out)


def floor(file: Path, *way: str) -> list[str]:
    """The command that merely splits a file."""
    return [sys.executable, str(HERE / "floor.py"), str(file), *way]


def generated(work: Path, suffix: str, size: str, defects: float = 0.083) -> Path:
    """Invented claims, kept in the working folder: `size` is an option of the generator, as `--claims=10`."""
    file = work / f"{size.strip('-').replace('=', '-')}-defects-{defects:g}{suffix}"
    if not file.exists():
        print(f"  writing {file.name}", file=sys.stderr)
        part = file.with_name(f"part-{file.name}")
        run(claimlint("generate", part, size, "--seed=1", f"--defects={defects}"), work, "claims")
        part.rename(file)
    return file


def service_lines(file: Path) -> int:
    """How many service lines an 837P has that gives each segment a line."""
    with file.open("rb") as segments:
        return sum(segment.startswith(b"LX*") for segment in segments)


def for_peers(file: Path) -> Path:
    """The file in words that linuxforhealth-x12 takes: a gender other than U, and the kind of payer always."""
    text = file.read_bytes().replace(b"*U~", b"*F~").replace(b"SBR*P*18~", b"SBR*P*18*******CI~")
    changed = file.with_name(f"peers-{file.name}")
    changed.write_bytes(text)
    return changed


def install(peer: Peer) -> None:
    """Give a peer an environment of its own, unless it has one."""
    folder = PEERS_FOLDER / peer.needs[0]
    if not (folder / "installed").exists():
        print(f"  installing {peer.needs[0]}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        run([str(folder / "bin" / "pip"), "install", *peer.needs], folder, "^Successfully installed")
        (folder / "installed").touch()


def usable_peers(small: Path, work: Path) -> tuple[list[Peer], list[Row]]:
    """The peers that read the small file, and a row for each that does not."""
    usable: list[Peer] = []
    rows: list[Row] = []
    for peer in PEERS:
        try:
            install(peer)
            run(peer.on(small), work, peer.says)
            usable.append(peer)
        except (Failed, OSError, subprocess.CalledProcessError) as error:
            rows.append(("837P: rate", "", f"{peer.name}: not measured, {error}", "", "", ""))
    return usable, rows


def against_peer(peer: Peer, runs: Mapping[str, Runs], many: int, few: int) -> list[Row]:
    """Rows of service lines per second: claimlint's on many lines, and on the few that peers are given."""
    large, small, theirs = runs["16x"], runs["small"], runs[peer.needs[0]]
    cell = f"{peer.name}, {few:,} lines: {theirs.cell(few)}"
    goal: Goal | None = ("at least", 300) if peer is PYX12 else None
    faster, same = ratio(large.rate(many), theirs.rate(few)), ratio(small.rate(few), theirs.rate(few))
    return [
        row(f"837P, {many:,} service lines: rate (headline)", large.cell(many), cell, faster, goal),
        row(f"837P, {few:,} service lines: rate", small.cell(few), cell, same),
    ]


def against_floor(what: str, file: Path, ours: Runs, theirs: Runs, most: float) -> Row:
    """A row of a file's time against that of merely splitting it."""
    what = f"{what}, {file.stat().st_size / 1e6:,.0f} MB: time"
    return row(what, ours.cell(), f"the floor: {theirs.cell()}", ratio(ours.time, theirs.time), ("at most", most))


def on_837(work: Path, options: argparse.Namespace) -> list[Row]:
    """Rows on 837P: against the peers, against the floor, and against a sixteenth of the claims."""
    sizes = {n: generated(work, ".837", f"--claims={options.claims * n // 16}") for n in (1, 4, 16)}
    small = for_peers(generated(work, ".837", f"--claims={options.peer_claims}", defects=0))
    peers, rows = usable_peers(small, work)
    commands = {f"{n}x": check(file) for n, file in sizes.items()}
    commands |= {"floor": floor(sizes[16]), "small": check(small)} | {p.needs[0]: p.on(small) for p in peers}
    runs = in_turns(commands, work, options.turns)
    many, few = service_lines(sizes[16]), service_lines(small)
    rows = [r for p in peers for r in against_peer(p, runs, many, few)] + rows
    rows.append(against_floor("837P", sizes[16], runs["16x"], runs["floor"], 2))
    first = runs["1x"]
    for n, goal in ((4, None), (16, ("at most", 17.0))):
        more = runs[f"{n}x"]
        what, cells = f"837P, {n}x the claims", (more.cell(), f"{options.claims // 16:,} claims: {first.cell()}")
        rows.append(row(f"{what}: time", *cells, ratio(more.time, first.time), goal))
        rows.append(row(f"{what}: peak memory", *cells, ratio(more.peak, first.peak)))
    return rows


def on_others(work: Path, options: argparse.Namespace) -> list[Row]:
    """Rows on CSV and XML, against the floor."""
    rows = []
    for what, suffix, most in (("CSV", ".csv", 3), ("XML", ".xml", 2)):
        file = generated(work, suffix, f"--claims={options.claims}")
        commands = {what: check(file), "floor": floor(file)}
        if what == "XML":
            commands["bare"] = floor(file, "bare")
        runs = in_turns(commands, work, options.turns)
        rows.append(against_floor(what, file, runs[what], runs["floor"], most))
        if bare := runs.get("bare"):
            cells = runs[what].cell(), f"a parse that hands out nothing: {bare.cell()}"
            rows.append(row(f"{what}: time", *cells, ratio(runs[what].time, bare.time)))
    return rows


def starting(work: Path, options: argparse.Namespace) -> list[Row]:
    """Rows on starting up, with ten claims and with none, against the imports."""
    commands = {
        "check of ten claims": check(generated(work, ".837", "--claims=10")),
        "--version": claimlint("--version"),
        "imports": [sys.executable, "-c", "import polars, lxml.etree, click"],
    }
    runs = in_turns(commands, work, 10 * options.turns)
    bare = runs.pop("imports")
    goal = ("at most", 2.0)
    return [
        row(f"start, {what}: time", r.cell(), f"the imports: {bare.cell()}", ratio(r.time, bare.time), goal)
        for what, r in runs.items()
    ]


def big(work: Path, options: argparse.Namespace) -> list[Row]:
    """Rows on a large 837P: its peak memory, and that against a quarter of it."""
    files = {mb: generated(work, ".837", f"--size={mb}MB") for mb in (options.big // 4, options.big)}
    less, more = in_turns({f"{mb} MB": check(file) for mb, file in files.items()}, work, options.turns).values()
    what = f"837P, {options.big:,} MB"
    cells = more.cell(), f"{options.big // 4:,} MB: {less.cell()}"
    return [
        row(f"{what}: peak memory", more.cell(), "", more.peak, ("under", 768), " MiB"),
        row(f"{what}: peak memory", *cells, ratio(more.peak, less.peak), ("at most", 1.2)),
        row(f"{what}: time", *cells, ratio(more.time, less.time)),
    ]


def report(rows: Sequence[Row], options: argparse.Namespace) -> str:
    """What was measured, how and on what, and the rows as a markdown table."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows]
    versions = f"Python {platform.python_version()}, Polars {version('polars')}, lxml {version('lxml')}"
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, {versions}"
    load = f"load average {os.getloadavg()[1]:.1f} at the end"
    table = "\n".join(f"| {' | '.join(cell.replace('|', ' ') for cell in line)} |" for line in lines)
    sizes = f"--claims {options.claims} --peer-claims {options.peer_claims}"
    command = f"python -m bench.ratios {f'--big {options.big}' if options.big else sizes} --turns {options.turns}"
    return f"`{command}` on {time.strftime('%Y-%m-%d')}: {machine}; {load}.\n\n{table}"


def put(page: str, name: str, text: str) -> str:
    """The page with this text between the two comments of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, _, rest = page.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        sys.exit(f"bench.ratios: the page has no {begin} with {end} after it")
    return f"{head}{begin}\n{text}\n{end}{tail}"


def main() -> None:
    """Measure, print the table and put it in its page."""
    parser = argparse.ArgumentParser(prog="python -m bench.ratios", description="Speed and memory, as ratios.")
    add = parser.add_argument
    add("--work", type=Path, help="keep the generated files in this folder, for the next run")
    add("--claims", type=int, default=160_000, help="of the large files (default: %(default)s)")
    add("--peer-claims", type=int, default=10_000, help="of the file for the peers (default: %(default)s)")
    add("--turns", type=int, default=3, help="runs of each command; ten times as many of a start (default: 3)")
    add("--big", type=int, nargs="?", const=1000, metavar="MB", help="only peak memory, at 1000 MB and a quarter")
    add("--page", type=Path, default=PAGE, help="the page with the tables (default: docs/performance.md)")
    options = parser.parse_args()
    # As an installation does, so that no start has to; the peers' and the imports are there already.
    compileall.compile_dir(HERE.parent / "claimlint", quiet=1)
    name, parts = ("big", [big]) if options.big else ("ratios", [on_837, on_others, starting])
    page = options.page.read_text(encoding="utf-8")
    put(page, name, "")  # to fail now rather than after the measurements
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        try:
            text = report([r for part in parts for r in part(work, options)], options)
        except Failed as error:
            sys.exit(f"bench.ratios: {error}")
    print(text)
    options.page.write_text(put(page, name, text), encoding="utf-8")


if __name__ == "__main__":
    main()
