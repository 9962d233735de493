"""Public sample files that a developer may have beside the checkout; a user's clone has none, and tests skip."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "realdata"


def realdata(name: str) -> bytes:
    """The bytes of one sample file; skips the test where it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip("the public sample files are not beside this checkout")
    return path.read_bytes()
