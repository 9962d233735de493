"""claimlint from Python: `claimlint.check(…)` takes files, bytes or frames, and gives a report with pandas frames."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from claimlint import ClaimlintError, codeset, config, engine, findings, reports, rules
from claimlint.config import PAYER_CLASSES
from claimlint.inputs import Options, registers_of
from claimlint.scope import codes, of_config
from claimlint.sources import Opened, Source, from_bytes

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    Frame: TypeAlias = pd.DataFrame | pl.DataFrame
    Claims: TypeAlias = str | os.PathLike[str] | bytes | Frame
    Register: TypeAlias = str | os.PathLike[str] | bytes | Frame

_COLUMNS = {  # of the frames of a report
    "findings": (
        "code", "name", "severity", "message", "hint", "file", "line", "column", "end_line", "end_column", "segment",
        "element", "claim_id", "service_line", "procedure", "service_date", "payer_class", "charge", "snip", "carc",
        "source", "docs", "fix", "fingerprint", "payer", "provider", "cause",
    ),
    "causes": (
        "id", "code", "name", "severity", "about", "message", "hint", "claims", "charge", "claims_released",
        "claims_released_with_those_before", "charge_released_with_those_before",
    ),
    "not_checked": ("code", "name", "reason", "enable", "whole"),
    "unreadable": ("file", "claim_id", "line", "reason"),
}  # fmt: skip
_WHOLE = 2**53  # up to which a float tells whole numbers apart
_UNPACKED = 4 << 30  # bytes that an archive may have in it


class Report:
    """What a run found.

    `findings`, `causes`, `not_checked` and `unreadable` are pandas frames, made when they are asked for; `summary` is
    that of the JSON report, and `notes` are what the command line tells on standard error.
    """

    def __init__(self, made: findings.Report) -> None:
        self._made = made
        self.summary: dict[str, Any] = made.summary
        self.notes: list[str] = made.notes

    def __iter__(self) -> Iterator[findings.Finding]:
        return iter(self._made.findings)

    def __len__(self) -> int:
        return len(self._made.findings)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """A row per finding, columns as in the JSON report: `service_date` as datetime64, `charge` in USD."""
        import pandas as pd

        frame = _frame((f.as_dict() for f in self._made.findings), _COLUMNS["findings"])
        frame["service_date"] = pd.to_datetime(frame["service_date"])
        return frame

    @cached_property
    def causes(self) -> pd.DataFrame:
        """What is to be corrected, the dearest first: a row per cause; dollars in USD."""
        return _frame((c.as_dict() for c in self._made.causes), _COLUMNS["causes"])

    @cached_property
    def not_checked(self) -> pd.DataFrame:
        """The rules that could not be checked, wholly or in part: code, name, reason, enable, whole."""
        return _frame(self._made.as_dict()["not_checked"], _COLUMNS["not_checked"])

    @cached_property
    def unreadable(self) -> pd.DataFrame:
        """The claims that were read but not checked: file, claim_id, line, reason."""
        return _frame(self._made.as_dict()["unreadable"], _COLUMNS["unreadable"])

    def render(self, form: str) -> bytes:
        """The report in one of the output formats of the command line. Raises ClaimlintError for another."""
        if form not in reports.FORMATS:
            raise ClaimlintError(f"there is no format {form!r}; there are {', '.join(reports.FORMATS)}")
        return b"".join(reports.encoded(reports.render(self._made, form, reports.Style())))

    def to_json(self) -> str:
        """The report as JSON (schema version 1)."""
        return self.render("json").decode()

    def to_html(self) -> str:
        """The report as one page that asks for nothing from elsewhere."""
        return self.render("html").decode()

    def to_excel(self, path: str | os.PathLike[str]) -> None:
        """Write the worklist; what people noted in one that is there is kept."""
        self.write(path, "xlsx")

    def write(self, path: str | os.PathLike[str], form: str | None = None) -> None:
        """Write the report to a file, whole or not at all; the format is that of the file's name if none is given.

        Raises ClaimlintError for a format that there is not, or where the file cannot be written.
        """
        from claimlint.files import replace_file

        target = Path(path)
        form = form or reports.ENDINGS.get(target.suffix.lower())
        if form not in reports.FORMATS:
            raise ClaimlintError(f"{target}: say which format; there are {', '.join(reports.FORMATS)}")
        style = reports.Style(output=target)
        replace_file(target, reports.encoded(reports.render(self._made, form, style)), 0o600)

    def _repr_html_(self) -> str:
        """How a notebook shows it: what is at risk, and what to correct first."""
        from html import escape

        s, causes = self.summary, self._made.causes[:10]
        by = s["findings_by_severity"]
        head = (
            f"<b>${s['charges_at_risk']:,.2f}</b> of ${s['charges']:,.2f} at risk; {s['claims_read']:,} claims read = "
            f"{s['claims_checked']:,} checked + {s['claims_unreadable']:,} unreadable; {by['error']:,} errors, "
            f"{by['warning']:,} warnings, {by['info']:,} notes"
        )
        rows = "".join(
            f"<tr><td style='text-align:right'>${c.charge_cents / 100:,.2f}</td><td>{c.claims:,}</td>"
            f"<td>{c.code}</td><td style='text-align:left'>{escape(c.about)}</td>"
            f"<td style='text-align:left'>{escape(c.hint)}</td></tr>"
            for c in causes
        )
        titles = "".join(f"<th>{title}</th>" for title in ("at risk", "claims", "rule", "what", "do"))
        return f"<p>{head}</p><table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"


def check(
    claims: Claims | Sequence[Claims],
    *,
    name: str = "claims",
    as_of: dt.date | None = None,
    payer: str | None = None,
    headings: Mapping[str, str] | None = None,
    authorizations: Register | None = None,
    documentation: Register | None = None,
    fees: Register | None = None,
    history: Sequence[str | os.PathLike[str]] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    configuration: str | os.PathLike[str] | None = None,
    show_phi: bool = False,
) -> Report:
    """Lint claims and tell what a payer would deny.

    `claims`: files, folders or globs; bytes of a file (of any format, also packed); or a pandas or Polars frame with a
    row per service line, its columns named as in docs/columns.md or mapped by `headings`. Several may be given.
    `name` is what findings call bytes and frames. `as_of` stands for today. Registers are files, bytes or frames.
    `configuration` is a claimlint.toml; without it none is used, and what is given here goes before it. The other
    options are those of `claimlint check`.

    Raises ClaimlintError (`engine.CannotRun` and others) where nothing could be read or an option is wrong.
    """
    if payer is not None and payer not in PAYER_CLASSES:
        raise ClaimlintError(f"there is no payer class {payer!r}; there are {', '.join(PAYER_CLASSES)}")
    if as_of is not None and not isinstance(as_of, dt.date):
        raise ClaimlintError(f"as_of must be a datetime.date, not {as_of!r}")
    told = config.load(Path(configuration) if configuration else None)
    of_file = {key: setting.value for key, setting in told.check.items()}
    headings = of_file.get("map", {}) if headings is None else headings
    if not all(isinstance(each, str) for pair in headings.items() for each in pair):
        raise ClaimlintError("headings must be texts: yours, and the column that each means")
    codeset.use(told.overlays)
    rules.use((), plugins=configuration is not None)
    if told.rules:
        from claimlint import own

        rules.use(own.rules_of(told.rules), plugins=True)
    chosen = None
    select, ignore = _many(select or of_file.get("select", ())), _many(ignore or of_file.get("ignore", ()))
    extend = of_file.get("extend-select", ())
    if select or ignore or extend:
        wanted = set(codes(select) if select else rules.all_rules()) - set(codes(ignore)) | set(codes(extend))
        chosen = tuple(code for code in rules.all_rules() if code in wanted)
    options = Options(
        as_of=as_of or dt.date.today(),
        payer=payer or of_file.get("payer"),
        mapping=headings,
        history=tuple(Path(each) for each in _many(history or of_file.get("history", ()))),
        rules=chosen,
        scope=of_config(told),
        show_phi=show_phi,
    )
    given = {"authorizations": authorizations, "documentation": documentation, "fees": fees}
    given = {kind: of_file.get(kind) if each is None else each for kind, each in given.items()}
    read = registers_of({kind: _register(kind, each) for kind, each in given.items() if each is not None})
    many = [claims] if isinstance(claims, str | bytes | os.PathLike) or _is_frame(claims) else cast("list[Any]", claims)
    paths = [os.fspath(each) for each in many if isinstance(each, str | os.PathLike)]
    others = (_sources(each, name) for each in many if not isinstance(each, str | os.PathLike))
    found = chain(engine.claim_files(paths, options), chain.from_iterable(others))
    return Report(engine.check_sources(found, options, given=read))


def _many(given: Any) -> Sequence[Any]:
    """A list as it is, and one text or path as a list."""
    return [given] if isinstance(given, str | os.PathLike) else given


def _sources(claims: Any, name: str) -> Iterable[Opened]:
    """What bytes or a frame hold. Raises TypeError for what is neither."""
    if isinstance(claims, bytes):
        return from_bytes(name, claims, _UNPACKED)
    if _is_frame(claims):
        return [Source(name, _csv(claims))]
    raise TypeError(f"expected str, bytes, os.PathLike or a frame, not {type(claims).__name__}")


def _register(kind: str, given: Any) -> Source:
    if isinstance(given, bytes):
        return Source(kind, given)
    if _is_frame(given):
        return Source(kind, _csv(given))
    path = Path(given)
    try:
        return Source(str(path), path.read_bytes())
    except OSError as error:
        raise engine.CannotRun(f"{path}: {error.strerror}") from None


def _is_frame(value: object) -> bool:
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        raise ClaimlintError("the frame is lazy: give frame.collect()")
    return hasattr(value, "columns") and (hasattr(value, "to_csv") or hasattr(value, "write_csv"))


def _csv(frame: Any) -> bytes:
    """A frame as the CSV that a practice would export of it."""
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        kinds = {name: kind.inner if isinstance(kind, pl.List) else kind for name, kind in frame.schema.items()}
        frame = frame.select(name for name, kind in kinds.items() if not kind.is_nested())  # no column of claims is
        lists = [pl.col(c).cast(pl.List(pl.String)).list.join(";") for c, t in frame.schema.items() if t == pl.List]
        return cast(str, frame.with_columns(lists).write_csv()).encode()
    import pandas as pd

    columns = []
    for at in range(frame.shape[1]):  # not by name: two may have the same
        column = frame.iloc[:, at]
        if column.dtype == object and any(isinstance(value, list | tuple) for value in column):
            column = column.map(lambda value: ";".join(map(str, value)) if isinstance(value, list | tuple) else value)
        elif column.dtype.kind == "f":
            # 97110.0 is how pandas writes a code of a column in which one is missing.
            values = column.dropna()
            if (values.abs() < _WHOLE).all() and (values == values.round()).all():
                column = column.astype("Int64")
        columns.append(column)
    made = pd.concat(columns, axis=1) if columns else frame
    return cast(str, made.to_csv(index=False, date_format="%Y-%m-%d")).encode()


def _frame(records: Iterable[Any], columns: Sequence[str]) -> pd.DataFrame:
    """The records; a frame of none has its columns all the same."""
    import pandas as pd

    return pd.DataFrame(list(records), columns=list(columns))
