"""What a proxy-DHCP configuration is made of: values only, so that what runs as root need trust no text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

from bty_core.wire.fields import Fields, InvalidField

SCHEMA_VERSION = "1"

# Each pattern is what dnsmasq's configuration can carry without quoting: no comma, quote, backslash, blank or newline.
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")  # the kernel's limit is 15 bytes
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_URL_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_FOLDER = re.compile(r"(?:/[A-Za-z0-9._+@-]+)+")

# DHCP has 128 bytes for the boot file, its closing zero included, and the longest path that is added is this one.
_LONGEST_URL = 127 - len("/pxe-bootstrap.ipxe")

# TFTP hands out every file below its root that everybody may read.
_SYSTEM_FOLDERS = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "usr",
    ]
)
_NEVER_SERVED = frozenset({"/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var", "/var/lib"})


class UefiProgram(StrEnum):
    """Which iPXE a UEFI machine gets."""

    SNPONLY = "snponly.efi"  # uses the firmware's own network driver
    IPXE = "ipxe.efi"  # brings its drivers, for firmware whose own one is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyDhcp:
    """The values of one proxy-DHCP configuration. Made by `parse` or `from_wire`, which check them."""

    interface: str
    subnet: IPv4Network
    server: IPv4Address  # this server, on that interface
    url: str  # http://HOST:PORT, without a slash at its end
    tftp_root: PurePosixPath
    uefi_program: UefiProgram = UefiProgram.SNPONLY

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Read the fields of a form or a file by their names; raise `InvalidField`, which names the wrong one."""
        given = Fields(values)
        network = _subnet(given.text("subnet").strip())
        return cls(
            interface=interface_name(given.text("interface").strip()),
            subnet=network,
            server=_server(given.text("server").strip(), network),
            url=_url(given.text("url", most=1000).strip()),
            tftp_root=_tftp_root(given.text("tftp_root", most=4096).strip()),
            uefi_program=given.optional(
                lambda name: given.choice(name, UefiProgram), "uefi_program", UefiProgram.SNPONLY
            ),
        )

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read what `wire` wrote; raise `InvalidField` for anything that is missing or wrong."""
        if Fields(message).text("schema_version") != SCHEMA_VERSION or not isinstance(
            message, Mapping
        ):
            raise InvalidField(
                "schema_version", f"'schema_version' must be '{SCHEMA_VERSION}'", hint="save again"
            )
        return cls.parse(message)

    def wire(self) -> dict[str, Any]:
        """Return the values as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "interface": self.interface,
            "subnet": str(self.subnet),
            "server": str(self.server),
            "url": self.url,
            "tftp_root": str(self.tftp_root),
            "uefi_program": self.uefi_program.value,
        }

    @property
    def bootstrap_url(self) -> str:
        """Where iPXE gets its first script."""
        return f"{self.url}/pxe-bootstrap.ipxe"

    @property
    def http_boot_url(self) -> str:
        """Where firmware that boots over HTTP gets iPXE."""
        return f"{self.url}/boot/{self.uefi_program.value}"


def interface_name(text: str) -> str:
    """Return `text` where it can be the name of a network interface; raise `InvalidField`."""
    if not _INTERFACE.fullmatch(text):
        raise InvalidField(
            "interface",
            f"{_shown(text)} is not the name of a network interface",
            hint="give a name such as eth0 or enp1s0, at most 15 letters, digits, '.', '_' and '-'",
        )
    if text == "lo":
        raise InvalidField(
            "interface", "'lo' reaches no machine", hint="give the interface of the boot network"
        )
    return text


def _subnet(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise InvalidField(
            "subnet",
            f"{_shown(text)} is not an IPv4 subnet: {_reason(error)}",
            hint="write it as 192.168.1.0/24",
        ) from None
    if not 8 <= network.prefixlen <= 30 or "/" not in text:
        raise InvalidField(
            "subnet",
            f"{_shown(text)} must have a length from /8 to /30",
            hint="write it as 192.168.1.0/24",
        )
    if network.is_loopback or network.is_multicast or network.network_address.is_reserved:
        raise InvalidField("subnet", f"{text} is not a subnet that machines can be in")
    return network


def _server(text: str, subnet: IPv4Network) -> IPv4Address:
    try:
        address = IPv4Address(text)
    except ValueError:
        raise InvalidField(
            "server", f"{_shown(text)} is not an IPv4 address", hint="write it as 192.168.1.2"
        ) from None
    if address not in subnet:
        raise InvalidField(
            "server",
            f"{address} is not in the subnet {subnet}",
            hint="give this server's own address in the boot network",
        )
    if address in (subnet.network_address, subnet.broadcast_address):
        raise InvalidField("server", f"{address} is the address of no machine in {subnet}")
    return address


def _url(text: str) -> str:
    try:
        found = urlsplit(text)
        host, port = found.hostname or "", found.port
    except ValueError:
        raise _bad_url(text, "it is not an address") from None
    if found.scheme != "http":
        raise _bad_url(text, "the boot path is plain http, which every firmware can read")
    path = found.path.rstrip("/")
    written = f"http://{host}{'' if port is None else f':{port}'}{path}"
    if not _HOST.fullmatch(host) or port == 0 or not _URL_PATH.fullmatch(path):
        raise _bad_url(text, "host, port and path must be plain")
    if written.lower() != text.rstrip("/").lower():
        raise _bad_url(text, "it must have no user, query or fragment")
    if len(written) > _LONGEST_URL:
        raise _bad_url(text, f"DHCP has no room for more than {_LONGEST_URL} characters")
    return written


def _bad_url(text: str, why: str) -> InvalidField:
    return InvalidField(
        "url",
        f"{_shown(text)} cannot be the URL that machines boot from: {why}",
        hint="write it as http://192.168.1.2:8080",
    )


def _tftp_root(text: str) -> PurePosixPath:
    folder = PurePosixPath(text)
    if not _FOLDER.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise InvalidField(
            "tftp_root",
            f"{_shown(text)} cannot be the TFTP folder: it must be an absolute path of letters,"
            " digits and . _ + @ -",
            hint="give a folder such as /var/lib/bty/tftp",
        )
    if folder.parts[1] in _SYSTEM_FOLDERS or text in _NEVER_SERVED:
        raise InvalidField(
            "tftp_root",
            f"{folder} cannot be the TFTP folder: everybody on the network could read its files",
            hint="give a folder of its own, such as /var/lib/bty/tftp",
        )
    return folder


def _reason(error: ValueError) -> str:
    if "host bits" in str(error):
        return "its last part names a machine, not the network"
    return "four numbers and a length are expected"


def _shown(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in text[:60])
    return f"'{plain}'"
