"""``bty-flash-on-boot``: arguments and a console in, an exit code out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from bty_agent import __version__
from bty_agent.__main__ import run_main
from bty_agent.boot_line import CMDLINE, BootLine, read_boot_line
from bty_agent.cli import declare_pretend
from bty_agent.console import Console
from bty_agent.exits import Exit, exit_codes
from bty_agent.host import Host
from bty_agent.main import ended
from bty_agent.pretend.options import chosen_host
from bty_agent.unattended.failure import RUN_DIR, forget_failure, read_failure, write_failure
from bty_agent.unattended.flow import Unattended
from bty_agent.unattended.job import Job
from bty_agent.unattended.journal import Journal
from bty_agent.unattended.owner import follow, owner_came, ownership
from bty_agent.unattended.pace import pace_here
from bty_core.program.ending import terminated_like_interrupted
from bty_core.program.parser import parse, program_parser
from bty_core.wire.plan import Mode

# A service manager starts consoles and flash at the same time, and a slow machine may take long over that.
_OWNER_PATIENCE = 60.0  # seconds


def run() -> None:
    """Run the program and leave with its exit code."""
    run_main(main)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``bty-flash-on-boot``."""
    parser = program_parser(
        "bty-flash-on-boot",
        __version__,
        "Flash this machine as its server wants it, tell the server, and reboot.",
        exit_codes(*Exit),
    )
    parser.add_argument(
        "--cmdline",
        type=Path,
        metavar="FILE",
        help="read the kernel command line from FILE",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help=f"keep log, lock and the reason of a failure in DIR, not in {RUN_DIR}",
    )
    parser.add_argument(
        "--no-reboot",
        action="store_true",
        help="say when it would reboot or set the clock, and do neither",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="begin no flash: show what the one that another process owns says, until it ends",
    )
    declare_pretend(parser)
    return parser


def main(argv: Sequence[str], console: Console, host: Host | None = None) -> Exit:
    """Do what the kernel command line says."""
    return ended(console, lambda: _boot(argv, console, host))


def _boot(argv: Sequence[str], console: Console, host: Host | None) -> Exit:
    with terminated_like_interrupted():
        with redirect_stdout(console.stdout):
            arguments = parse(build_parser(), argv)
        host = host or chosen_host(arguments, console.say)
        line = read_boot_line(arguments.cmdline or CMDLINE)
        if line.mode is not Mode.AUTO:
            console.say(f"bty: {_why_nothing(line)}")
            return Exit.DONE
        return _flash(Job.of(line), arguments, console, host)


def _why_nothing(line: BootLine) -> str:
    if line.mode is Mode.INTERACTIVE:
        return "this boot is for the wizard: nothing is flashed unattended"
    return "the kernel command line asks for no unattended flash"


def _flash(job: Job, arguments: argparse.Namespace, console: Console, host: Host) -> Exit:
    run_dir: Path = arguments.run_dir or RUN_DIR
    if arguments.follow:
        if owner_came(run_dir, _OWNER_PATIENCE):
            follow(run_dir, console.say)
        else:
            console.say(
                "bty: no unattended flash has begun: journalctl -u bty-flash-on-boot says why"
            )
        return Exit.DONE
    with ownership(run_dir, host.console) as mine:
        if not mine:
            follow(run_dir, console.say)
            return Exit.DONE
        before = read_failure(run_dir)
        if before is not None and before.attempt == job.attempt:
            console.say(f"bty: {before.title}")
            console.say("     it is not tried again in this boot")
            return Exit(before.exit_code)
        forget_failure(run_dir)
        journal = Journal(console, run_dir, secret=job.token)
        flash = Unattended(job, host, journal, pace_here(), leave_alone=arguments.no_reboot)
        try:
            return flash.run()
        finally:
            if flash.failure is not None:
                write_failure(flash.failure, run_dir)


if __name__ == "__main__":
    run()
