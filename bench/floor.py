"""The floor of a file: what it costs merely to split its bytes.

    python bench/floor.py FILE [bare]

Polars splits an 837P into segments and these into elements, and reads a CSV as strings; lxml hands out the
segments of an XML. Each way is the quickest of those that we tried. With `bare`, lxml reads all of an XML and
hands out nothing. No rule is asked. It prints how much there was.
"""

import sys
from pathlib import Path
from typing import Any


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
    """How many segments there are. What was seen is dropped: a tree of the whole file takes twice the time."""
    from lxml import etree

    count = 0
    for _, segment in etree.iterparse(path, tag="{*}segment", huge_tree=True):
        count += 1
        if count % 1000 == 0 and (root := segment.getparent()) is not None:
            del root[:-1]
    return count


def bare(path: Path) -> int:
    """How many bytes there are, all of them parsed into nothing."""
    from lxml import etree

    class Nothing:
        def close(self) -> None:
            """Take the end of the file, and before it no element."""

    nothing: Any = Nothing()
    etree.parse(path, etree.XMLParser(target=nothing, huge_tree=True))
    return path.stat().st_size


if __name__ == "__main__":
    given = Path(sys.argv[1])
    way = bare if sys.argv[2:] == ["bare"] else {".837": x12, ".csv": csv, ".xml": xml}[given.suffix]
    print(way(given))
