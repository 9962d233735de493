"""The floor of a file: what it costs merely to split its bytes.

    python bench/floor.py FILE

Polars splits an 837P into segments and these into elements, and reads a CSV as strings; lxml parses an XML. Each
way is the quickest that we know with these libraries. No rule is asked. It prints how much there was.
"""

import sys
from pathlib import Path


def x12(path: Path) -> int:
    """How many segments there are. The delimiters are those that ISA declares."""
    import polars as pl

    with path.open("rb") as file:
        isa = file.read(106).decode("ascii")
    segments = pl.scan_csv(
        path,
        schema={"s": pl.String},
        has_header=False,
        separator="\x01",  # which no file has: a row is a segment
        eol_char=isa[105],
        quote_char=None,
    )
    elements = pl.col("s").str.strip_chars_start("\r\n").str.split(isa[3])
    return segments.select(elements).collect(engine="streaming").height


def csv(path: Path) -> int:
    """How many rows there are."""
    import polars as pl

    return pl.read_csv(path, infer_schema=False).height


def xml(path: Path) -> int:
    """How many elements the root has."""
    from lxml import etree

    return len(etree.parse(path, etree.XMLParser(huge_tree=True)).getroot())


if __name__ == "__main__":
    given = Path(sys.argv[1])
    print({".837": x12, ".csv": csv, ".xml": xml}[given.suffix](given))
