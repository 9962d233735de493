"""The manifest of a run: what was checked, with what, and what came of it, so that it can be run again as proof.

It has no claims in it, but the names and digests of files.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError, __version__, codeset, reports, store
from claimlint.findings import Report
from claimlint.sources import Opened, Source

_VERSION = 1
_BLOCK = 1 << 24
_LIBRARIES = ("polars", "lxml", "numpy")


class ManifestError(ClaimlintError):
    """A file is no manifest, or a run of it cannot be repeated; says why."""


class Inputs:
    """Takes the digests of the files that pass through."""

    def __init__(self) -> None:
        self.files: list[dict[str, Any]] = []

    def watched(self, found: Iterable[Opened]) -> Iterator[Opened]:
        """The same files. Raises OSError for one that cannot be read."""
        for opened in found:
            if isinstance(opened, Source):
                digest = hashlib.blake2b(digest_size=20)
                for at in range(0, opened.size, _BLOCK):
                    digest.update(opened.read_at(_BLOCK, at))
                self.files.append({"name": opened.name, "bytes": opened.size, "blake2b": digest.hexdigest()})
            yield opened


def digest_of(report: Report) -> str:
    """One text for all that a report says, but for how long it took."""
    summary = {key: value for key, value in report.summary.items() if key != "duration_s"}
    digest = hashlib.blake2b(digest_size=20)
    for piece in reports.render(replace(report, summary=summary), "json", reports.Style()):
        digest.update(piece if isinstance(piece, bytes) else piece.encode())
    return digest.hexdigest()


def of_run(
    arguments: dict[str, Any], files: list[dict[str, Any]], named: Iterable[Path], report: Report
) -> dict[str, Any]:
    """The manifest of a run: of its command line (`arguments`), its claim files, the other files that it was given."""
    summary = {key: value for key, value in report.summary.items() if key != "duration_s"}
    return {
        "manifest_version": _VERSION,
        "claimlint": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "arguments": arguments,
        "files": files,
        "given": [{"name": str(path), "blake2b": _digest(path)} for path in named],
        "codesets": codesets(),
        "summary": summary,
        "report": digest_of(report),
    }


def codesets() -> list[dict[str, str]]:
    """The codesets and policy packs that are in use, with their digests."""
    made = []
    for number, folder in enumerate(codeset.folders()):
        digest = hashlib.blake2b(digest_size=20)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
        made.append({"name": "shipped" if number == 0 else str(folder), "blake2b": digest.hexdigest()})
    made += [{"name": f"imported {each.path.stem}", "blake2b": _digest(each.path)} for each in store.imports()]
    return made


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=20).hexdigest()


def load(path: Path) -> dict[str, Any]:
    """Read a manifest. Raises ManifestError."""
    try:
        made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if made["manifest_version"] != _VERSION:
            raise ManifestError(f"{path}: manifest of version {made['manifest_version']}, not {_VERSION}")
        if not isinstance(made["arguments"], dict):
            raise TypeError
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ManifestError(f"{path} is no manifest of claimlint; write one with `check --manifest FILE`") from None
    return made


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is not as it was, in words; nothing if the run gave the same bytes from the same."""
    told = [f"{k} is {after[k]}, was {before[k]}" for k in ("claimlint", "python") if before[k] != after[k]]
    told += [
        f"{name} is {own}, was {before['libraries'].get(name)}"
        for name, own in after["libraries"].items()
        if before["libraries"].get(name) != own
    ]
    for key, what in (("files", "claim file"), ("given", "file"), ("codesets", "codesets")):
        old, new = ({each["name"]: each["blake2b"] for each in made[key]} for made in (before, after))
        told += [f"{what} {name} is not there any more" for name in old.keys() - new.keys()]
        told += [f"{what} {name} was not there" for name in new.keys() - old.keys()]
        told += [f"{what} {name} has changed" for name in old.keys() & new.keys() if old[name] != new[name]]
    if before["report"] != after["report"]:
        told.append("the report is not the same")
    return sorted(told, key=lambda line: line.startswith("the report"))
