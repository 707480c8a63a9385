"""``bty-appliance``: arguments and a console in, an exit code out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from bty_core.errors import BtyError, Refused
from bty_core.program.ending import ended
from bty_core.program.parser import parse
from bty_web.appliance.cli import build_parser
from bty_web.console import Console
from bty_web.exits import Exit, exit_for
from bty_web.services.appliance import PROXY_DHCP, Done
from bty_web.settings import Settings, load

_ROUNDS = 10  # of values that change while the ones before are applied


def main(argv: Sequence[str], console: Console) -> Exit:
    """Run one command."""
    if not argv:
        console.say(build_parser().format_help().rstrip())
        return Exit.USAGE

    def failed(error: BtyError) -> Exit:
        console.say(f"bty-appliance: {error.message}")
        if error.hint:
            console.say(f"hint: {error.hint}")
        return exit_for(error)

    def work() -> Exit:
        with redirect_stdout(console.stdout):
            arguments = parse(build_parser(), argv)
        return _COMMANDS[arguments.command](arguments, console)

    return ended("bty-appliance", console, work, failed)


def _appliance() -> tuple[Settings, Path]:
    settings = load()
    if settings.appliance_dir is None:
        raise Refused(
            "this is no server appliance",
            hint="appliance_dir in /etc/bty/bty-web.yaml makes it one",
        )
    return settings, settings.appliance_dir


def _certificate(arguments: argparse.Namespace, console: Console) -> Exit:
    from bty_web.appliance import certificate

    console.say(certificate.provide(names=arguments.name, again=arguments.again))
    return Exit.DONE


def _login(_arguments: argparse.Namespace, _console: Console) -> Exit:
    from bty_web.appliance.login import Login, passed_socket, who_may_ask
    from bty_web.appliance.pam import Pam

    Login(passed_socket(), Pam().accepts, asking=who_may_ask()).serve()
    return Exit.DONE


def _passwords(_arguments: argparse.Namespace, console: Console) -> Exit:
    from bty_web.appliance import passwords

    _, folder = _appliance()
    found = passwords.look()
    passwords.tell(found, folder)
    if found.default:
        console.say(f"the default password is in place for {', '.join(found.default)}")
    else:
        console.say("no default password is in place")
    return Exit.DONE


def _probe(_arguments: argparse.Namespace, console: Console) -> Exit:
    from bty_web.appliance import probe

    settings, folder = _appliance()
    console.say(probe.answer(settings.state_dir, folder) or "nobody wants to know anything")
    return Exit.DONE


def _proxy_dhcp(_arguments: argparse.Namespace, console: Console) -> Exit:
    from bty_web.appliance.proxy_dhcp import Helper
    from bty_web.dhcp.durable import write_durably

    settings, folder = _appliance()
    helper = Helper(settings=settings)
    rounds = 0
    while True:
        applied = helper.apply()
        write_durably(folder / PROXY_DHCP, json.dumps(applied.wire()).encode())
        console.say(f"{applied.done}: {applied.message}")
        rounds += 1
        # systemd does not tell of a change that comes while this runs.
        if rounds == _ROUNDS or helper.is_current(applied):
            return Exit.WRITE_FAILED if applied.done is Done.FAILED else Exit.DONE


def _shipped(_arguments: argparse.Namespace, console: Console) -> Exit:
    from bty_web.appliance import shipped

    settings, _ = _appliance()
    for sentence in shipped.install(settings):
        console.say(sentence)
    return Exit.DONE


_COMMANDS: dict[str, Callable[[argparse.Namespace, Console], Exit]] = {
    "certificate": _certificate,
    "login": _login,
    "passwords": _passwords,
    "probe": _probe,
    "proxy-dhcp": _proxy_dhcp,
    "shipped": _shipped,
}
