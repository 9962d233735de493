"""The `claimlint` command: exit statuses hold whatever happens, and no traceback reaches a user."""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType

from claimlint import ClaimlintError

# 0 nothing found, 1 findings, 2 could not run; the others are what a shell gives for the signal.
COULD_NOT_RUN, INTERRUPTED, CLOSED_PIPE = 2, 130, 141


def main() -> None:
    """Run the command line and exit with its status."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if number := getattr(signal, name, None):
            signal.signal(number, _terminate)
    # Polars' other engine is made for larger tables than the parts that lines are linted in: it takes a tenth longer.
    os.environ.setdefault("POLARS_ENGINE_AFFINITY", "in-memory")
    # A stream that the caller closed is None: the run goes on, and what would go there goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    try:
        from claimlint.cli import cli

        status = cli.main(standalone_mode=False) or 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    except OSError as error:
        status = COULD_NOT_RUN
        _say(f"cannot write the report: {error.strerror or error}" if error.errno == errno.ENOSPC else f"{error}")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else COULD_NOT_RUN
    except BaseException as error:  # noqa: BLE001 - the last line of defence, a library's panic too: say it in a sentence
        status = _report(error)
    _close(status)


def _report(error: BaseException) -> int:
    import click

    if isinstance(error, click.exceptions.Abort):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return COULD_NOT_RUN
    if isinstance(error, ClaimlintError):
        click.echo(f"Error: {error}", err=True)
        return COULD_NOT_RUN
    from claimlint.cli_common import internal_error

    _say(internal_error(error))
    return COULD_NOT_RUN


def _say(message: str) -> None:
    print(f"claimlint: {message}", file=sys.stderr)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _close(status: int) -> None:
    """Flush what is left; a pipe closed by the reader or a full disk must not change into a wrong status."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = CLOSED_PIPE
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        status = COULD_NOT_RUN
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)


if __name__ == "__main__":
    main()
