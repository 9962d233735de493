"""claimlint: says, before a claim is submitted, why a payer would deny it and what to do about it."""

__version__ = "0.1.0"
