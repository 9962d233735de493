"""The commands shown in docs/, run: `python -m tests.docpages` writes what they say into the pages.

In a block marked `console`, lines after `$ ` are commands, those after `> ` go on with them, and what stands below is
all that they say. A block with `title="PATH"` is a file that is written there, with `title=">> PATH"` one that is added
to. The blocks of a page are run in their order, in one folder, which has the samples in it or is a copy of the project.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WITH_SAMPLES = ("tutorial.md", "howto.md", "adding-a-payer.md")
WITH_PROJECT = ("adding-a-rule.md", "xml-dialects.md")
PROJECT = ("claimlint", "codesets", "samples", "tests", "docs", "pyproject.toml", "README.md")
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A command and what it is to say; `begin` and `end` are the place of that in the page."""

    command: str
    said: str
    begin: int
    end: int


def run(name: str) -> list[tuple[Step, str]]:
    """What each command of a page says."""
    text = (DOCS / name).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "work"
        place.mkdir()
        for each in PROJECT if name in WITH_PROJECT else ("samples",):
            source = ROOT / each
            ignore = shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, place / each, ignore=ignore)
            else:
                shutil.copy(source, place / each)
        results = []
        status = 0
        for block in _BLOCK.finditer(text):
            language, title, content = block.groups()
            if title:
                path = place / title.removeprefix(">> ")
                path.parent.mkdir(parents=True, exist_ok=True)
                added = title.startswith(">> ")
                with path.open("a" if added else "w", encoding="utf-8") as file:
                    file.write("\n\n" * added + content)
            elif language == "console":
                for step in steps(content, block.start(3)):
                    said, status = _shell(step.command, status, place)
                    results.append((step, said))
    return results


def steps(content: str, at: int) -> list[Step]:
    """The commands of a block that begins at a place of the page."""
    found: list[Step] = []
    for line in content.splitlines(keepends=True):
        end = at + len(line)
        if line.startswith("$ "):
            found.append(Step(line[2:], "", end, end))
        elif found and line.startswith("> ") and not found[-1].said:
            found[-1] = Step(found[-1].command + line[2:], "", end, end)
        elif found:
            found[-1].said += line
            found[-1].end = end
        at = end
    return found


def _shell(command: str, status: int, place: Path) -> tuple[str, int]:
    env = {
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(place.parent),
        "CLAIMLINT_DATA": os.devnull,
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "100",
    }
    ran = subprocess.run(
        ["bash", "-c", f"(exit {status}); {command}"],
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    # Folders, how many other tests there are and how long they take are others each time.
    said = ran.stdout.decode().replace(f"{place}/", "")
    return re.sub(r"(?<= passed)(, \d+ deselected)? in [\d.]+s", "", said), ran.returncode


def write(name: str) -> None:
    """Write what the commands say into the page."""
    path = DOCS / name
    text = path.read_text(encoding="utf-8")
    for step, said in reversed(run(name)):
        if said and not said.endswith("\n"):
            said += "\n"
        text = text[: step.begin] + said + text[step.end :]
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for page in sys.argv[1:] or (*WITH_SAMPLES, *WITH_PROJECT):
        write(page)
