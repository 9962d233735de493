"""Rules of an invented billing company: what a plug-in of claimlint looks like."""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.vocabulary import is_decompression, payer_is


@rule(
    "LKV01",
    "decompression-to-plan-without-call",
    severity="warning",
    snip=7,
    field="procedure",
    message="{procedure} goes to {payer_name}, and the note does not say who was called at the plan",
    hint="call the plan and write the reference into the line's note: CALL REF 12345",
    source="Lakeview Billing, desk procedure 7",
    payers=("commercial",),
    optional=("line_note",),
)
def decompression_to_plan_without_call() -> Finds:
    """Decompression for a commercial plan without the reference of a call to it.

    Flagged: nothing is noted
        procedure=S9090 units=1 modifiers=
    Clean: the reference is noted
        procedure=S9090 units=1 modifiers= line_note="CALL REF 20871"
    Clean: a payer that is not called
        procedure=S9090 units=1 modifiers= claim_filing_indicator=WC
    """
    noted = pl.col("line_note").str.contains("CALL REF [0-9]+").fill_null(False)
    return Finds(is_decompression() & payer_is("commercial") & ~noted)


@rule(
    "LKV02",
    "always-fails",
    severity="info",
    snip=7,
    field="procedure",
    message="",
    hint="",
    source="",
)
def always_fails() -> Finds:
    """A rule with a mistake in it: it takes no other rule with it."""
    raise KeyError("a column that was renamed")
