"""A read-only view into a disk image through `qemu-nbd`, over a UNIX socket (the NBD protocol, fixed newstyle).

qemu-nbd ends by itself when its only client has gone, so nothing stays behind even when bty is killed.
"""

from __future__ import annotations

import socket
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bty_core.errors import CommandFailed, ImageCorrupt
from bty_core.proc import Background

_REQUEST_BYTES = 2**20
_START_SECONDS = 15.0
_REPLY_SECONDS = 120.0

_OPTION_GO, _REPLY_ACK, _REPLY_INFO, _INFO_EXPORT = 7, 1, 3, 0
_COMMAND_READ, _COMMAND_DISCONNECT = 0, 2
_OPTION_MAGIC = b"IHAVEOPT"
_OPTION_REPLY_MAGIC = 0x3E889045565A9
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698


class NbdExport:
    """One image, served by a qemu-nbd of its own."""

    def __init__(self, path: Path, driver: str) -> None:
        """Start qemu-nbd for the image of the format `driver` at `path`.

        Raises `ProgramMissing`, and `CommandFailed` or `ImageCorrupt` where QEMU cannot read the file.
        """
        self._name = path.name
        self._folder = tempfile.TemporaryDirectory(prefix="bty-nbd-")
        address = Path(self._folder.name) / "socket"
        self._program = Background(
            ["qemu-nbd", "--read-only", f"--format={driver}", f"--socket={address}", "--", path.absolute()]
        )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_REPLY_SECONDS)
        try:
            self._connect(address)
            self.size = self._handshake()
        except BaseException:
            self.close()
            raise

    def readinto(self, view: memoryview, offset: int) -> None:
        """Fill `view` with the bytes from `offset` on."""
        starts = range(0, len(view), _REQUEST_BYTES)
        # All requests are sent before the first reply is read, so that QEMU decodes while bty receives.
        for at in starts:
            length = min(_REQUEST_BYTES, len(view) - at)
            self._socket.sendall(
                struct.pack(">IHHQQI", _REQUEST_MAGIC, 0, _COMMAND_READ, at, offset + at, length)
            )
        for _ in starts:
            magic, error, at = struct.unpack(">IIQ", self._receive(16))
            if magic != _REPLY_MAGIC or error:
                raise ImageCorrupt(
                    f"QEMU cannot read {self._name} near byte {offset + at} of the disk in it (error {error})",
                    hint="look at it with qemu-img check, or fetch it again",
                )
            self._fill(view[at : at + min(_REQUEST_BYTES, len(view) - at)])

    def close(self) -> None:
        """Leave; qemu-nbd ends with its only client, and is killed if it does not."""
        with suppress(OSError):
            self._socket.sendall(struct.pack(">IHHQQI", _REQUEST_MAGIC, 0, _COMMAND_DISCONNECT, 0, 0, 0))
        self._socket.close()
        self._program.stop()
        self._folder.cleanup()

    def _connect(self, address: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._socket.connect(str(address))
            except (FileNotFoundError, ConnectionRefusedError):
                if not self._program.running:
                    raise ImageCorrupt(
                        f"QEMU cannot open {self._name}: {self._last_words()}",
                        hint="look at it with qemu-img check, or fetch it again",
                    ) from None
                if time.monotonic() > deadline:
                    raise CommandFailed(f"qemu-nbd did not answer within {_START_SECONDS:g} s") from None
                time.sleep(0.01)
            else:
                return

    def _last_words(self) -> str:
        return self._program.stop().removeprefix("qemu-nbd: ") or "it said nothing"

    def _handshake(self) -> int:
        greeting = self._receive(18)
        if greeting[:8] != b"NBDMAGIC" or greeting[8:16] != _OPTION_MAGIC:
            raise CommandFailed("qemu-nbd greeted with something that is not NBD")
        no_zeroes = struct.unpack(">H", greeting[16:])[0] & 2
        self._socket.sendall(struct.pack(">I", 1 | no_zeroes))
        self._socket.sendall(_OPTION_MAGIC + struct.pack(">IIIH", _OPTION_GO, 6, 0, 0))
        size: int | None = None
        while True:
            magic, _, reply, length = struct.unpack(">QIII", self._receive(20))
            body = self._receive(length)
            if magic != _OPTION_REPLY_MAGIC or reply & 0x80000000:
                raise CommandFailed(f"qemu-nbd did not export {self._name}: reply {reply:#x}")
            if reply == _REPLY_INFO and struct.unpack_from(">H", body)[0] == _INFO_EXPORT:
                size = struct.unpack_from(">Q", body, 2)[0]
            if reply == _REPLY_ACK and size is not None:
                return size

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        self._fill(memoryview(data))
        return bytes(data)

    def _fill(self, view: memoryview) -> None:
        while view:
            try:
                got = self._socket.recv_into(view)
            except TimeoutError:
                raise CommandFailed(f"qemu-nbd gave nothing of {self._name} for {_REPLY_SECONDS:g} s") from None
            if not got:
                raise ImageCorrupt(
                    f"QEMU stopped while reading {self._name}: {self._last_words()}",
                    hint="look at it with qemu-img check",
                )
            view = view[got:]
