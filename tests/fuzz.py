"""Coverage-guided fuzzing: `python -m tests.fuzz x12 csv --seconds 600 --corpus build/fuzz`.

It needs the extra `fuzz` (Atheris, on Linux). Inputs that reach something new are kept in the corpus, by target, and
the next run goes on with them. An input for which something does not hold goes to its `findings`, the shortest for each
place where it broke, with the traceback beside it, and the run goes on. A hang or a crash of the process ends it, and
its input is there too. What is found is mended, and its input put into tests/regressions.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

TARGETS = ("x12", "csv", "xml", "config", "packs", "server")
LONGEST = 40_000  # bytes of an input
PATIENCE = 60  # seconds for one input, after which it hangs


def main() -> None:
    """Fuzz some targets, one after the other, each in a process of its own; tell what was done in a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="+", choices=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="how long for each target")
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"), help="where inputs and findings are kept")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.inside:
        _fuzz(told.targets[0], told.seconds, told.corpus)
    for target in told.targets:
        _say(target, told.seconds, told.corpus)


def _say(target: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target in another process, and write a line of what it did."""
    began = time.monotonic()
    own = ["--seconds", str(seconds), "--corpus", str(corpus), "--inside"]
    env = {**os.environ, "CLAIMLINT_DATA": os.devnull, "POLARS_ENGINE_AFFINITY": "in-memory", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-m", "tests.fuzz", target, *own]
    corpus.mkdir(parents=True, exist_ok=True)
    with (corpus / f"{target}.log").open("wb") as file:
        ran = subprocess.run(command, stderr=file, check=False, env=env)
    log = (corpus / f"{target}.log").read_text(encoding="utf-8", errors="replace")
    done = re.findall(r"#(\d+)\s.*?cov: (\d+).*?corp: (\d+)", log)
    runs, covered, kept = map(int, done[-1]) if done else (0, 0, 0)
    took = time.monotonic() - began
    found = len(list((corpus / target / "findings").glob("*.txt")))
    ended = "" if ran.returncode == 0 else f", ended early (status {ran.returncode})"
    print(
        f"{target}: {took:.0f} s, {runs:,} runs ({runs / took:.0f} a second), coverage {covered:,}, {kept:,} inputs in "
        f"the corpus, {found} findings in it{ended}",
        flush=True,
    )


def _fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target in this process, which then ends."""
    import atheris

    with atheris.instrument_imports(include=["claimlint"], enable_loader_override=False):
        from tests.targets import TARGETS as MAKERS

        target = MAKERS[name]()
    inputs, seeds, findings = corpus / name / "inputs", corpus / name / "seeds", corpus / name / "findings"
    for folder in (inputs, seeds, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    words = corpus / name / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="utf-8")
    runs = 0

    def run(data: bytes) -> None:
        nonlocal runs
        runs += 1
        try:
            target.run(data, all_of_it=runs % target.often == 0)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            _keep(findings, data, error)

    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={PATIENCE}", f"-dict={words}"]
    options += [f"-artifact_prefix={findings}/", "-rss_limit_mb=6000", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(inputs), str(seeds)], run)
    atheris.Fuzz()


def _keep(findings: Path, data: bytes, error: BaseException) -> None:
    """Keep an input by where it broke, if it is the first or the shortest there."""
    own = [f for f in traceback.extract_tb(error.__traceback__) if "claimlint" in f.filename or "tests" in f.filename]
    where = f"{type(error).__name__} {[f'{Path(f.filename).name}:{f.lineno}' for f in own[-2:]]}"
    path = findings / hashlib.sha256(where.encode()).hexdigest()[:12]
    if not path.exists() or len(data) < path.stat().st_size:
        path.write_bytes(data)
        lines = traceback.format_exception(error)
        path.with_suffix(".txt").write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main()
