"""``bty-tui``: the wizard as a program."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from bty_agent.__main__ import run_main
from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.main import ended
from bty_agent.wizard.cli import build_parser
from bty_agent.wizard.terminal import Hangup, left_as_found
from bty_core.errors import BtyError, InvalidValue
from bty_core.program.parser import parse
from bty_core.values import MacAddress

if TYPE_CHECKING:
    from bty_agent.host import Host
    from bty_agent.wizard.run import Asker
    from bty_agent.wizard.sessions import Session
    from bty_agent.wizard.terminal import Terminal


def run() -> None:
    """Run the program and leave with its exit code."""
    run_main(main)


def main(argv: Sequence[str], console: Console, host: Host | None = None) -> Exit:
    """Run the wizard on `host`, or on this computer."""
    return ended(console, lambda: _at_a_terminal(argv, console, host))


def _at_a_terminal(argv: Sequence[str], console: Console, host: Host | None) -> Exit:
    with redirect_stdout(console.stdout):  # where argparse prints help and version
        arguments = parse(build_parser(), argv)
    if not (console.stdin.isatty() and console.stdout.isatty()):
        raise InvalidValue(
            "the wizard needs a terminal", hint="without one, bty flash --yes does the same"
        )
    with left_as_found(), _ended_by_signals():
        return _wizard(arguments, host or _chosen(arguments, console))


def _chosen(arguments: argparse.Namespace, console: Console) -> Host:
    from bty_agent.pretend.options import chosen_host

    return chosen_host(arguments, console.say)


def _wizard(arguments: argparse.Namespace, host: Host) -> Exit:
    from bty_agent.unattended.failure import RUN_DIR, read_failure
    from bty_agent.wizard.answers import Trouble
    from bty_agent.wizard.offers import Origin
    from bty_agent.wizard.run import Setting, Wizard
    from bty_agent.wizard.steps import State, Step
    from bty_agent.wizard.terminal import Terminal
    from bty_core.flash.plan import FlashOptions
    from bty_core.machine.model import Firmware

    terminal = Terminal("bty" if arguments.pretend is None else "bty (pretended)")
    session = _session(arguments, host, arguments.run_dir or RUN_DIR)
    run_dir = arguments.run_dir or RUN_DIR
    failure = read_failure(run_dir)
    state = State(
        step=Step.NOTICE if failure else Step.LOOK_IMAGES,
        notice=Trouble((failure.title,), failure.hint, failure.aftermath) if failure else None,
        origin=Origin.SERVER if session.address else Origin.LOCAL,
        server=session.address,
        uefi=host.firmware is Firmware.UEFI,
        can_write=host.can_write,
    )
    wizard = Wizard(
        host,
        terminal,
        _asker(terminal),
        session,
        Setting(
            root=arguments.root,
            run_dir=run_dir,
            options=FlashOptions(fix_gpt=arguments.fix_gpt),
        ),
    )
    try:
        wizard.run(state)
    finally:
        session.close()
    return Exit.DONE


def _session(arguments: argparse.Namespace, host: Host, run_dir: Path) -> Session:
    """Return who hears of it: the server that is named, or that this machine was started from."""
    from bty_agent.boot_line import CMDLINE, BootLine, read_boot_line
    from bty_agent.wizard.sessions import Alone

    try:
        line = read_boot_line(arguments.cmdline or CMDLINE)
    except BtyError:
        if arguments.cmdline is not None:
            raise
        line = BootLine()  # what a boot script got wrong keeps nobody from flashing by hand
    server = arguments.server or line.server
    if server is None:
        return Alone()
    from bty_agent.server.client import ServerClient
    from bty_agent.wizard.served import Served

    mac = arguments.mac or line.mac or _only_mac(host)
    token = line.token_for(mac)
    attempt = line.attempt if token else None
    return Served(host, ServerClient(server, mac, token=token, attempt=attempt), run_dir)


def _only_mac(host: Host) -> MacAddress:
    nics = host.inventory().nics
    if len(nics) != 1:
        raise InvalidValue(
            f"this machine has {len(nics)} network interfaces, and the server knows it by one",
            hint="name its address: --mac 52:54:00:12:34:56",
        )
    return MacAddress.parse(nics[0].mac)


def _asker(terminal: Terminal) -> Asker:
    if terminal.dumb:
        from bty_agent.wizard.numbers import PlainAsker

        return PlainAsker(terminal.console)
    from bty_agent.wizard.questions import TerminalAsker

    return TerminalAsker(os.environ.get("TERM", ""), plain=terminal.ascii)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End as orderly for SIGTERM, and for a terminal that has gone, as by hand."""

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        raise Hangup

    before = {}
    with suppress(ValueError):  # not in the main thread
        for one in (signal.SIGTERM, signal.SIGHUP):
            before[one] = signal.signal(one, hang_up)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


if __name__ == "__main__":
    run()
