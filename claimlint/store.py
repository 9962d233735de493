"""What a practice imported: one Parquet file for each kind and release, in a folder of its own.

The folder is the user's data folder, or where CLAIMLINT_DATA points. A file carries its own record (where it came from,
when, its dates), so that replacing it is one rename and nothing can fall out of step.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from claimlint import ClaimlintError

_RECORD = "claimlint"


class StoreError(ClaimlintError):
    """An imported file cannot be written, or one in the folder is no import."""


class Imported(NamedTuple):
    """One import: `kind` as `claimlint codesets import` takes it, and the days for which the release speaks.

    `files` are the names of the files it was made from and `sha256` is of their bytes; `rows` counts codes or pairs.
    """

    kind: str
    release: str
    begins: dt.date
    ends: dt.date
    files: tuple[str, ...]
    sha256: str
    imported_on: dt.date
    rows: int
    path: Path


def folder() -> Path:
    """Where imports are kept."""
    if told := os.environ.get("CLAIMLINT_DATA"):
        return Path(told)
    return _usual_folder()


@functools.cache
def _usual_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("claimlint", appauthor=False) / "codesets"


_used = True


def use(used: bool) -> None:
    """Whether what was imported counts from now on."""
    global _used
    _used = used


@functools.cache
def _listed(where: Path) -> tuple[Imported, ...]:
    found = [_read(path) for path in where.glob("*/*.parquet")] if where.is_dir() else []
    return tuple(sorted(found, key=lambda i: (i.kind, i.begins, i.release)))


def imports(kind: str = "") -> tuple[Imported, ...]:
    """The imports of a kind (or all), the oldest release first. Raises StoreError for a file that is none."""
    return tuple(i for i in _listed(folder()) if kind in ("", i.kind)) if _used else ()


def _read(path: Path) -> Imported:
    try:
        record: dict[str, Any] = json.loads(pl.read_parquet_metadata(path)[_RECORD])
        for day in ("begins", "ends", "imported_on"):
            record[day] = dt.date.fromisoformat(record[day])
        record["files"] = tuple(record["files"])
        return Imported(**record, path=path)
    except (OSError, KeyError, TypeError, ValueError, pl.exceptions.PolarsError):
        raise StoreError(
            f"{path}: this is no file that `claimlint codesets import` wrote; remove it, and import again"
        ) from None


def put(table: pl.DataFrame, made: Imported) -> Imported:
    """Keep a table; an import of the same kind and release is replaced at once, or not at all. Raises StoreError."""
    path = folder() / made.kind / f"{made.release}.parquet"
    record = {k: v for k, v in made._asdict().items() if k != "path"}
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        os.close(handle)
        temporary = Path(name)
        # Small row groups, so that the few codes of a claim file are found without reading the rest.
        table.write_parquet(
            temporary, compression="zstd", row_group_size=8192, metadata={_RECORD: json.dumps(record, default=str)}
        )
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}; nothing was changed") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        _listed.cache_clear()
    return _read(path)


def remove(kind: str, release: str = "") -> tuple[Imported, ...]:
    """Forget the imports of a kind, or one release of it; what was removed. Raises StoreError."""
    gone = tuple(i for i in imports(kind) if release in ("", i.release))
    for each in gone:
        try:
            each.path.unlink()
        except OSError as error:
            raise StoreError(f"{each.path}: {error.strerror or error}") from None
        with contextlib.suppress(OSError):  # others may be left in it
            each.path.parent.rmdir()
    _listed.cache_clear()
    return gone


def forget() -> None:
    """Look at the folder again: for tests, and for runs that last."""
    _listed.cache_clear()
