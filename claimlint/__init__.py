"""claimlint: says, before a claim is submitted, why a payer would deny it and what to do about it."""

__version__ = "0.1.0"


class ClaimlintError(Exception):
    """Something that the user can put right; the text says what, where and how (exit status 2)."""
