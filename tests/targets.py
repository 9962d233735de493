"""What is fuzzed (see tests/fuzz.py): for each target its seeds, and what must hold of any input."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import json
import logging
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock

from click import ClickException

from claimlint import ClaimlintError, codeset, config, own, policy, rules
from claimlint.cli import cli
from claimlint.scope import of_config
from claimlint.server.project import Projects
from tests.invariants import linted_well, read_well

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
REALDATA = ROOT.parent / "shared" / "realdata"

_X12 = ["ISA*", "GS*HC*", "ST*837*0001~", "SE*9*0001~", "GE*1*1~", "IEA*1*1~", "HL*1**20*1~", "HL*2*1*22*0~",
        "HL*3*2*23*0~", "CLM*A*1***11:B:1~", "LX*1~", "SV1*HC:97110:GP*9*UN*1***1~", "HI*ABK:M5116~",
        "DTP*472*D8*20260101~", "DTP*472*RD8*20260101-20260102~", "NM1*IL*1*A*B****MI*C~",
        "NM1*85*2*A*****XX*1000000335~", "NM1*82*1*A*B****XX*1~", "REF*G1*A~", "NTE*ADD*A~", "SBR*P*18*******CI~",
        "PWK*OZ*EL***AC*1~", "SVD*A*1~", "SV2*", "SV3*", "005010X223A2", "~", "*", ":", "^", "|", "\n", "\r", "\0",
        "\x1a", "\x1c"]  # fmt: skip
_CSV = [",", ";", "\t", "|", '"', '""', '="', "'", "\n", "\r", "\r\n", "\0", "sep=;", "Claim #", "CPT", "DOS",
        "Charge Amt", "Dx 1", "Patient", "Total", "Page 1", "97110-GP", "01/13/2026", "13/01/2026", "2026-01-05",
        "45000", "5-Jan-26", "$1,234.50", "1E5", "A,B", "123", "é", "\u200b", "\ufeff", "\u2400"]  # fmt: skip
_XML = ["<?xml version='1.0' encoding='utf-16'?>", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE x>", "&amp;",
        "&#9;", "&#x85;", "&", "<", ">", "<segment id='CLM'>", "</segment>", "<e>", "<e/>", "</e>", "<c>", "</c>",
        "<seg id='SV1'>", "</seg>", "<ele id='CLM01'>", "<comp id='CLM05'>", "<subele id='CLM05-01'>", "</ele>",
        "<CLM>", "<CLM01>", "<CLM.1>", "<CLM.1.1>", "<claims xmlns='urn:claimlint:837p'>",
        "<Interchange segment-terminator='~'>", "<X12Transaction>", "<Loop>", "\x01", "\x7f"]  # fmt: skip


_TOML = ["[check]", "[codesets]", "[severities]", "[[override]]", "[[suppress]]", "[[rule]]", "[[example]]",
         "[[policy]]",
         *(f"{key} = " for table in (*config.KEYS.values(), *config.LISTS.values()) for key in table if key != "state"),
         *(f"{key} = " for key in policy.KEYS), "2026-01-01", "2026-01-01T00:00:00", "1e999", "nan", "-1", "true",
         "[]", "{}", "[[]]", '""', "\\u0000", "COD131", "STR", "charge > 1", "units IS NULL", "CAST(", "LIKE '%'",
         "procedure IN ('97110')", "{claim_id}", "extend = ", "[tool.claimlint", '"a\\u0000"', '"."', "LPAD(",
         "REPLACE(", "DECIMAL(99,99)", "*", "?", "procedure=97110", "Flagged:"]  # fmt: skip
_JSON = ["{", "}", "[", "]", '"', "null", "-1", "1e99", "18446744073709551616", "Content-Length: 3\r\n\r\n",
         '"jsonrpc":"2.0"', '"id":1', '"method":"', '"params":', "\\ud800", "\\u0000", "textDocument/hover",
         "workspace/executeCommand", "claimlint.suppress"]  # fmt: skip


class Target:
    """What is fuzzed; `words` are for the mutations. Of `often` runs one is to do all that there is to do."""

    words: Iterable[str] = ()
    often = 20

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""
        raise NotImplementedError

    def run(self, data: bytes, *, all_of_it: bool = True) -> None:
        """Try an input. Raises for what should not be."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what it holds."""


class Claims(Target):
    """A file of claims: read, and sometimes linted."""

    def __init__(self, words: Iterable[str], *endings: str) -> None:
        self.words, self._endings = words, endings

    def seeds(self) -> Iterable[bytes]:
        """Samples and public files."""
        found = [p for folder in (SAMPLES, REALDATA) for p in sorted(folder.rglob("*")) if p.suffix in self._endings]
        return [path.read_bytes() for path in found]

    def run(self, data: bytes, *, all_of_it: bool = True) -> None:
        """Every claim is accounted for."""
        made = read_well(data)
        if all_of_it:
            report = linted_well(data)
            assert made is None or (report is not None and report["summary"]["claims_read"] == made.claims)


class Configuration(Target):
    """A claimlint.toml."""

    words = _TOML

    def seeds(self) -> Iterable[bytes]:
        """What the guides show, and every key."""
        for page in sorted((ROOT / "docs").glob("*.md")):
            text = page.read_text(encoding="utf-8")
            for block in (
                *re.findall(r"```toml\n(.*?)```", text, re.S),
                *re.findall(r"(?:^    .*\n|^\n)+", text, re.M),
            ):
                with contextlib.suppress(tomllib.TOMLDecodeError):
                    plain = re.sub("^    ", "", block, flags=re.M)
                    if tomllib.loads(plain):
                        yield plain.encode()
        yield _EVERYTHING.encode()
        yield re.sub(r"^(\[+)(\w)", r"\1tool.claimlint.\2", _EVERYTHING, flags=re.M).encode()
        yield b'extend = "other.toml"\n[codesets]\noverlays = ["."]\n[check]\nfees = "a.csv"\nbaseline = "b.json"\n'

    def run(self, data: bytes, *, all_of_it: bool = True) -> None:
        """It is taken, or refused in a sentence; what an editor is told of it holds whether it is trusted or not."""
        with _folder() as folder:
            path = folder / name_of(data)
            path.write_bytes(data)
            with _refused():
                told = config.load(path)
                codeset.use(told.overlays)
                rules.use(own.rules_of(told.rules) if told.rules else (), plugins=False)
                of_config(told)
            for trusted in ([], [folder]):
                with _refused():
                    Projects(trusted).of(folder / "claims.837")
            if all_of_it:
                linted_well((SAMPLES / "flagged.csv").read_bytes(), configuration=path)
                with _refused(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    cli.main(["check", "--show-settings", "--config", str(path), "."], standalone_mode=False)


def name_of(data: bytes) -> str:
    """The file that these bytes are to be: a configuration, or a pyproject.toml that has one."""
    return config.PYPROJECT if b"tool" in data else config.NAME


class Packs(Target):
    """A policy pack (first byte 0), or a table of codes (the byte says which)."""

    words = (*_TOML, *_CSV, "source", "effective_from", "effective_to", "verify", "code", "2026-01-01", "0", "1")
    often = 30

    def __init__(self) -> None:
        self._tables = codeset.tables()

    def seeds(self) -> Iterable[bytes]:
        """The shipped packs, and the beginnings of the shipped tables."""
        for path in sorted((codeset.directory() / "payers").glob("*.toml")):
            yield b"\0" + path.read_bytes()
        for number, name in enumerate(self._tables, 1):
            head = (codeset.directory() / f"{name}.csv").read_bytes().splitlines(keepends=True)[:20]
            yield bytes([number]) + b"".join(head)

    def run(self, data: bytes, *, all_of_it: bool = True) -> None:
        """It is taken, or refused in a sentence."""
        number, data = (data[0] % (len(self._tables) + 1), data[1:]) if data else (0, data)
        name = self._tables[number - 1] if number else ""
        with _folder() as folder:
            path = folder / (f"{name}.csv" if name else "payers/pack.toml")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            with _refused():
                codeset.use(())
                if name:
                    codeset.read_table(path, codeset.table(name), codeset.KEYS.get(name, ["code"]))
                else:
                    policy.load(path)
            if all_of_it:
                (folder / config.NAME).write_text('[codesets]\noverlays = ["."]\n')
                linted_well((SAMPLES / "flagged.csv").read_bytes(), configuration=folder / config.NAME)


class Editor(Target):
    """Messages to the language server.

    An input is a byte that says how columns are counted, a byte that says how many steps there are, five bytes for
    each step, and the document's text.
    """

    words = (*_X12, *_CSV, *_XML, *_JSON)
    often = 10
    _STEPS = 5
    _NAMES = ("hover", "completion", "definition", "codeAction", "formatting", "documentSymbol", "foldingRange")

    def __init__(self) -> None:
        logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        self._ids = itertools.count(1)
        self._servers = [self._served(encoding) for encoding in ("utf-16", "utf-8", "utf-32")]

    def seeds(self) -> Iterable[bytes]:
        """Each sample with some steps of every kind, and messages by themselves."""
        for number, path in enumerate(sorted(SAMPLES.glob("*.*"))):
            steps = bytes(itertools.chain.from_iterable((kind, 21 * kind, 91, kind, 3) for kind in range(12)))
            yield bytes([number, 12]) + steps + path.read_bytes()
        message = {"jsonrpc": "2.0", "id": 7, "method": "workspace/executeCommand"}
        message["params"] = {"command": "claimlint.suppress", "arguments": ["untitled:a", "COD131", "A", "why"]}
        yield bytes([0, 1, 11, 0, 0, 255, 0]) + json.dumps(message).encode()

    def _served(self, encoding: str) -> tuple[Any, list[Any]]:
        """A server that was told how columns are counted, and what it sends."""
        from claimlint.server import handlers

        made, sent, loop = handlers.made([]), [], self._loop

        class Writer:
            def write(self, data: bytes) -> None:
                told = json.loads(data.partition(b"\r\n\r\n")[2])
                sent.append(told)
                if "method" in told and "id" in told:  # an edit: an editor agrees to all of them
                    answer = {"jsonrpc": "2.0", "id": told["id"], "result": {"applied": True}}
                    loop.call_soon_threadsafe(made.protocol.handle_message, made.protocol.structure_message(answer))

            def close(self) -> None:
                pass

        made.protocol.set_writer(Writer())
        mock.patch.object(made, "changed", functools.partial(made.changed, wait=0)).start()
        told = {"general": {"positionEncodings": [encoding]}, "workspace": {"workspaceEdit": {"documentChanges": True}}}
        start = {"capabilities": told, "initializationOptions": {"asOf": "2026-02-02"}}
        self._loop.run_until_complete(self._say(made, [self._asked("initialize", start)]))
        assert sent
        assert sent[0]["result"]["capabilities"]["positionEncoding"] == encoding
        return made, sent

    def _asked(self, method: str, params: dict[str, Any]) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}).encode()

    async def _say(self, made: Any, bodies: list[bytes]) -> None:
        """Send messages as an editor would, and wait until all is answered."""
        from pygls.io_ import run_async

        reader = asyncio.StreamReader(limit=1 << 30)
        for body in bodies:
            reader.feed_data(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        reader.feed_eof()
        await run_async(Event(), reader, made.protocol, error_handler=made.report_server_error)
        while waiting := [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]:
            await asyncio.wait(waiting, timeout=60)

    def close(self) -> None:
        """End the servers."""
        for made, _ in self._servers:
            made.linter.shutdown()
            made.answers.shutdown()
            made.shutdown()
        self._loop.close()
        self._folder.cleanup()

    def run(self, data: bytes, *, all_of_it: bool = True) -> None:
        """Every request is answered, no handler fails, and what is answered is about places in the document."""
        from claimlint.server.text import Text

        made, sent = self._servers[data[0] % 3 if data else 0]
        count = data[1] % 32 if len(data) > 1 else 0
        cut = 2 + count * self._STEPS
        steps, text = (
            data[2:cut],
            Text(data[cut:].decode("utf-8", "replace"), ("utf-16", "utf-8", "utf-32")[data[0] % 3 if data else 0]),
        )
        uri = (Path(self._folder.name) / "claims.837").as_uri()
        document = {"textDocument": {"uri": uri}}
        bodies = [
            _told(
                "textDocument/didOpen",
                {"textDocument": {"uri": uri, "languageId": "x12", "version": 1, "text": text.text}},
            )
        ]
        asked: list[int] = []
        raw = False
        for number in range(len(steps) // self._STEPS):
            kind, high, low, length, what = steps[number * self._STEPS : (number + 1) * self._STEPS]
            start = ((high << 8) + low) % (len(text.text) + 1)
            end = min(start + length, len(text.text))
            place = _place(text.range(start, end))
            if kind % 12 < 4:
                new = list(self.words)[what % len(self.words)] if what else text.text[start:end] * 2
                change = {"range": place, "text": new}
                bodies.append(
                    _told(
                        "textDocument/didChange",
                        {"textDocument": {"uri": uri, "version": number + 2}, "contentChanges": [change]},
                    )
                )
                text = Text(text.text[:start] + new + text.text[end:], text.encoding)
            elif kind % 12 < 11:
                params = {**document, "position": place["start"], "range": place}
                params |= {"options": {"tabSize": 4, "insertSpaces": True}}
                name = self._NAMES[kind % 12 - 4]
                params |= {"context": {"diagnostics": []}} if name == "codeAction" else {}
                bodies.append(self._asked(f"textDocument/{name}", params))
                asked.append(json.loads(bodies[-1])["id"])
            else:
                raw = True
                bodies.append(text.text[start : start + 16 * length].encode())
        sent.clear()
        with contextlib.ExitStack() as stack:
            if not all_of_it:
                from claimlint.server import server

                stack.enter_context(mock.patch.object(server, "lint", return_value=[]))
            self._loop.run_until_complete(self._say(made, bodies))
            held = made.workspace.get_text_document(uri).source
            self._loop.run_until_complete(self._say(made, [_told("textDocument/didClose", document)]))
        assert raw or held == text.text, "the server has another text than its editor"
        fault = "in claimlint." if raw else "internal error"  # a message may be wrong, and that is told
        assert not [each for each in sent if fault in json.dumps(each)], sent
        answers = {each["id"]: each for each in sent if "id" in each and "method" not in each}
        if not raw:
            assert [n for n in asked if "result" not in answers.get(n, {})] == [], "a request without an answer"
            last = _place(text.range(len(text.text), len(text.text)))["end"]["line"]
            told = [each for each in sent if each.get("method") == "textDocument/publishDiagnostics"]
            for place in _ranges([told, answers]):
                assert (place["start"]["line"], place["start"]["character"]) <= (
                    place["end"]["line"],
                    place["end"]["character"],
                )
            for place in _ranges(told[-2:]):  # of the last version
                assert place["end"]["line"] <= last


TARGETS: dict[str, Callable[[], Target]] = {
    "x12": lambda: Claims(_X12, ".837", ".txt", ".edi", ".837i", ".835", ".270"),
    "csv": lambda: Claims(_CSV, ".csv"),
    "xml": lambda: Claims(_XML, ".xml"),
    "config": Configuration,
    "packs": Packs,
    "server": Editor,
}


def _told(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode()


def _place(found: Any) -> dict[str, Any]:
    return {k: {"line": p.line, "character": p.character} for k, p in (("start", found.start), ("end", found.end))}


def _ranges(value: Any) -> Iterator[dict[str, Any]]:
    """Every range in a message."""
    if isinstance(value, dict):
        if set(value) == {"start", "end"}:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _ranges(each)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    """What is wrong may be told in a sentence."""
    try:
        yield
    except (ClaimlintError, ClickException) as refused:
        assert str(refused), "a refusal without a reason"  # noqa: PT017 - it is not what is tested


_EVERYTHING = """
[check]
select = ["all"]
ignore = ["COD1", "snip4"]
extend-select = ["missing-therapy-modifier"]
severity = "warning"
fail-on = "never"
payer = "commercial"
map = { "Your Heading" = "claim_id" }
history = ["old.csv"]

[severities]
COD131 = "info"

[[override]]
paths = ["a*/?.csv"]
payers = ["aetna", "medicare*"]
ignore = ["COD"]
severities = { COD131 = "error" }

[[override]]
paths = ["*"]
payer = "auto"
map = { "A" = "charge" }

[[suppress]]
rules = ["AUT302"]
reason = "agreed"
claims = ["LV-*"]
payers = ["*"]
paths = ["*.csv"]
until = 2026-12-31

[[rule]]
code = "LV001"
name = "cash-without-form"
where = "charge > 10000 AND procedure IN ('97012') OR units IS NULL"
message = "{procedure} is dear: {charge}"
hint = "look"
severity = "error"
view = "claim"
field = "charge"
payers = ["self-pay"]
snip = 7
flagged = "procedure=97012 charge=200.00"
clean = ["procedure=97110"]

[[example]]
rule = "COD131"
flagged = "procedure=97110 modifiers=GP,GP"
"""
