"""A read-only view into a disk image through `qemu-nbd`, over a UNIX socket (the NBD protocol, fixed newstyle).

qemu-nbd ends by itself when its only client has gone, and the kernel ends it with the thread that started it, so
nothing stays behind even when bty is killed. An export must be opened in a thread that outlives it.
"""

from __future__ import annotations

import socket
import struct
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bty_core import proc
from bty_core.errors import CommandFailed, ImageCorrupt
from bty_core.proc import Background

_REQUEST_BYTES = 2**20
# As many requests are on their way at once, so that QEMU decodes while bty writes.
_AHEAD = 16
_START_SECONDS = 15.0
_REPLY_SECONDS = 120.0

_OPTION_GO, _OPTION_STRUCTURED = 7, 8
_ANSWER_ACK, _ANSWER_INFO, _INFO_EXPORT = 1, 3, 0
_COMMAND_READ, _COMMAND_DISCONNECT = 0, 2
_CHUNK_NONE, _CHUNK_DATA, _CHUNK_HOLE, _LAST_CHUNK = 0, 1, 2, 1
_OPTION_MAGIC = b"IHAVEOPT"
_ANSWER_MAGIC = 0x3E889045565A9
_REQUEST_MAGIC, _CHUNK_MAGIC = 0x25609513, 0x668E33EF


@dataclass(slots=True)
class _Pending:
    """A request on its way, and what has come of it."""

    length: int
    data: bytearray | None = None  # None: nothing but zeros so far
    complete: bool = False


class NbdExport:
    """One image, served by a qemu-nbd of its own."""

    def __init__(self, path: Path, driver: str) -> None:
        """Start qemu-nbd for the image of the format `driver` at `path`.

        Raises `ProgramMissing`, and `CommandFailed` or `ImageCorrupt` where QEMU cannot read the file.
        """
        self._name = path.name
        setpriv, qemu_nbd = proc.find("setpriv"), proc.find("qemu-nbd")
        self._folder = tempfile.TemporaryDirectory(prefix="bty-nbd-")
        address = Path(self._folder.name) / "socket"
        self._program = Background(
            [
                # A qemu-nbd that nobody has connected to yet would wait for ever.
                setpriv,
                "--pdeathsig=KILL",
                qemu_nbd,
                "--read-only",
                f"--format={driver}",
                f"--socket={address}",
                "--",
                path.absolute(),
            ]
        )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_REPLY_SECONDS)
        self._pending: dict[int, _Pending] = {}
        self._asked = 0
        self._at = 0
        try:
            self._connect(address)
            # A socket lives on without its name; so nothing is left of it when bty is killed.
            self._folder.cleanup()
            self.size = self._handshake()
        except BaseException:
            self.close()
            raise

    def readinto(self, view: memoryview) -> int:
        """Fill `view` with the next bytes of the disk and return how many there were; fewer only at its end."""
        done = 0
        while done < len(view):
            self._ask_ahead()
            first = self._pending.get(self._at - self._at % _REQUEST_BYTES)
            if first is None:
                break
            while not first.complete:
                self._receive_chunk()
            within = self._at % _REQUEST_BYTES
            step = min(first.length - within, len(view) - done)
            view[done : done + step] = (
                bytes(step) if first.data is None else first.data[within : within + step]
            )
            if within + step == first.length:
                del self._pending[self._at - within]
            self._at += step
            done += step
        return done

    def _ask_ahead(self) -> None:
        while len(self._pending) < _AHEAD and self._asked < self.size:
            length = min(_REQUEST_BYTES, self.size - self._asked)
            header = struct.pack(
                ">IHHQQI", _REQUEST_MAGIC, 0, _COMMAND_READ, self._asked, self._asked, length
            )
            self._send(header)
            self._pending[self._asked] = _Pending(length)
            self._asked += length

    def _receive_chunk(self) -> None:
        """Take one chunk of a structured reply; a request's handle is its offset."""
        magic, flags, kind, handle, length = struct.unpack(">IHHQI", self._receive(20))
        pending = self._pending.get(handle)
        if magic != _CHUNK_MAGIC or pending is None:
            raise CommandFailed(f"qemu-nbd answered nonsense while reading {self._name}")
        if kind == _CHUNK_DATA:
            if pending.data is None:
                pending.data = bytearray(pending.length)
            start = struct.unpack(">Q", self._receive(8))[0] - handle
            self._fill(memoryview(pending.data)[start : start + length - 8])
        elif kind in (_CHUNK_NONE, _CHUNK_HOLE):
            self._receive(length)
        else:
            said = self._receive(length)
            message = (
                said[6:].decode(errors="replace").strip()
                or f"error {struct.unpack_from('>I', said)[0]}"
            )
            raise ImageCorrupt(
                f"QEMU cannot read {self._name} near byte {handle} of the disk in it: {message}",
                hint="look at it with qemu-img check, or fetch it again",
            )
        pending.complete = bool(flags & _LAST_CHUNK)

    def close(self) -> None:
        """Leave; qemu-nbd ends with its only client, and is killed if it does not."""
        with suppress(OSError):
            self._socket.sendall(
                struct.pack(">IHHQQI", _REQUEST_MAGIC, 0, _COMMAND_DISCONNECT, 0, 0, 0)
            )
        with suppress(OSError):
            # Wakes another thread that waits for an answer.
            self._socket.shutdown(socket.SHUT_RDWR)
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
                    raise CommandFailed(
                        f"qemu-nbd did not answer within {_START_SECONDS:g} s"
                    ) from None
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
        self._send(struct.pack(">I", 1 | no_zeroes))
        # With structured replies a hole costs a few bytes on the socket.
        self._option(_OPTION_STRUCTURED, b"")
        self._answer()
        self._option(_OPTION_GO, struct.pack(">IH", 0, 0))
        size: int | None = None
        while True:
            kind, body = self._answer()
            if kind == _ANSWER_INFO and struct.unpack_from(">H", body)[0] == _INFO_EXPORT:
                size = struct.unpack_from(">Q", body, 2)[0]
            if kind == _ANSWER_ACK and size is not None:
                return size

    def _option(self, option: int, body: bytes) -> None:
        self._send(_OPTION_MAGIC + struct.pack(">II", option, len(body)) + body)

    def _answer(self) -> tuple[int, bytes]:
        magic, _, kind, length = struct.unpack(">QIII", self._receive(20))
        body = self._receive(length)
        if magic != _ANSWER_MAGIC or kind & 0x80000000:
            raise CommandFailed(f"qemu-nbd did not export {self._name}: answer {kind:#x}")
        return kind, body

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise self._stopped() from None

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        self._fill(memoryview(data))
        return bytes(data)

    def _fill(self, view: memoryview) -> None:
        while view:
            try:
                got = self._socket.recv_into(view)
            except TimeoutError:
                raise CommandFailed(
                    f"qemu-nbd gave nothing of {self._name} for {_REPLY_SECONDS:g} s"
                ) from None
            except OSError:
                raise self._stopped() from None
            if not got:
                raise self._stopped()
            view = view[got:]

    def _stopped(self) -> ImageCorrupt:
        return ImageCorrupt(
            f"QEMU stopped while reading {self._name}: {self._last_words()}",
            hint="look at it with qemu-img check",
        )
