"""Keep the tests away from what the machine's user has imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from claimlint import codeset

os.environ["CLAIMLINT_DATA"] = os.devnull  # a folder without imports, for this process and those it starts


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for imports."""
    folder = tmp_path / "imports"
    monkeypatch.setenv("CLAIMLINT_DATA", str(folder))
    codeset.forget()
    yield folder
    codeset.forget()
