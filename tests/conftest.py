"""Keep the tests away from what the machine's user has imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from claimlint import codeset

os.environ["CLAIMLINT_DATA"] = os.devnull  # a folder without imports, for this process and those it starts
# The property tests: always the same few examples; with `--hypothesis-profile long`, many by chance.
settings.register_profile("few", max_examples=20, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=1000, deadline=None)
settings.load_profile("few")
if os.name != "nt":  # where the tests are run without a terminal it may be ignored, and what they start would too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let reports of tests say which faults they are of (see tests/faults.py), from other processes too."""
    for item in items:
        item.user_properties += [("fault", row) for row in sorted({m.args[0] for m in item.iter_markers("fault")})]


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for imports."""
    folder = tmp_path / "imports"
    monkeypatch.setenv("CLAIMLINT_DATA", str(folder))
    codeset.forget()
    yield folder
    codeset.forget()
