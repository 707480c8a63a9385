"""Makes the ROM of QEMU's network cards, which is iPXE, look like that of a vendor.

It stands between a machine's tap and the bridge, and takes away what iPXE says of itself: the user class (option 77)
and its own options (175). When the ROM has read a file by TFTP, the next question for an address is that of the
program in it: from then on the tap is on the bridge itself, until the machine is reset.

A program of its own, in the namespace of the bridge: ``plain_rom.py TAP BRIDGE QMP-SOCKET``. It ends with QEMU.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from typing import Self

_ALL = 0x0003  # ETH_P_ALL
_OUTGOING = 4  # PACKET_OUTGOING
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_ETHERNET = 14  # bytes
_TFTP, _DHCP = 69, (67, 4011)
_COOKIE = 240  # where the options begin
_PAD, _END, _KIND, _DISCOVER = 0, 255, 53, 1
_OF_IPXE = (77, 175)
_LEAST = 300  # bytes of a DHCP message


@dataclass(frozen=True, slots=True)
class Datagram:
    """An Ethernet frame with UDP over IPv4 in it."""

    frame: bytes
    at: int  # where the UDP header begins

    @classmethod
    def of(cls, frame: bytes) -> Self | None:
        """Return what `frame` carries, or None for anything else."""
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
            return None
        return cls(frame, _ETHERNET + (frame[14] & 15) * 4)

    @property
    def port(self) -> int:
        """Where it goes."""
        return int.from_bytes(self.frame[self.at + 2 : self.at + 4])

    @property
    def content(self) -> bytes:
        """What it brings."""
        return self.frame[self.at + 8 :]

    def without_checksum(self) -> bytes:
        """Return the frame with no UDP checksum: between namespaces it is only half made."""
        return self.frame[: self.at + 6] + b"\0\0" + self.frame[self.at + 8 :]

    def replaced(self, content: bytes) -> bytes:
        """Return the frame with another content."""
        header = bytearray(self.frame[_ETHERNET : self.at])
        header[2:4] = struct.pack("!H", len(header) + 8 + len(content))
        header[10:12] = b"\0\0"
        header[10:12] = struct.pack("!H", _checksum(header))
        udp = self.frame[self.at : self.at + 4] + struct.pack("!HH", 8 + len(content), 0)
        return self.frame[:_ETHERNET] + bytes(header) + udp + content


def plain(message: bytes) -> bytes:
    """Return a DHCP message without what only iPXE says."""
    kept = b"".join(
        bytes([code, len(value)]) + value
        for code, value in _options(message)
        if code not in _OF_IPXE
    )
    return (message[:_COOKIE] + kept + bytes([_END])).ljust(_LEAST, b"\0")


def discovers(message: bytes) -> bool:
    """Whether a DHCP message is the first question for an address."""
    return (_KIND, bytes([_DISCOVER])) in _options(message)


def _options(message: bytes) -> list[tuple[int, bytes]]:
    found, at = [], _COOKIE
    while at < len(message) and message[at] != _END:
        if message[at] == _PAD:
            at += 1
            continue
        length = message[at + 1]
        found.append((message[at], message[at + 2 : at + 2 + length]))
        at += 2 + length
    return found


def _checksum(header: bytes | bytearray) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Cable:
    """Between a tap and a bridge."""

    def __init__(self, tap: str, bridge: str) -> None:
        self._tap, self._bridge = tap, bridge
        self._port, self._inner = f"{tap}-rom", f"{tap}-in"
        # The one that stood here before was ended in the middle, with its machine.
        subprocess.run(["ip", "link", "delete", self._port], stderr=subprocess.DEVNULL, timeout=20)
        _ip("link", "add", self._port, "type", "veth", "peer", "name", self._inner)
        for one in (self._port, self._inner):
            _ip("link", "set", one, "up")
        self._ends: tuple[
            socket.socket, ...
        ] = ()  # of the machine and of the network; none when plugged
        self._read_file = False
        self.pull()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """What has to be listened to."""
        return self._ends

    def pull(self) -> None:
        """Stand between tap and bridge: the machine starts, with its ROM."""
        self._read_file = False
        if not self._ends:
            _ip("link", "set", self._tap, "nomaster")
            _ip("link", "set", self._port, "master", self._bridge)
            self._ends = (_listen(self._tap), _listen(self._inner))

    def pass_on(self, came_to: socket.socket) -> None:
        """Take one frame and send it on."""
        if came_to not in self._ends:
            return
        machine, network = self._ends
        frame, address = came_to.recvfrom(65535)
        if address[2] == _OUTGOING:
            return
        datagram = Datagram.of(frame)
        if came_to is network:
            machine.send(datagram.without_checksum() if datagram else frame)
        elif datagram is None or datagram.port not in _DHCP:
            self._read_file |= datagram is not None and datagram.port == _TFTP
            network.send(datagram.without_checksum() if datagram else frame)
        elif self._read_file and discovers(datagram.content):
            self._plug(frame)
        else:
            network.send(datagram.replaced(plain(datagram.content)))

    def _plug(self, frame: bytes) -> None:
        """Put the tap on the bridge, and then send what would be lost otherwise."""
        _ip("link", "set", self._tap, "master", self._bridge)
        self._ends[1].send(frame)
        _ip("link", "set", self._port, "nomaster")
        for one in self._ends:
            one.close()
        self._ends = ()


def _listen(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    made.bind((interface, 0))
    every = struct.pack("iHH8s", socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
    made.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, every)
    return made


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


def main(tap: str, bridge: str, path: str) -> None:
    """Work until QEMU, which connects to `path`, ends."""
    cable = Cable(tap, bridge)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(1)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        qemu, _ = server.accept()
    qemu.sendall(json.dumps({"execute": "qmp_capabilities"}).encode())
    said = b""
    while True:
        for one in select.select([qemu, *cable.sockets], [], [])[0]:
            if one is not qemu:
                cable.pass_on(one)
                continue
            news = qemu.recv(65536)
            if not news:
                return
            *lines, said = (said + news).split(b"\n")
            if any(json.loads(line).get("event") == "RESET" for line in lines):
                cable.pull()


if __name__ == "__main__":
    main(*sys.argv[1:])
