"""The program: arguments and a console in, an exit code out."""

from __future__ import annotations

import argparse
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from time import monotonic
from types import FrameType

from bty_agent.cli import build_parser, parse
from bty_agent.commands import command
from bty_agent.console import Console
from bty_agent.exits import Exit, exit_for
from bty_agent.render.words import plain
from bty_core.errors import BtyError, Refusals

# Who presses Ctrl-C twice, or a service manager that sends two signals, means one thing.
_SAME_WISH_SECONDS = 1.0


def main(argv: Sequence[str], console: Console) -> Exit:
    """Run one command."""
    if not argv:
        console.say(build_parser().format_help().rstrip())
        return Exit.USAGE
    return ended(console, lambda: _command(argv, console))


def _command(argv: Sequence[str], console: Console) -> Exit:
    arguments = argparse.Namespace()
    try:
        with terminated_like_interrupted():
            with redirect_stdout(console.stdout):  # where argparse prints help and version
                arguments = parse(argv)
            return command(arguments.command)(arguments, console)
    except BrokenPipeError:
        # Whoever read the output has seen enough; a flash was not done.
        return Exit.BUG if getattr(arguments, "yes", False) else Exit.DONE


def ended(console: Console, work: Callable[[], Exit]) -> Exit:
    """Return how `work` ended: the only place where a failure becomes an exit code and words."""
    try:
        return work()
    except SystemExit:  # help or version, and argparse has printed it
        return Exit.DONE
    except BtyError as error:
        say_failure(console, error)
        return exit_for(error)
    except KeyboardInterrupt:
        console.say("\nbty: interrupted")
        return Exit.INTERRUPTED
    except Exception:  # noqa: BLE001  # a bug is shown whole, so that it can be reported
        traceback.print_exc(file=console.stderr)
        console.say("bty: this is a bug; please report it with the lines above")
        return Exit.BUG


def say_failure(console: Console, error: BtyError) -> None:
    """Write what failed, what to do, and in which state a disk was left."""
    found = error.reasons if isinstance(error, Refusals) else (error,)
    for one in found:
        console.say(f"bty: {plain(one.message)}", indent=5)
        if one.hint:
            console.say(f"     hint: {plain(one.hint)}", indent=11)
    if error.aftermath:
        console.say(f"     {plain(error.aftermath)}", indent=5)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end a flash as orderly as Ctrl-C does, and hear the same wish twice only once."""
    heard = -_SAME_WISH_SECONDS

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        now = monotonic()
        if now - heard >= _SAME_WISH_SECONDS:
            heard = now
            raise KeyboardInterrupt

    before = {}
    with suppress(
        ValueError
    ):  # not in the main thread: whoever runs us there has handlers of their own
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # What nohup, or a shell that runs us in the background, has switched off stays off.
            if signal.getsignal(one) is not signal.SIG_IGN:
                before[one] = signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
