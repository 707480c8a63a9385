"""The network of a lab: a bridge with a router, a server and machines, in namespaces of its own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from pathlib import Path
from typing import TypeVar

from tests.system.lab.firmware import IPXE, PROGRAMS
from tests.web.netns import Network, ip

T = TypeVar("T")
SUBNET = IPv4Network("10.77.0.0/24")
ROUTER = IPv4Address("10.77.0.1")
SERVER = IPv4Address("10.77.0.2")
_CLONE_NEWNET = 0x40000000
_PORT = "to-server"

_ROUTER = """\
port=0
interface=eth0
bind-interfaces
except-interface=lo
log-dhcp
dhcp-authoritative
dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,10m
dhcp-option=option:router,{router}
dhcp-leasefile={leases}
# Each new address would be looked for with a ping first, for 3 s.
no-ping
pid-file=
user=root
# Without router advertisements iPXE waits for one, for 12 s.
enable-ra
dhcp-range=fd77::,ra-only,64,10m
"""


class Lan(Network):
    """A bridge with a router that gives out addresses; a context manager that leaves nothing behind.

    Names are made up anew, so that several labs may stand on one computer.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self.folder = folder
        self._taps = count()
        self.router_log: Path | None = None
        self.server = ""

    def build(self) -> None:
        """Add router and server; the router is at work on return."""
        router = self.host("router", f"{ROUTER}/24")
        ip("-n", router, "address", "add", "fd77::1/64", "dev", "eth0", "nodad")
        self.server = self.host("server", f"{SERVER}/24")
        file = self.folder / "router.conf"
        file.write_text(_ROUTER.format(router=ROUTER, leases=self.folder / "router.leases"))
        words = ["dnsmasq", "--no-daemon", "--log-facility=-", f"--conf-file={file}"]
        self.router_log = self.start(router, *words, until="started")

    def tap(self) -> str:
        """Add a socket for a machine's cable, and return its name in the namespace of the bridge."""
        name = f"tap{next(self._taps)}"
        ip("-n", self.bridge, "tuntap", "add", name, "mode", "tap")
        ip("-n", self.bridge, "link", "set", name, "master", "br0", "up")
        return name

    @property
    def bridge(self) -> str:
        """The namespace with the bridge."""
        return f"{self.prefix}-lan"

    @property
    def served(self) -> int:
        """How many bytes the server has sent into the network."""
        counted = f"/sys/class/net/{_PORT}/statistics/rx_bytes"
        return int(self.run(self.bridge, "cat", counted).stdout)

    def cut(self) -> None:
        """Pull the server's cable."""
        ip("-n", self.bridge, "link", "set", _PORT, "down")

    def mend(self) -> None:
        """Put the server's cable back."""
        ip("-n", self.bridge, "link", "set", _PORT, "up")


def within(namespace: str, work: Callable[[], T]) -> T:
    """Run `work` in a thread whose sockets are opened in `namespace`, and return what it returns."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(handle, _CLONE_NEWNET):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), namespace)
        finally:
            os.close(handle)

    with ThreadPoolExecutor(1, initializer=enter) as pool:
        return pool.submit(work).result()


def copy_ipxe(folder: Path) -> None:
    """Put the programs that firmware fetches where a server hands them out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        (folder / name).write_bytes((IPXE / name).read_bytes())
        (folder / name).chmod(0o644)
    folder.chmod(0o755)
