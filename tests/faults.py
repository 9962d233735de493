"""What goes wrong with claim files, tables and runs: the rows of docs/reliability.md, and how tests say theirs.

A test of a row is marked `@pytest.mark.fault(17)`, or stands in a table of `cases`. `python -m tests.reliability` runs
all of them and writes the page; tests/test_reliability.py holds that no row is without a test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from _pytest.mark import ParameterSet


class Row(NamedTuple):
    """A kind of fault: its number, what it is, what a user sees, and what has to be known of its tests."""

    number: int
    fault: str
    seen: str
    remark: str = ""


def cases(*table: tuple[Any, ...]) -> list[ParameterSet]:
    """Parameters of a test, a case each; what stands first is the number of its row (or several; 0 for none)."""
    made = []
    for numbers, *values in table:
        rows = numbers if isinstance(numbers, tuple) else (numbers,)
        made.append(pytest.param(*values, marks=[pytest.mark.fault(row) for row in rows if row]))
    return made


FAMILIES = {1: "Files", 31: "X12", 71: "CSV and spreadsheets", 97: "XML", 105: "Running"}
_WORKBOOK = "claimlint reads no workbooks: each is named, with the advice to save the sheet as CSV."
ROWS = (
    Row(1, "A file of no bytes", "named as empty; status 2 where there is no other"),
    Row(2, "Blanks only, a byte-order mark only, a heading only", "“no claims”, never “clean”"),
    Row(3, "A path that is not there", "named, with the nearest name that is there"),
    Row(4, "A file or folder that may not be read", "named; the others are linted, and the run is not clean"),
    Row(5, "A folder without claim files", "which endings were looked for"),
    Row(6, "Links in a circle or upwards, a file with two names on the disk", "each file once"),
    Row(7, "A pipe, a socket, a device", "refused before it is opened, so that nothing hangs"),
    Row(8, "A file that grows while it is read", "“changed while it was read”, and not checked"),
    Row(9, "A file that is cut or deleted while it is read", "named; nothing crashes"),
    Row(10, "One file by several names or patterns", "read once"),
    Row(11, "A large file on a single line", "the usual result, in memory that does not grow", "Reduced to 32 MB."),
    Row(12, "Very many files, a very large file", "progress on a terminal; few open files; memory that does not grow",
        "Reduced to 1,500 files with 64 that may be open."),
    Row(13, "NUL bytes in text", "the first is located; they are left out, and the rest is linted"),
    Row(14, "PDF, Office, pictures, programs, databases, other archives", "what it looks like"),
    Row(15, "A byte-order mark of UTF-8", "nothing"),
    Row(16, "UTF-16 of either byte order, with a mark and without", "a note"),
    Row(17, "Names in Windows-1252 or Latin-1", "one note for the file"),
    Row(18, "Several encodings in one file", "a note; no claim is lost"),
    Row(19, "A row that is not UTF-8", "its line"),
    Row(20, "Combining accents, emoji, text from right to left, zero-width characters", "shown as escapes where they "
        "would deceive; the marks stay under the values"),
    Row(21, "A file name with a line end, ESC, % or bytes that are no text, or with a leading dash", "shown safely"),
    Row(22, "gzip: several members, cut off, a wrong checksum", "read up to the damage, which is named; never clean"),
    Row(23, "Archives with folders and what systems add", "the claims; what is junk is skipped without a word"),
    Row(24, "Archives and workbooks with a password", "“needs a password; claimlint does not take one”"),
    Row(25, "Archives made to do harm: bombs, nested, overlapping, with false sizes", "refused by name"),
    Row(26, "Members with ../, absolute paths or links", "read, and never written anywhere"),
    Row(27, "An ending that does not tell the format", "read as what it is, with a note"),
    Row(28, "Standard input that is empty, a terminal, or given twice", "what to do; status 2"),
    Row(29, "Windows: a file that Excel has locked, a path too long, CON", "the file, and why it cannot be read",
        "Tested with the errors that the system gives, and with a device; not run on Windows."),
    Row(30, "A network drive that goes away during the run", "the file; the others are linted"),
    Row(31, "ISA cut off", "the byte at which it begins"),
    Row(32, "ISA with blanks lost or added", "read by its separators, with a note"),
    Row(33, "Lines before ISA", "skipped, with a note"),
    Row(34, "Any line ends, a line end as terminator, lines of 80 characters", "nothing"),
    Row(35, "Segments with other delimiters than ISA declares", "one finding; the claims are read"),
    Row(36, "A delimiter within a value", "the segment; other values stay where they belong"),
    Row(37, "A component separator that is the element separator; U in ISA11", "a note, and a sensible default"),
    Row(38, "Small letters, blanks around segments", "read, with a note"),
    Row(39, "Several interchanges, each with its own delimiters", "nothing: all are read"),
    Row(40, "Something between IEA and ISA", "its line; skipped"),
    Row(41, "No IEA, GE or SE", "each that is missing; the last claim is not whole and not checked"),
    Row(42, "A file that breaks off anywhere", "every claim that it begins is linted, or told as unreadable"),
    Row(43, "Counts and control numbers that do not agree", "both numbers, at their place"),
    Row(44, "A control number twice in a group; an interchange twice in a run", "a finding in the later one"),
    Row(45, "Versions: 4010, none, unknown, ST03 against GS08", "a note; read as far as possible"),
    Row(46, "Institutional and dental claims", "what they are; STR002"),
    Row(47, "Remittances, acknowledgments, eligibility, status, enrollment, premiums", "what they are; STR002"),
    Row(48, "HL with a wrong parent, in a circle, missing, twice, out of order", "its place; no claim is lost"),
    Row(49, "HL04 that announces children where there are none", "STR004"),
    Row(50, "The subscriber as patient, a dependent, both", "each claim has its own patient"),
    Row(51, "Several billing providers in a transaction set", "each claim has its own"),
    Row(52, "Segments that are not used, or of nobody's guide", "nothing is put where it does not belong"),
    Row(53, "Segments out of order", "read by what they say"),
    Row(54, "Elements too many, trailing separators", "nothing"),
    Row(55, "Very long elements, eight components, a comma in a description", "code and modifiers are right"),
    Row(56, "Another qualifier of the procedure, or none", "the qualifier"),
    Row(57, "Control characters and formulas in notes", "never shown as they are"),
    Row(58, "No service line, more than 50, LX missing or wrong", "counted; STR004, STR015"),
    Row(59, "Thousands of claims in a transaction set", "all are linted"),
    Row(60, "More than 12 diagnoses, several HI, ICD-9, dots", "STR012, STR017, COD150"),
    Row(61, "Pointers to nothing, 0, letters, 13, five of them", "the line"),
    Row(62, "Periods of service; dates of the claim and its lines that differ", "the line's date; it is told"),
    Row(63, "Dates that are none", "STR005; later rules go on"),
    Row(64, "Births after the service or in 1826, service tomorrow, leap days", "a finding by the day of the run"),
    Row(65, "Amounts in any spelling", "exact cents, or a finding"),
    Row(66, "Totals that do not balance, charges of zero or less", "both numbers"),
    Row(67, "Replacements and voids", "a finding without the original's number; no duplicate of the original"),
    Row(68, "NPIs of nine or eleven digits, mistyped, with another qualifier", "which provider"),
    Row(69, "A billing provider's ZIP code without its last four digits", "a note",
        "What belongs there is not in the file, so there is nothing to fix."),
    Row(70, "A test indicator", "a note"),
    Row(71, "Semicolons, tabs or bars between cells; sep=", "nothing"),
    Row(72, "Quotes that are not closed, or in a name", "the line; the rest is read"),
    Row(73, "Line ends within quotes", "lines are numbered right"),
    Row(74, "Rows that are too long or too short", "that row and its claim alone"),
    Row(75, "Titles, print dates, repeated headings, totals", "how many rows were skipped; a total is no claim"),
    Row(76, "No heading", "which are looked for, and --map"),
    Row(77, "Headings twice, in two spellings, blank; a comma too many", "which is not used"),
    Row(78, "Headings of other names", "read by their other names; else the nearest, and --map"),
    Row(79, "Codes as spreadsheets leave them", "what it was, where that is sure"),
    Row(80, "Modifiers or units behind the procedure", "parted, or a finding"),
    Row(81, "Ids taken for numbers or dates, zeros lost", "that a spreadsheet did it, and to set the column to Text"),
    Row(82, "A place of service without its zero", "a safe correction"),
    Row(83, "Ids whose digits are gone", "that it cannot be repaired here"),
    Row(84, "Diagnoses in any spelling, an O for a zero", "read; the O is told"),
    Row(85, "Diagnosis and procedure in each other's column, other code sets, descriptions", "what it looks like"),
    Row(86, "Dates in any spelling, day or month first", "one order for the file, and what decided it"),
    Row(87, "Amounts with separators, signs and brackets", "the right value, or a finding"),
    Row(88, "Modifiers in one cell", "read"),
    Row(89, "Diagnoses or pointers in one cell", "read"),
    Row(90, "Rows of a claim apart, an id for two patients, no id", "put together; STR009, STR004"),
    Row(91, "Cells that open with = + - @ or TAB", "inert in every format"),
    Row(92, "2,000 columns, cells of 10 MB", "read; what is shown of them is short"),
    Row(93, "Workbooks with several or hidden sheets", "to save it as CSV", _WORKBOOK),
    Row(94, "Formulas without values in a workbook", "to save it as CSV", _WORKBOOK),
    Row(95, "Workbooks with a cell far away, macros, links", "to save it as CSV; nothing is run or fetched", _WORKBOOK),
    Row(96, "Old, binary and open workbooks, HTML named .xls", "what it is, and to save it as CSV"),
    Row(97, "DOCTYPE, entities, XInclude, style sheets", "DOCTYPE is refused; nothing else is read"),
    Row(98, "Name spaces, prefixes, attributes for elements", "nothing"),
    Row(99, "Comments, instructions or CDATA within a value", "the whole value is read"),
    Row(100, "Not well-formed, two roots, cut off", "the line; what stands before it is linted"),
    Row(101, "A false declaration of the encoding", "read by its bytes"),
    Row(102, "Depth, length or number beyond all bounds", "refused"),
    Row(103, "An unknown dialect, other claims, FHIR, CDA", "what it is, and how to add a dialect"),
    Row(104, "A dialect that reads files, recurses or fails", "refused; that dialect is named"),
    Row(105, "A full disk, no right to write, no folder", "status 2; the old report stays whole"),
    Row(106, "A report over an input, a folder or another report", "refused before anything is read"),
    Row(107, "Standard output or error closed, a reader that goes away", "the status; no traceback"),
    Row(108, "Ctrl-C, SIGTERM, SIGHUP", "130, 143, 129; no file is left behind"),
    Row(109, "Killed during a run", "the next run tells what this one would have"),
    Row(110, "Not enough memory for a file", "the file; the others are linted"),
    Row(111, "Two runs with one state", "every finding is told once"),
    Row(112, "A state that is damaged, of another program, read-only", "refused, and left as it is"),
    Row(113, "Time zones, a midnight during the run", "one day for the whole run"),
    Row(114, "Unknown rules, options, keys or payers; a broken configuration", "the line, the nearest name; status 2"),
    Row(115, "A configuration or pack that came with the files", "not obeyed, and never run"),
    Row(116, "Packs and codesets that are malformed or missing", "the line; or the rules that could not be checked"),
    Row(117, "Dates of service beyond every release", "“not checked”, never “invalid”"),
    Row(118, "A rule of one's own that fails", "that rule; the others run"),
    Row(119, "Any code page, terminal, width or home", "readable, without an error"),
    Row(120, "Suppressions and baselines that match nothing or everything, or are of another version", "told"),
)  # fmt: skip
