"""The matrix: a table that fits a terminal, and sentences."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from bty_web.dhcp.clients import BIOS, CLIENTS, UEFI_7, Client
from bty_web.dhcp.matrix import Answer, Matrix, Result
from bty_web.dhcp.packets import Offer

ROUTER = Offer(
    source=IPv4Address("10.77.0.1"),
    source_mac="52:54:00:00:00:01",
    server=IPv4Address("10.77.0.1"),
    address=IPv4Address("10.77.0.142"),
    next_server=None,
    server_name=None,
    file=None,
    vendor_class=None,
    vendor_options=None,
    options=(53, 54),
)
PROXY = replace(
    ROUTER,
    source=IPv4Address("10.77.0.2"),
    server=IPv4Address("10.77.0.2"),
    address=None,
    vendor_class="PXEClient",
    vendor_options=b"\x06\x01\x08",
)


def answers(client: Client) -> tuple[Answer, ...]:
    """Return what a network with bty on it says."""
    file = "undionly.kpxe" if client is BIOS else "snponly.efi"
    if client.http:
        file = "http://10.77.0.2:8080/boot/snponly.efi"
    if client.ipxe:
        file = "http://10.77.0.2:8080/pxe-bootstrap.ipxe"
    return Answer(offer=ROUTER), Answer(offer=replace(PROXY, file=file))


def matrix(*results: tuple[Client, tuple[Answer, ...]]) -> Matrix:
    return Matrix(
        interface="eth0",
        results=[Result(client=client, answers=given) for client, given in results],
    )


WHOLE = """\
client     server           address          boot file
BIOS       10.77.0.1        10.77.0.142      -
           10.77.0.2        proxy            undionly.kpxe
UEFI 7     10.77.0.1        10.77.0.142      -
           10.77.0.2        proxy            snponly.efi
UEFI 9     10.77.0.1        10.77.0.142      -
           10.77.0.2        proxy            snponly.efi
HTTP boot  10.77.0.1        10.77.0.142      -
           10.77.0.2        proxy
             http://10.77.0.2:8080/boot/snponly.efi
iPXE BIOS  10.77.0.1        10.77.0.142      -
           10.77.0.2        proxy
             http://10.77.0.2:8080/pxe-bootstrap.ipxe
iPXE UEFI  10.77.0.1        10.77.0.142      -
           10.77.0.2        proxy
             http://10.77.0.2:8080/pxe-bootstrap.ipxe

- BIOS clients get undionly.kpxe from 10.77.0.2
- UEFI 7 and UEFI 9 clients get snponly.efi from 10.77.0.2
- HTTP boot clients get http://10.77.0.2:8080/boot/snponly.efi from 10.77.0.2
- iPXE BIOS and iPXE UEFI clients get http://10.77.0.2:8080/pxe-bootstrap.ipxe
  from 10.77.0.2
- addresses come from 10.77.0.1
"""


def test_the_whole_table() -> None:
    assert matrix(*[(client, answers(client)) for client in CLIENTS]).text() == WHOLE


def test_one_answer_for_programs() -> None:
    told = matrix((BIOS, answers(BIOS)[1:]))
    assert told.wire() == {
        "schema_version": "1",
        "interface": "eth0",
        "clients": [
            {
                "client": "bios",
                "name": "BIOS",
                "architecture": 0,
                "answers": [
                    {
                        "server": "10.77.0.2",
                        "source": "10.77.0.2",
                        "source_mac": "52:54:00:00:00:01",
                        "proxy": True,
                        "address": None,
                        "next_server": None,
                        "server_name": None,
                        "file": "undionly.kpxe",
                        "vendor_class": "PXEClient",
                        "vendor_options": "060108",
                        "options": [53, 54],
                        "asked_on_4011": False,
                    }
                ],
            }
        ],
        "verdicts": [
            "BIOS clients get undionly.kpxe from 10.77.0.2",
            "no DHCP server gives addresses here: without one nothing boots",
        ],
    }


def test_a_silent_network() -> None:
    assert matrix((BIOS, ()), (UEFI_7, answers(UEFI_7))).text() == (
        "client     server           address          boot file\n"
        "BIOS       -                -                nobody answered\n"
        "UEFI 7     10.77.0.1        10.77.0.142      -\n"
        "           10.77.0.2        proxy            snponly.efi\n"
        "\n"
        "- nobody answered BIOS\n"
        "- UEFI 7 clients get snponly.efi from 10.77.0.2\n"
        "- addresses come from 10.77.0.1\n"
    )


def test_an_ordinary_server_alone_offers_no_boot_file() -> None:
    assert matrix((BIOS, (Answer(offer=ROUTER),))).verdicts() == [
        "BIOS clients are offered no boot file; 10.77.0.1 answered",
        "addresses come from 10.77.0.1",
    ]


def test_no_line_is_wider_than_80_columns() -> None:
    long = Answer(offer=replace(PROXY, file="http://" + "a" * 120))
    text = matrix((BIOS, (long, long)), (UEFI_7, (long,))).text()
    assert max(map(len, text.splitlines())) == 80
