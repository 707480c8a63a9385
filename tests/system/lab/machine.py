"""A machine of a lab: QEMU with real firmware, a serial console, keys and a screen."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyte

from bty_core.values import MacAddress
from tests.system.lab import plain_rom
from tests.system.lab.firmware import FLASHES, Firmware
from tests.system.lab.network import Lan
from tests.web.netns import inside

# `max` has an instruction that crashes Linux in the emulator of QEMU 7.2.
_CPU = "max,-cx16"
_PROGRAM = "qemu-system-x86_64"


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk, or a stick on USB; `path` is a raw file."""

    path: Path
    serial: str = "LAB0001"
    usb: bool = False
    write_rate: int = 0  # bytes a second at most; 0: as fast as it goes


@dataclass
class Machine:
    """One machine. A context manager that switches it off, and keeps what was on its serial console."""

    name: str
    folder: Path
    firmware: Firmware = Firmware.BIOS
    drives: Sequence[Drive] = ()
    lan: Lan | None = None  # None: there is no network card
    mac: MacAddress = field(default_factory=lambda: MacAddress.parse("52:54:00:77:00:10"))
    memory: int = 1024  # MiB
    cpus: int = (
        1  # the emulator of QEMU 7.2 breaks code that Linux patches while another processor runs it
    )
    plain_rom: bool | None = (
        None  # the card's ROM is no iPXE; None: on UEFI, where that costs no time
    )
    network_first: bool = True
    http_boot: bool = False  # UEFI: HTTP instead of PXE
    screen: bool = False  # BIOS: text on the screen; otherwise on the serial console

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.serial_log = self.folder / f"{self.name}.serial.log"
        self.serial_log.write_bytes(b"")
        self._tap: str | None = None
        self._running: subprocess.Popen[bytes] | None = None
        self._serial: Serial | None = None
        self._qmp: Qmp | None = None
        self._rom: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self.terminal = Terminal()
        self.on_said: Callable[[bytes], object] | None = None  # hears the serial console as well

    def __enter__(self) -> Self:
        self.on()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_more: object) -> None:
        if kind is not None and self.is_on:
            self._keep_screen()
        self.off()

    def on(self) -> None:
        """Press the power button."""
        assert self._running is None, "it is on"
        if self.lan and self._tap is None:
            self._tap = self.lan.tap()
        if self.lan and self._is_plain and self.firmware is Firmware.BIOS:
            self._rom = self._plain_rom(self.lan, str(self._tap))
        words = self._words()
        if self.lan:
            words = inside(self.lan.bridge, *words)
        self._began = time.monotonic()
        self.terminal = Terminal()  # what stood there when it went off is no news
        with (self.folder / f"{self.name}.qemu.log").open("ab") as log:
            self._running = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            # It waits for somebody on the serial console, so that not one letter is lost.
            serial = _connected(self._socket("serial"), self._running)
            self._serial = Serial(serial, self.serial_log, self._hear)
            self._qmp = Qmp(_connected(self._socket("qmp"), self._running))
        except BaseException:
            self.off()
            raise

    def off(self) -> None:
        """Cut the power."""
        if self._running is None:
            return
        self._running.kill()
        self._running.wait(20)
        self._running = None
        for one in (self._serial, self._qmp):
            if one:
                one.close()
        self._serial = self._qmp = None
        if self._rom:
            self._rom.kill()
            self._rom.wait(20)
            self._rom = None
        for kind in ("qmp", "serial", "rom"):
            self._socket(kind).unlink(missing_ok=True)

    @property
    def is_on(self) -> bool:
        """Whether it has power; a machine that switched itself off has none."""
        return self._running is not None and self._running.poll() is None

    @property
    def seconds(self) -> float:
        """How long ago it was switched on."""
        return time.monotonic() - self._began

    @property
    def said(self) -> str:
        """All that came over the serial console."""
        return self.serial_log.read_text(errors="replace")

    def wait(self, pattern: str, seconds: float, after: int = 0) -> float:
        """Wait until the serial console has said `pattern`, from character `after` on; return `seconds`.

        `AssertionError` with the end of what it said where that takes longer than `seconds`, or it is off.
        """
        expression = re.compile(pattern)
        end = time.monotonic() + seconds
        while not expression.search(self.said[after:]):
            if why := self._hopeless(end, after):
                tail = self.said[after:][-3000:]
                raise AssertionError(f"{self.name} did not say {pattern!r} {why}:\n{tail}")
            time.sleep(0.1)
        return self.seconds

    def shows(self, text: str, seconds: float) -> float:
        """Wait until `text` stands on the screen of the serial terminal; return the seconds since power-on."""
        end = time.monotonic() + seconds
        began = len(self.said)
        while text not in "\n".join(self.terminal.lines()):
            if why := self._hopeless(end, began):
                shown = "\n".join(self.terminal.lines())
                raise AssertionError(f"{self.name} did not show {text!r} {why}, but\n{shown}")
            time.sleep(0.1)
        return self.seconds

    def writes(self, disk: Path, seconds: float) -> float:
        """Wait until something has been written to `disk`, an empty file; return the seconds since power-on."""
        end = time.monotonic() + seconds
        began = len(self.said)
        before = disk.stat().st_blocks
        while disk.stat().st_blocks <= before:
            if why := self._hopeless(end, began):
                raise AssertionError(f"{self.name} wrote nothing {why}:\n{self.said[-3000:]}")
            time.sleep(0.1)
        return self.seconds

    def goes_off(self, seconds: float) -> None:
        """Wait until it has switched itself off."""
        end = time.monotonic() + seconds
        while self.is_on:
            assert time.monotonic() < end, f"{self.name} does not switch itself off"
            time.sleep(0.1)

    def type(self, text: str) -> None:
        """Type on the serial console."""
        assert self._serial, "it is off"
        self._serial.send(text)

    def choose(self, text: str, seconds: float = 60) -> None:
        """Point at the row with `text` in the wizard's menu on the serial console, and take it."""
        self.shows(text, seconds)
        for _ in range(20):
            pointed = [line for line in self.terminal.lines() if line.startswith(" >")]
            if pointed and text in pointed[0]:
                self.type("\r")
                return
            self.type("\x1b[B")
            time.sleep(1)
        raise AssertionError(f"nothing to choose with {text!r}: {self.terminal.lines()}")

    def press(self, *keys: str) -> None:
        """Press keys of the keyboard, by the names of QEMU (``ret``, ``down``, ``y``)."""
        for key in keys:
            codes = [{"type": "qcode", "data": one} for one in key.split("-")]
            self.order("send-key", keys=codes)
            time.sleep(0.15)

    def unplug(self, drive: Drive) -> None:
        """Pull a stick out."""
        self.order("device_del", id=f"u{list(self.drives).index(drive)}")

    def screenshot(self, path: Path) -> Path:
        """Write what is on the screen as PNG."""
        self.order("screendump", filename=str(path), format="png")
        return path

    def reset(self) -> None:
        """Press the reset button."""
        self.order("system_reset")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the machine stand still while the block lasts."""
        self.order("stop")
        yield
        self.order("cont")

    def order(self, command: str, **arguments: Any) -> Any:
        """Give QEMU an order."""
        assert self._qmp, "it is off"
        return self._qmp(command, **arguments)

    @property
    def _is_plain(self) -> bool:
        return self.firmware is not Firmware.BIOS if self.plain_rom is None else self.plain_rom

    def _hopeless(self, end: float, after: int) -> str | None:
        """Return why it is no use to wait until `end`, or None."""
        if "Kernel panic" in self.said[after:]:
            return "before its kernel panicked"
        if not self.is_on:
            return "before it went off"
        return f"in time ({self.seconds:.0f} s)" if time.monotonic() > end else None

    def _hear(self, data: bytes) -> None:
        self.terminal.feed(data)
        if self.on_said:
            self.on_said(data)

    def _keep_screen(self) -> None:
        with suppress(AssertionError, OSError):
            self.screenshot(self.folder / f"{self.name}.png")

    def _socket(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"

    def _words(self) -> list[str]:
        bios = self.firmware is Firmware.BIOS
        options = ["q35", "smm=on"] if self.firmware is Firmware.SECURE else ["q35"]
        if bios and not self.screen:
            options.append("graphics=off")
        words = [_PROGRAM, "-name", self.name, "-machine", ",".join(options), "-accel", "tcg"]
        words += ["-cpu", _CPU, "-smp", str(self.cpus), "-m", str(self.memory)]
        words += ["-display", "none", "-vga", "std", "-no-user-config", "-nodefaults"]
        words += ["-device", "virtio-rng-pci"]
        words += ["-chardev", f"socket,id=s0,path={self._socket('serial')},server=on,wait=on"]
        words += ["-serial", "chardev:s0"]
        words += ["-qmp", f"unix:{self._socket('qmp')},server=on,wait=off"]
        if self._rom:
            words += ["-qmp", f"unix:{self._socket('rom')}"]
        words += ["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]
        if self.http_boot:
            words += ["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"]
        if not bios:
            words += self._flash()
        first, last = (1, 10) if self.network_first else (10, 1)
        if self._tap:
            words += ["-netdev", f"tap,id=n0,ifname={self._tap},script=no,downscript=no"]
            card = f"virtio-net-pci,netdev=n0,mac={self.mac},bootindex={first}"
            # QEMU's own ROM is iPXE. Without one, OVMF has its own client.
            words += ["-device", card + (",romfile=" if self._is_plain and not bios else "")]
        if any(drive.usb for drive in self.drives):
            words += ["-device", "qemu-xhci"]
        for number, drive in enumerate(self.drives):
            source = f"if=none,id=d{number},format=raw,file={drive.path},cache=unsafe"
            if drive.write_rate:
                source += f",throttling.bps-write={drive.write_rate}"
            kind = "usb-storage,removable=on" if drive.usb else "virtio-blk-pci"
            index = 0 if drive.usb else last + number
            device = f"{kind},id=u{number},drive=d{number},serial={drive.serial},bootindex={index}"
            words += ["-drive", source, "-device", device]
        return words

    def _plain_rom(self, lan: Lan, tap: str) -> subprocess.Popen[bytes]:
        """Start what makes QEMU's ROM a plain one; it is at work on return."""
        program = Path(plain_rom.__file__)
        words = [sys.executable, str(program), tap, "br0", str(self._socket("rom"))]
        log = self.folder / f"{self.name}.rom.log"
        with log.open("wb") as file:
            started = subprocess.Popen(
                inside(lan.bridge, *words), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        end = time.monotonic() + 20
        while "ready" not in log.read_text():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        return started

    def _flash(self) -> list[str]:
        """Return the words for OVMF, with variables that are this machine's own and stay."""
        flash = FLASHES[self.firmware]
        variables = self.folder / f"{self.name}.vars"
        if not variables.exists():
            shutil.copyfile(flash.variables, variables)
        pflash = "if=pflash,format=raw,unit"
        words = ["-drive", f"{pflash}=0,readonly=on,file={flash.code}"]
        words += ["-drive", f"{pflash}=1,file={variables}"]
        if self.firmware is Firmware.SECURE:
            words += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        return words


class Terminal:
    """The screen of a serial terminal, 80x24."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()

    def feed(self, data: bytes) -> None:
        """Show what came."""
        with self._lock, suppress(Exception):  # firmware writes what no terminal understands
            self._stream.feed(data)

    def lines(self) -> list[str]:
        """Return what stands on it."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]


class Serial:
    """The serial console: read all the time, into a log and by who `hears` it."""

    def __init__(self, line: socket.socket, log: Path, hears: Callable[[bytes], None]) -> None:
        self._socket = line
        self._hears = hears
        self._log = log.open("ab", buffering=0)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, text: str) -> None:
        """Type `text`, as slowly as an emulated UART takes it."""
        for letter in text.encode():
            self._socket.sendall(bytes([letter]))
            time.sleep(0.02)

    def close(self) -> None:
        """Let go of it; the other end has."""
        self._thread.join(10)
        self._socket.close()
        self._log.close()

    def _read(self) -> None:
        with suppress(OSError):
            while data := self._socket.recv(65536):
                self._log.write(data)
                self._hears(data)


class Qmp:
    """QEMU's control socket. Source: docs/interop/qmp-spec.rst of QEMU."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        self._file = self._socket.makefile("r")
        self._lock = threading.Lock()
        self.events: list[str] = []
        self._file.readline()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Give an order and return its result."""
        with self._lock:
            order = {"execute": command, "arguments": arguments}
            self._socket.sendall(json.dumps(order).encode() + b"\n")
            while line := self._file.readline():
                message = json.loads(line)
                if "event" in message:
                    self.events.append(message["event"])
                    continue
                assert "error" not in message, message
                return message["return"]
        raise AssertionError("QEMU has ended")

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        self._socket.close()


def _connected(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    end = time.monotonic() + 20
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(path))
        except OSError:
            client.close()
            assert process.poll() is None, f"QEMU ended with {process.poll()}"
            assert time.monotonic() < end, f"{path} does not answer"
            time.sleep(0.05)
        else:
            return client
