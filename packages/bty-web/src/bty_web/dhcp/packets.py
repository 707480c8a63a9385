"""DHCP messages as bytes: the requests that firmware sends, and what servers answer. Pure, and deaf to rubbish."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from bty_web.dhcp.clients import Client

SERVER_PORT = 67
CLIENT_PORT = 68
PXE_PORT = 4011

_COOKIE = b"\x63\x82\x53\x63"
_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_OPTIONS = _HEADER.size + len(_COOKIE)
_SHORTEST = 300  # bytes; RFC 1542: some relays drop shorter ones
_BROADCAST = 0x8000

# What PXE firmware asks for, RFC 4578's and PXE 2.1's options included, and iPXE's own.
_WANTED = bytes([1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135])
_IPXE_FEATURES = bytes([0x13, 1, 1, 0x22, 1, 1])  # HTTP and TFTP, among many


class Kind(IntEnum):
    """The kinds of DHCP message that are used here."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    ACK = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one server answered. Absent text is None, an absent address too."""

    source: IPv4Address  # who sent the packet
    source_mac: str | None
    server: IPv4Address | None  # option 54
    address: IPv4Address | None  # yiaddr: what the client would be called
    next_server: IPv4Address | None  # siaddr
    server_name: str | None  # sname, or option 66
    file: str | None  # file, or option 67
    vendor_class: str | None  # option 60
    vendor_options: bytes | None  # option 43
    options: tuple[int, ...]  # the numbers of all that were there

    @property
    def who(self) -> IPv4Address:
        """The server, as it calls itself."""
        return self.server or self.source

    @property
    def is_proxy(self) -> bool:
        """Whether it gives no address: it answers beside an ordinary DHCP server."""
        return self.address is None

    @property
    def bare(self) -> bool:
        """Whether it speaks to network boots, but keeps the file for a question on port 4011."""
        words = self.vendor_class or ""
        return self.is_proxy and self.file is None and words.startswith("PXEClient")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One client that asks: what it sends, and how it knows an answer."""

    client: Client
    mac: bytes
    xid: int
    identity: bytes  # the 16 bytes of its SMBIOS UUID

    def discover(self) -> bytes:
        """Return its DISCOVER, to be answered to everybody. It takes no lease."""
        return self._message(Kind.DISCOVER, named=bytes(4), flags=_BROADCAST)

    def ask_proxy(self, address: IPv4Address) -> bytes:
        """Return the REQUEST that firmware with `address` sends to a proxy on port 4011, and to nobody else."""
        return self._message(Kind.REQUEST, named=address.packed, flags=0)

    def _message(self, kind: Kind, *, named: bytes, flags: int) -> bytes:
        zero = bytes(4)
        header = _HEADER.pack(
            1, 1, 6, 0, self.xid, 4, flags, named, zero, zero, zero, self.mac, b"", b""
        )
        client = self.client
        options = {
            53: bytes([kind]),
            55: _WANTED + (b"\xaf" if client.ipxe else b""),
            57: struct.pack("!H", 1464),
            60: client.vendor_class.encode(),
            93: struct.pack("!H", client.architecture),
            94: bytes([1, *client.interface]),
            97: b"\0" + self.identity,
        }
        if client.ipxe:
            options |= {77: b"iPXE", 175: _IPXE_FEATURES}
        body = b"".join(bytes([number, len(value)]) + value for number, value in options.items())
        return (header + _COOKIE + body + b"\xff").ljust(_SHORTEST, b"\0")

    def read(
        self,
        message: bytes,
        *,
        source: IPv4Address,
        source_mac: str | None = None,
        kind: Kind = Kind.OFFER,
    ) -> Offer | None:
        """Return the answer to this question; None for anything else, rubbish included."""
        if len(message) < _OPTIONS or message[_HEADER.size : _OPTIONS] != _COOKIE:
            return None
        op, _, _, _, xid, _, _, _, yours, server, _, mac, sname, file = _HEADER.unpack_from(message)
        if (op, xid, mac[:6]) != (2, self.xid, self.mac):
            return None
        options = _read_options(message[_OPTIONS:])
        # Option 52: the fixed fields carry options instead of names.
        overload = (options.get(52) or b"\0")[0]
        if overload & 1:
            options, file = _joined(options, _read_options(file)), b""
        if overload & 2:
            options, sname = _joined(options, _read_options(sname)), b""
        if options.get(53) != bytes([kind]):
            return None
        return Offer(
            source=source,
            source_mac=source_mac,
            server=_address(options.get(54)),
            address=_address(yours),
            next_server=_address(server),
            server_name=_text(sname) or _text(options.get(66)),
            file=_text(file) or _text(options.get(67)),
            vendor_class=_text(options.get(60)),
            vendor_options=options.get(43),
            options=tuple(sorted(options)),
        )


def _read_options(area: bytes) -> dict[int, bytes]:
    """Return the options up to the end mark, or up to where the area is cut."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(area) and area[at] != 255:
        if area[at] == 0:
            at += 1
            continue
        if at + 1 >= len(area) or at + 2 + area[at + 1] > len(area):
            break
        value = area[at + 2 : at + 2 + area[at + 1]]
        # RFC 3396: a long value comes in several options of one number.
        found[area[at]] = found.get(area[at], b"") + value
        at += 2 + area[at + 1]
    return found


def _joined(first: Mapping[int, bytes], more: Mapping[int, bytes]) -> dict[int, bytes]:
    return {number: first.get(number, b"") + more.get(number, b"") for number in {*first, *more}}


def _address(value: bytes | None) -> IPv4Address | None:
    if value is None or len(value) != 4 or value == bytes(4):
        return None
    return IPv4Address(value)


def _text(value: bytes | None) -> str | None:
    """Return what stands before the first zero, with '?' for what a terminal or a page should not see."""
    text = (value or b"").split(b"\0", 1)[0]
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in text) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """A UDP datagram as it was seen on the wire."""

    source_mac: str
    source: IPv4Address
    source_port: int
    port: int
    payload: bytes


def write_datagram(payload: bytes, *, checksum: bool = True) -> bytes:
    """Return the IPv4 packet of a client that has no address yet."""
    udp = struct.pack("!HHHH", CLIENT_PORT, SERVER_PORT, 8 + len(payload), 0) + payload
    nobody, everybody = bytes(4), b"\xff" * 4
    if checksum:
        pseudo = nobody + everybody + struct.pack("!BBH", 0, 17, len(udp))
        udp = udp[:6] + struct.pack("!H", _checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + nobody + everybody
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + udp


def write_frame(packet: bytes, *, source: bytes) -> bytes:
    """Return the Ethernet frame that takes `packet` to everybody."""
    return b"\xff" * 6 + source + b"\x08\x00" + packet


def read_frame(frame: bytes) -> Datagram | None:
    """Return the whole UDP datagram in an Ethernet frame; None for anything else.

    Checksums are not looked at: between namespaces and machines on one host they are never filled in.
    """
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4 or frame[23] != 17:
        return None
    length = (frame[14] & 15) * 4
    total, fragment = struct.unpack_from("!H2xH", frame, 16)
    start = 14 + length
    if length < 20 or fragment & 0x3FFF or len(frame) < max(14 + total, start + 8):
        return None
    source_port, port, size = struct.unpack_from("!HHH", frame, start)
    if size < 8 or start + size > 14 + total:
        return None
    return Datagram(
        source_mac=frame[6:12].hex(":"),
        source=IPv4Address(frame[26:30]),
        source_port=source_port,
        port=port,
        payload=frame[start + 8 : start + size],
    )


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
