"""A lab for a person to look at: the flow of a fleet on this terminal, or a machine that stays on.

`nox -s lab -- demo` and `nox -s lab -- --keep` start it, after they have built the media.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import medium, packed, small_system
from tests.system.lab.network import SERVER, Lan
from tests.system.lab.relay import door
from tests.system.lab.server import PORT, LabServer, lab_server

_IMAGE = "one.img.zst"
_LEAVE = b"\x1d"  # Ctrl-]
_STARTED, _FLASHED, _BOOTED = 600.0, 600.0, 300.0  # seconds


def main() -> int:
    """Build a lab, show it, and take all of it away."""
    parser = argparse.ArgumentParser(prog="nox -s lab --", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["demo"], help="show the flow, and end")
    parser.add_argument("--keep", action="store_true", help="let a machine run, with your keys")
    parser.add_argument("--firmware", type=Firmware, choices=list(Firmware), default=Firmware.BIOS)
    arguments = parser.parse_args()
    if not (arguments.what or arguments.keep):
        parser.error("say demo, full or --keep")
    with tempfile.TemporaryDirectory(prefix="bty-lab-") as name, Lan(Path(name) / "lan") as lan:
        folder = Path(name)
        say("a network in namespaces of its own, a router, and bty-web with proxy-DHCP")
        lan.build()
        with lab_server(lan) as server, door(lan.server, str(SERVER), PORT) as url:
            server.install_live(medium("pxe"))
            server.add_image(packed(small_system("one")), _IMAGE)
            say(f"the pages: {url}/ - user operator, password {server.password}")
            disk = blank(folder / "disk.raw")
            box = Machine("box", folder, arguments.firmware, [Drive(disk)], lan=lan)
            if arguments.what:
                show(server, box, disk)
            if arguments.keep:
                keep(box, folder)
    say("everything that was made is gone")
    return 0


def show(server: LabServer, box: Machine, disk: Path) -> None:
    """Let a machine come, be flashed and start its own system, while its serial console is shown."""
    server.assign(box.mac, name="box", image=_IMAGE, target="only", boot_policy="flash-once")
    say(f"{box.mac} is to be flashed once with {_IMAGE}; its power comes on")
    with mirrored(box):
        box.on()
        box.wait("attempt 1 reboots now", _STARTED + _FLASHED)
        flashed = box.seconds
        assert holds(disk, small_system("one")), "the disk does not hold the image"
        box.wait("BTY-SYSTEM-UP name=one", _BOOTED)
        up = box.seconds
    (attempt,) = server.attempts(box.mac)
    say(f"flashed after {flashed:.0f} s, up from its own disk after {up:.0f} s")
    say(f"the server says of it: {attempt['state']}; each byte was compared with the image")


def keep(box: Machine, folder: Path) -> None:
    """Let a machine run, its serial console being this terminal, until Ctrl-]."""
    say(f"the files of the lab: {folder}; the serial console follows, Ctrl-] ends everything")
    try:
        if not box.is_on:
            box.on()
        if not sys.stdin.isatty():
            say("no terminal to type on: it runs until this program is ended")
        with mirrored(box), raw_terminal() as keys:
            while box.is_on:
                if keys is None:
                    time.sleep(1)
                elif select.select([keys], [], [], 0.5)[0]:
                    typed = os.read(keys, 1024)
                    if _LEAVE in typed:
                        return
                    box.type(typed.decode(errors="ignore"))
            say("it has switched itself off")
    finally:
        box.off()


@contextmanager
def mirrored(box: Machine) -> Iterator[None]:
    """Copy what the serial console says to this terminal."""
    box.on_said = lambda data: (sys.stdout.buffer.write(data), sys.stdout.buffer.flush())
    try:
        yield
    finally:
        box.on_said = None
        print(flush=True)


@contextmanager
def raw_terminal() -> Iterator[int | None]:
    """Have every key as it is typed: the descriptor to read them from, or None without a terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setraw(keys)
    try:
        yield keys
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


def say(text: str) -> None:
    """Print one line at once."""
    print(f"lab: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
