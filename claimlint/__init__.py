"""claimlint: says, before a claim is submitted, why a payer would deny it and what to do about it.

`claimlint.check(claims, …)` is the Python API; see `claimlint.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claimlint.api import Report as Report
    from claimlint.api import check as check

__version__ = "0.1.0"
__all__ = ["ClaimlintError", "Report", "__version__", "check"]


class ClaimlintError(Exception):
    """Something that the user can put right; the text says what, where and how (exit status 2)."""


def __getattr__(name: str) -> Any:
    """The API is loaded when it is asked for: the command line need not wait for Polars."""
    if name in ("check", "Report"):
        from claimlint import api

        return getattr(api, name)
    raise AttributeError(f"module 'claimlint' has no attribute {name!r}")
