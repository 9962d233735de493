"""The `claimlint` command: exit statuses hold whatever happens, and no traceback reaches a user."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from claimlint import ClaimlintError

# 0 nothing found, 1 findings, 2 could not run; the others are what a shell gives for the signal.
COULD_NOT_RUN, INTERRUPTED, CLOSED_PIPE = 2, 130, 141
_GARBAGE = 200_000  # objects made, after which it is looked for which of them can go; usually 700


def command() -> None:
    """`main`, of a process that then ends at once: not module by module, which takes a fortieth of a start."""
    try:
        main()
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else COULD_NOT_RUN)


def main() -> None:
    """Run the command line and exit with its status."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _stop)
    sys.unraisablehook = lambda unraisable: None  # of destructors, once a disk is full: the cause is told
    # Polars' other engine is made for larger tables than the parts that lines are linted in: it takes a tenth longer.
    os.environ.setdefault("POLARS_ENGINE_AFFINITY", "in-memory")
    # NumPy's library for matrices, of which there are none here, would wait for work with a thread for each processor.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow, by which lines of large runs go to the disk, would keep what was freed for itself, a tenth of the memory.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # A stream that the caller closed is None: the run goes on, and what would go there goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    # What is loaded stays, and a short run makes little garbage: looking for it takes a twentieth of the start.
    gc.set_threshold(_GARBAGE)
    try:
        from claimlint.cli import cli

        status = cli.main(standalone_mode=False) or 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else COULD_NOT_RUN
    except BaseException as error:  # noqa: BLE001 - the last line of defence, a library's panic too: say it in a sentence
        status = COULD_NOT_RUN
        with suppress(OSError):  # there may be nowhere left to say it
            status = 0 if _stopped else _report(error)
    if _stopped:  # whatever came of it: on a terminal that is gone, nothing can be written any more
        status = 128 + _stopped
        with suppress(OSError):
            _say(f"stopped by {signal.Signals(_stopped).name}")
    _close(status)


def _report(error: BaseException) -> int:
    import click

    if isinstance(error, click.exceptions.Abort):
        return INTERRUPTED
    from claimlint.cli_common import internal_error, printable

    if isinstance(error, click.ClickException):
        error.__dict__["message"] = printable(error.message)
        error.show()
        return COULD_NOT_RUN
    if isinstance(error, ClaimlintError):
        click.echo(printable(f"Error: {error}"), err=True)
        return COULD_NOT_RUN
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        _say(f"{what}{error.strerror or error}")
        return COULD_NOT_RUN
    _say(internal_error(error))
    return COULD_NOT_RUN


def _say(message: str) -> None:
    from claimlint.cli_common import printable

    print(f"claimlint: {printable(message)}", file=sys.stderr)


_stopped = 0  # by which signal
_at_once = False  # whether the next one ends the process


def _stop(signum: int, frame: FrameType | None) -> None:
    """Unwind at the first signal, so that what was written for the run goes with it; at the next one, just go."""
    global _stopped, _at_once
    if _at_once:
        from claimlint.files import give_up

        give_up()
        os._exit(128 + signum)
    _stopped, _at_once = signum, True
    raise SystemExit(128 + signum)


def _close(status: int) -> None:
    """Flush what is left; a pipe closed by the reader or a full disk must not change into a wrong status."""
    global _at_once
    _at_once = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            status = CLOSED_PIPE
        except (OSError, ValueError):
            status = COULD_NOT_RUN
        else:
            continue
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


if __name__ == "__main__":
    command()
