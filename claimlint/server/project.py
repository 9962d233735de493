"""What an editor's workspace says of how to lint, as far as it may say so.

An editor starts the server on any folder that is opened, so a `claimlint.toml` in it is somebody else's word: it may
choose rules, severities and suppressions, and hold rules in SQL, which see the table and nothing else. What lies
outside its folder, folders of codesets and policy packs, and plug-ins are for folders that the user trusts
(`--trust`).
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError, baseline, codeset, config, engine, intake, own, rules
from claimlint.config import PAYER_CLASSES, Config
from claimlint.evaluation import Memory
from claimlint.findings import SEVERITIES, Finding
from claimlint.hits import file_finding
from claimlint.inputs import Options, Progress, read_registers
from claimlint.readers import Read
from claimlint.scope import codes, of_config

_MOST_EXTENDED = 10


@dataclass(frozen=True)
class Settings:
    """What the editor says: the day that counts as today, the payer class of all claims, the least severity shown."""

    as_of: dt.date | None = None
    payer: str | None = None
    severity: str = "info"

    @classmethod
    def of(cls, told: Any) -> Settings:
        """From an editor's settings `asOf`, `payer` and `severity`; what is none of these is left out."""
        told = told if isinstance(told, dict) else {}
        told = told.get("claimlint", told)
        if not isinstance(told, dict):
            return cls()
        try:
            as_of = dt.date.fromisoformat(str(told.get("asOf")))
        except ValueError:
            as_of = None
        payer, severity = told.get("payer"), told.get("severity")
        return cls(
            as_of,
            payer if payer in PAYER_CLASSES else None,
            severity if severity in SEVERITIES else "info",
        )


@dataclass
class Project:
    """A configuration, loaded: the options it makes, and what of it was not taken, and why."""

    path: Path | None = None
    stamp: tuple[int, int] = (0, 0)
    trusted: bool = False
    told: Config = field(default_factory=Config)
    options: Options = field(default_factory=Options)
    baseline: Path | None = None
    severity: str = "info"
    left_out: list[str] = field(default_factory=list)
    error: str = ""


class Projects:
    """The configurations of the files that are open; used by one thread at a time, since codesets are the process's."""

    def __init__(self, trusted: Sequence[Path]) -> None:
        self._trusted = [folder.resolve() for folder in trusted]
        self._known: dict[Path | None, Project] = {}
        self._in_use: Project | None = None

    def of(self, file: Path | None) -> Project:
        """The project of a file, read again where its configuration has changed. Never raises; see `Project.error`."""
        path = config.discover(file.parent) if file else None
        stamp = _stamp(path)
        known = self._known.get(path)
        if known is None or known.stamp != stamp:
            known = self._known[path] = self._loaded(path, stamp)
        if self._in_use is not known:
            self._use(known)
            self._in_use = known
        return known

    def _loaded(self, path: Path | None, stamp: tuple[int, int]) -> Project:
        made = Project(path, stamp, trusted=path is not None and self._trusts(path))
        if path is None:
            return made
        try:
            if not made.trusted and (outside := _extends_outside(path)):
                made.left_out.append(f"all of it: `extend` leads out of the folder, to {outside}")
                return made
            made.told = config.load(path)
            self._use(made)  # rules are named by what follows
            self._in_use = made
            made.options = _options(made)
        except ClaimlintError as error:
            made.error, made.told, made.options = str(error), Config(), Options()
            self._in_use = None
        return made

    def _trusts(self, path: Path) -> bool:
        real = path.resolve()
        return any(real.is_relative_to(folder) for folder in self._trusted)

    def _use(self, project: Project) -> None:
        """Lay its codesets over the shipped ones and add its rules."""
        told = project.told
        if told.overlays and not project.trusted:
            project.left_out.append("codesets.overlays: codesets and policy packs")
        codeset.use(told.overlays if project.trusted else ())
        rules.use((), plugins=project.trusted)
        if told.rules:
            rules.use(own.rules_of(told.rules), plugins=project.trusted)


def _stamp(path: Path | None) -> tuple[int, int]:
    try:
        status = path.stat() if path else None
    except OSError:
        status = None
    return (status.st_mtime_ns, status.st_size) if status else (0, 0)


def _extends_outside(path: Path) -> str:
    """The file that a chain of `extend` leads to outside of the folder of its first file; empty if there is none."""
    root, at = path.parent.resolve(), path
    for _ in range(_MOST_EXTENDED):
        try:
            raw: Any = tomllib.loads(at.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            return ""  # told when it is loaded
        for name in ("tool", "claimlint") if at.name == config.PYPROJECT else ():
            raw = raw.get(name) if isinstance(raw, dict) else None
        extend = raw.get("extend") if isinstance(raw, dict) else None
        if not isinstance(extend, str) or "\0" in extend:
            return ""
        at = at.parent / extend
        if not at.resolve().is_relative_to(root):
            return str(extend)
    return str(extend)


def _options(project: Project) -> Options:
    """The engine's options by a configuration. Raises ConfigError and UnknownRule."""
    told = project.told
    values: dict[str, Any] = {key: setting.value for key, setting in told.check.items()}
    root = told.root.resolve()

    def taken(key: str, path: Path) -> bool:
        if not (project.trusted or path.resolve().is_relative_to(root)):
            project.left_out.append(f"check.{key}: it is outside of the folder")
        elif not path.is_file():
            project.left_out.append(f"check.{key}: there is no such file")
        else:
            return True
        return False

    files = {key: path for key in ("authorizations", "documentation", "fees") if (path := values.get(key))}
    files = {key: path for key, path in files.items() if taken(key, path)}
    known = values.get("baseline")
    project.baseline = known if known and taken("baseline", known) else None
    project.severity = values.get("severity", "info")
    chosen = None
    if any(key in values for key in ("select", "ignore", "extend-select")):
        wanted = set(codes(values["select"])) if "select" in values else set(rules.all_rules())
        wanted = wanted - set(codes(values.get("ignore", ()))) | set(codes(values.get("extend-select", ())))
        chosen = tuple(code for code in rules.all_rules() if code in wanted)
    return Options(
        payer=values.get("payer"),
        mapping=values.get("map", {}),
        history=tuple(path for path in values.get("history", ()) if taken("history", path)),
        rules=chosen,
        scope=of_config(told),
        **files,
    )


def read(name: str, data: bytes, project: Project) -> Read | tuple[str, str]:
    """A document, read; or the code and message of why it is no claims."""
    return intake.read_bytes(data, name, project.options)


def lint(
    name: str,
    made: Read | tuple[str, str],
    project: Project,
    settings: Settings,
    progress: Callable[[Progress], None],
    memory: Memory,
) -> list[Finding]:
    """The findings of a document that was read. `progress` may raise to end the work; `memory` is of it alone.

    Raises ClaimlintError where what the project names beside it, such as a register, cannot be read.
    """
    if isinstance(made, tuple):
        return [file_finding(name, *made, rules.all_rules())]
    options = replace(
        project.options,
        as_of=settings.as_of or dt.date.today(),
        payer=settings.payer or project.options.payer,
        progress=progress,
    )
    with closing(engine.Run(options, read_registers(options), memory)) as run:
        run.intake.add_history()
        run.intake.add_read(name, made)
        report = run.report()
    if project.baseline:
        report, _ = baseline.compared(report, baseline.load(project.baseline), project.baseline)
    least = min(SEVERITIES.index(each) for each in (project.severity, settings.severity))
    return [f for f in report.findings if SEVERITIES.index(f.severity) <= least]
