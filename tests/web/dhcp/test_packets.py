"""DHCP as bytes: what firmware asks, what servers answer, and rubbish, which is nothing."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bty_web.dhcp.clients import ARM64, BIOS, CLIENTS, HTTP_16, IPXE_UEFI, UEFI_7, Client
from bty_web.dhcp.packets import (
    Kind,
    Offer,
    Question,
    read_frame,
    write_datagram,
    write_frame,
)

MAC = bytes.fromhex("02aabbccddee")
SERVER = IPv4Address("10.77.0.2")


def question(client: Client = UEFI_7) -> Question:
    return Question(client=client, mac=MAC, xid=0x1234ABCD, identity=b"\x11" * 16)


def reply(
    options: bytes,
    *,
    address: str = "0.0.0.0",
    next_server: str = "0.0.0.0",
    sname: bytes = b"",
    file: bytes = b"",
    xid: int = 0x1234ABCD,
) -> bytes:
    """Return what a server sends."""
    head = struct.pack("!BBBBIHH", 2, 1, 6, 0, xid, 0, 0x8000) + bytes(4)
    head += IPv4Address(address).packed + IPv4Address(next_server).packed + bytes(4)
    return (
        head
        + MAC.ljust(16, b"\0")
        + sname.ljust(64, b"\0")
        + file.ljust(128, b"\0")
        + (b"\x63\x82\x53\x63" + options)
    )


def read(message: bytes, kind: Kind = Kind.OFFER) -> Offer | None:
    return question().read(message, source=SERVER, source_mac="52:54:00:00:00:01", kind=kind)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (BIOS, "3c20" + b"PXEClient:Arch:00000:UNDI:002001".hex() + "5d0200005e03010201"),
        (UEFI_7, "3c20" + b"PXEClient:Arch:00007:UNDI:003016".hex() + "5d0200075e03010310"),
        (HTTP_16, "3c21" + b"HTTPClient:Arch:00016:UNDI:003016".hex() + "5d0200105e03010310"),
        (ARM64, "3c20" + b"PXEClient:Arch:00011:UNDI:003016".hex() + "5d02000b5e03010310"),
    ],
)
def test_a_discover_whole(client: Client, said: str) -> None:
    wanted = "371301 03060c0f2b363c42436180818283848586 87".replace(" ", "")
    assert question(client).discover().hex() == (
        "010106001234abcd0004800000000000000000000000000000000000"
        + MAC.hex()
        + "00" * (10 + 64 + 128)
        + "63825363350101"
        + wanted
        + "390205b8"
        + said
        + "611100"
        + "11" * 16
        + "ff"
    ).ljust(600, "0")


def test_ipxe_says_that_it_is_ipxe() -> None:
    asked = question(IPXE_UEFI).discover()
    assert b"\x4d\x04iPXE" in asked
    assert b"\xaf\x06" in asked
    assert b"iPXE" not in question(UEFI_7).discover()


def test_only_the_question_on_4011_is_a_request_and_it_names_an_address() -> None:
    asked = question().ask_proxy(IPv4Address("10.77.0.9"))
    assert asked[10:16].hex() == "00000a4d0009"
    assert asked[240:243] == b"\x35\x01\x03"
    assert [question(client).discover()[240:243] for client in CLIENTS] == [b"\x35\x01\x01"] * 6


def test_an_offer_of_a_proxy() -> None:
    options = b"\x35\x01\x02\x36\x04\x0a\x4d\x00\x02\x3c\x09PXEClient\x2b\x03\x06\x01\x08\xff"
    offer = read(reply(options, next_server="10.77.0.2", file=b"snponly.efi"))
    assert offer == Offer(
        source=SERVER,
        source_mac="52:54:00:00:00:01",
        server=SERVER,
        address=None,
        next_server=SERVER,
        server_name=None,
        file="snponly.efi",
        vendor_class="PXEClient",
        vendor_options=b"\x06\x01\x08",
        options=(43, 53, 54, 60),
    )
    assert (offer.is_proxy, offer.bare) == (True, False)


def test_an_ordinary_offer_with_options_66_and_67() -> None:
    options = b"\x35\x01\x02\x42\x04tftp\x43\x05x.efi\xff"
    offer = read(reply(options, address="10.77.0.100"))
    assert offer is not None
    assert (offer.is_proxy, offer.server_name, offer.file) == (False, "tftp", "x.efi")
    assert offer.who == SERVER


def test_options_go_on_in_the_fixed_fields() -> None:
    offer = read(
        reply(b"\x35\x01\x02\x34\x01\x03\xff", file=b"\x43\x03a.e\xff", sname=b"\x43\x02fi\xff")
    )
    assert offer is not None
    assert (offer.file, offer.server_name) == ("a.efi", None)


def test_a_file_cannot_give_orders_to_a_terminal() -> None:
    offer = read(reply(b"\x35\x01\x02\xff", file=b"a\x1b[2Jb\n\xff"))
    assert offer is not None
    assert offer.file == "a?[2Jb??"


def test_a_proxy_without_a_file_is_bare() -> None:
    offer = read(reply(b"\x35\x01\x02\x3c\x09PXEClient\xff"))
    assert offer is not None
    assert offer.bare


@pytest.mark.parametrize(
    "message",
    [
        reply(b"\x35\x01\x02\xff", xid=1),
        reply(b"\x35\x01\x05\xff"),
        reply(b"\xff"),
        reply(b"\x35\x01\x02\xff").replace(MAC, bytes(6)),
        reply(b"\x35\x01\x02\xff").replace(b"\x63\x82\x53\x63", b"\0\0\0\0"),
        reply(b"")[:200],
        question().discover(),
    ],
    ids=["another xid", "an ACK", "no kind", "another MAC", "no cookie", "cut", "a request"],
)
def test_what_is_no_answer_is_nothing(message: bytes) -> None:
    assert read(message) is None


@settings(max_examples=200)
@given(
    options=st.binary(max_size=300),
    sname=st.binary(max_size=64),
    file=st.binary(max_size=128),
    cut=st.integers(min_value=0, max_value=600),
)
def test_rubbish_is_read_without_a_word(
    options: bytes, sname: bytes, file: bytes, cut: int
) -> None:
    offer = read(reply(b"\x35\x01\x02" + options, sname=sname, file=file)[:cut])
    if offer is not None:
        for text in (offer.file, offer.server_name, offer.vendor_class):
            assert text is None or (text.isascii() and text.isprintable())


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_frame_is_read_without_a_word(frame: bytes) -> None:
    read_frame(frame)
    read_frame(write_frame(b"\x45" + frame, source=MAC)[: len(frame)])


@given(st.binary(max_size=600), st.booleans())
def test_what_is_sent_is_what_arrives(payload: bytes, checksum: bool) -> None:
    frame = write_frame(write_datagram(payload, checksum=checksum), source=MAC)
    got = read_frame(frame.ljust(60, b"\0"))
    assert got is not None
    assert (got.source_mac, str(got.source)) == ("02:aa:bb:cc:dd:ee", "0.0.0.0")
    assert (got.source_port, got.port, got.payload) == (68, 67, payload)


def test_fragments_are_left_out() -> None:
    frame = bytearray(write_frame(write_datagram(b"x" * 40), source=MAC))
    frame[20] |= 0x20
    assert read_frame(bytes(frame)) is None
