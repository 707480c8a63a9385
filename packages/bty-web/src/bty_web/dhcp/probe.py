"""Asking a network who answers network boots, as firmware would ask. Takes no lease and changes nothing."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address

from bty_core.errors import BtyError, InvalidValue, NeedsRoot
from bty_web.dhcp.clients import CLIENTS, Client
from bty_web.dhcp.matrix import Answer, Result
from bty_web.dhcp.packets import (
    CLIENT_PORT,
    PXE_PORT,
    SERVER_PORT,
    Kind,
    Offer,
    Question,
    read_frame,
    write_datagram,
    write_frame,
)

# dnsmasq looks for three seconds whether an address is in use before it offers it, and answers nobody meanwhile.
TIMEOUT = 6.0

_EVERYTHING = 0x0003  # ETH_P_ALL: with packets that leave, or a server on this host would be missed
_ETHERNET = 1
_SO_BINDTODEVICE = 25
_SO_ATTACH_FILTER = 26

# For the kernel: only UDP from port 67 to port 68. A server that sends images all the while would drown the answers.
# Each step is an instruction of classic BPF: its code, where to go on yes and on no, and its number.
_FILTER = (
    (0x28, 0, 0, 12),  # the Ethernet type
    (0x15, 0, 8, 0x0800),  # IPv4, or the end
    (0x30, 0, 0, 23),  # the protocol
    (0x15, 0, 6, 17),  # UDP, or the end
    (0xB1, 0, 0, 14),  # the length of the IP header
    (0x48, 0, 0, 14),  # the source port
    (0x15, 0, 3, SERVER_PORT),
    (0x48, 0, 0, 16),  # the port
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),  # take it
    (0x06, 0, 0, 0),  # the end
)
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_MOST_ANSWERS = 16  # for one client: a network can be hostile
_PROXY_PATIENCE = 1.5


class ProbeFailed(BtyError):
    """The network could not be asked."""

    code = "probe-failed"


def _questions(clients: Sequence[Client]) -> list[Question]:
    """Return one question of each client. All name one MAC address, so that a server sets one address aside."""
    first, *rest = secrets.token_bytes(6)
    # A locally administered address of one station: no maker has given it to anybody.
    mac = bytes([(first & 0xFC) | 0x02, *rest])
    identity = secrets.token_bytes(16)
    return [
        Question(client=client, mac=mac, xid=secrets.randbits(32), identity=identity)
        for client in clients
    ]


def probe(
    interface: str, timeout: float = TIMEOUT, clients: Sequence[Client] = CLIENTS
) -> list[Result]:
    """Return what each kind of client is answered on `interface` within `timeout` seconds.

    Raises `NeedsRoot` without the right to send raw packets, `InvalidValue` for an interface that cannot be asked
    on, and `ProbeFailed` where the kernel refuses.
    """
    questions = _questions(clients)
    offers: dict[int, list[Offer]] = {question.xid: [] for question in questions}
    with _explained(interface), closing(_listen(interface)) as wire:
        for question in questions:
            _send(wire, interface, question.discover())
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            if select.select([wire], [], [], left)[0]:
                _note(wire.recv(65536), questions, offers)
        return [
            Result(
                client=question.client,
                answers=tuple(
                    _answer(question, offer, interface) for offer in offers[question.xid]
                ),
            )
            for question in questions
        ]


def _listen(interface: str) -> socket.socket:
    # Without a protocol it hears nothing until it is bound, and then only what the filter lets pass.
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        program = ctypes.create_string_buffer(
            b"".join(struct.pack("HBBI", *step) for step in _FILTER)
        )
        filtering = struct.pack("HL", len(_FILTER), ctypes.addressof(program))
        wire.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtering)
        wire.bind((interface, _EVERYTHING))
        if wire.getsockname()[3] != _ETHERNET:
            raise InvalidValue(
                f"{interface} is not an Ethernet interface",
                hint="give the interface of the boot network",
            )
        # Some servers answer to the made-up address, whatever the broadcast flag says.
        index = socket.if_nametoindex(interface)
        membership = struct.pack("IHH8s", index, _PROMISCUOUS, 0, b"")
        with suppress(OSError):
            wire.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
    except BaseException:
        wire.close()
        raise
    return wire


def _send(wire: socket.socket, interface: str, message: bytes) -> None:
    # The frame carries the interface's own address, which switches and hypervisors let pass.
    wire.send(write_frame(write_datagram(message), source=wire.getsockname()[4]))
    # A raw frame never reaches a server on this host; what the host's own IP broadcasts does. An interface that
    # has no address cannot send it, and then serves nobody either.
    with (
        suppress(OSError),
        closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)) as local,
    ):
        local.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        local.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
        # The kernel fills in the source address, so the checksum cannot be known here.
        local.sendto(write_datagram(message, checksum=False), ("255.255.255.255", 0))


def _note(frame: bytes, questions: Sequence[Question], offers: dict[int, list[Offer]]) -> None:
    datagram = read_frame(frame)
    if datagram is None or (datagram.source_port, datagram.port) != (SERVER_PORT, CLIENT_PORT):
        return
    for question in questions:
        offer = question.read(
            datagram.payload, source=datagram.source, source_mac=datagram.source_mac
        )
        if offer is None:
            continue
        found = offers[question.xid]
        # Each server was asked twice, and an answer may be seen on its way out and again.
        known = {(one.source, one.who, one.file) for one in found}
        if (offer.source, offer.who, offer.file) not in known and len(found) < _MOST_ANSWERS:
            found.append(offer)


def _answer(question: Question, offer: Offer, interface: str) -> Answer:
    # BIOS firmware shows the menu of option 43 instead.
    if not offer.bare or question.client.architecture == 0:
        return Answer(offer=offer)
    again = replace(question, xid=secrets.randbits(32))
    return Answer(offer=offer, asked=True, told=_ask(again, offer.who, interface))


def _ask(question: Question, server: IPv4Address, interface: str) -> Offer | None:
    """Return what a proxy says on port 4011; None where it is silent or this host has no address to ask from."""
    with (
        suppress(OSError),
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line,
    ):
        line.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # the host's own DHCP client may have it
            line.bind(("", CLIENT_PORT))
        line.connect((str(server), PXE_PORT))
        line.send(question.ask_proxy(IPv4Address(line.getsockname()[0])))
        end = time.monotonic() + _PROXY_PATIENCE
        while (left := end - time.monotonic()) > 0:
            line.settimeout(left)
            told = question.read(line.recv(65536), source=server, kind=Kind.ACK)
            if told is not None:
                return told
    return None


@contextmanager
def _explained(interface: str) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise NeedsRoot(
            f"asking on {interface} sends raw packets, which this user may not",
            hint=f"run: sudo bty-web probe {interface}",
        ) from None
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise InvalidValue(
                f"there is no network interface '{interface}'",
                hint="ip -brief link lists what there is",
            ) from None
        if error.errno in (errno.ENETDOWN, errno.ENXIO):
            raise InvalidValue(
                f"{interface} is switched off", hint=f"run: sudo ip link set {interface} up"
            ) from None
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ProbeFailed(
            f"{interface} could not be asked on: {why}",
            hint="check the interface: ip -brief address",
        ) from None
