"""The kinds of firmware that boot from a network, as their DHCP requests tell them apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One kind of client. `key` is for programs, `name` for people."""

    key: str
    name: str
    architecture: int  # option 93, RFC 4578
    ipxe: bool = False
    http: bool = False  # boots from a URL, not from TFTP

    @property
    def vendor_class(self) -> str:
        """What it says in option 60."""
        words = "HTTPClient" if self.http else "PXEClient"
        major, minor = self.interface
        return f"{words}:Arch:{self.architecture:05d}:UNDI:{major:03d}{minor:03d}"

    @property
    def interface(self) -> tuple[int, int]:
        """The version of its network interface: UNDI 2.1 for BIOS, 3.16 for UEFI."""
        return (2, 1) if self.architecture == 0 else (3, 16)


BIOS = Client(key="bios", name="BIOS", architecture=0)
UEFI_7 = Client(key="uefi-7", name="UEFI 7", architecture=7)
UEFI_9 = Client(key="uefi-9", name="UEFI 9", architecture=9)
ARM64 = Client(key="arm64", name="ARM", architecture=11)
HTTP_16 = Client(key="http-16", name="HTTP boot", architecture=16, http=True)
IPXE_BIOS = Client(key="ipxe-bios", name="iPXE BIOS", architecture=0, ipxe=True)
IPXE_UEFI = Client(key="ipxe-uefi", name="iPXE UEFI", architecture=7, ipxe=True)

# What is asked when somebody tests a network.
CLIENTS = (BIOS, UEFI_7, UEFI_9, HTTP_16, IPXE_BIOS, IPXE_UEFI)
