"""The program: arguments and a console in, an exit code out."""

from __future__ import annotations

import argparse
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from types import FrameType

from bty_core.errors import BtyError
from bty_web.cli import build_parser, parse
from bty_web.commands import command
from bty_web.console import Console
from bty_web.exits import Exit, exit_for


def main(argv: Sequence[str], console: Console) -> Exit:
    """Run one command. The only place where a failure becomes an exit code and words."""
    if not argv:
        console.say(build_parser().format_help().rstrip())
        return Exit.USAGE
    try:
        with _terminated_like_interrupted():
            with redirect_stdout(console.stdout):  # where argparse prints help and version
                arguments: argparse.Namespace = parse(argv)
            return command(arguments.command)(arguments, console)
    except SystemExit:  # help or version, and argparse has printed it
        return Exit.DONE
    except BtyError as error:
        console.say(f"bty-web: {error.message}")
        if error.hint:
            console.say(f"hint: {error.hint}")
        return exit_for(error)
    except KeyboardInterrupt:
        console.say("\nbty-web: interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        return Exit.DONE
    except Exception:  # noqa: BLE001  # a bug is shown whole, so that it can be reported
        console.say(traceback.format_exc().rstrip())
        console.say("bty-web: this is a bug; please report it with the lines above")
        return Exit.BUG


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end a command as orderly as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {}
    with suppress(ValueError):  # not in the main thread: whoever runs us there has handlers
        for one in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) is not signal.SIG_IGN:
                before[one] = signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
