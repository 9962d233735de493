"""`claimlint codesets`: what codesets there are, and imports of one's own."""

from __future__ import annotations

import datetime as dt
import difflib
from pathlib import Path

import click

from claimlint.cli_common import FILE, Date, configured

IMPORTABLE = ("icd10cm", "hcpcs", "cpt", "ncci-ptp", "ncci-mue")


@click.group()
def codesets() -> None:
    """What is loaded: list it, verify it, import what CMS and the AMA publish."""


@codesets.command("list")
@click.option("--as-of", type=Date(), help="The date that counts as today.  [default: today]")
@configured
def list_codesets(as_of: dt.date | None) -> None:
    """List what is loaded: kind, version, rows, dates, source, and what has grown old."""
    from claimlint.reports import codesets as listing

    for line in listing.lines(as_of or dt.date.today()):
        click.echo(line)


@codesets.command()
@configured
def verify() -> int:
    """Check that every row is dated and sourced, that none contradict, and that references resolve.

    Exit status: 0 all is well, 1 something is not.
    """
    from claimlint.verify import problems

    found = list(problems())
    for each in found:
        click.echo(each)
    click.echo(f"{len(found)} problems" if found else "every codeset and policy pack is in order")
    return int(bool(found))


@codesets.command("import")
@click.argument("kind")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--release", default="", help="The release, such as 2027 or 2026Q4, where the files' names do not tell it."
)
def import_codeset(kind: str, files: tuple[Path, ...], release: str) -> None:
    """Import a published release, as downloaded (all its parts, or the ZIP archive that they came in).

    KIND is icd10cm, hcpcs, cpt, ncci-ptp or ncci-mue; or the name of a shipped table, such as modifiers, for a CSV in
    its layout. What was imported before stays unless the new files read whole.
    """
    from claimlint import codeset, releases

    kinds = [*IMPORTABLE, *codeset.tables()]
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, 1)
        raise click.UsageError(
            f"there is no kind {kind!r}" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(kinds)}")
        )
    made = releases.load(kind, files, release)
    click.echo(f"{made.kind} {made.release}: {made.rows:,} rows, for {made.begins} to {made.ends}, kept in {made.path}")


@codesets.command()
@click.argument("kind")
@click.option("--release", default="", help="Only this release.  [default: every release of the kind]")
def remove(kind: str, release: str) -> int:
    """Remove what was imported; the shipped codesets speak again."""
    from claimlint import store

    gone = store.remove(kind, release)
    for each in gone:
        click.echo(f"removed {each.kind} {each.release} ({each.rows:,} rows)")
    if not gone:
        have = ", ".join(sorted({f"{i.kind} {i.release}" for i in store.imports()})) or "nothing"
        click.echo(f"no import of {' '.join(filter(None, (kind, release)))}; imported: {have}", err=True)
    return 0 if gone else 2
