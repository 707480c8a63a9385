"""A real dnsmasq beside an ordinary DHCP server, in namespaces: who answers whom, and what TFTP hands out."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bty_web.dhcp import dnsmasq, programs
from bty_web.dhcp.values import ProxyDhcp
from tests.web.netns import Network

pytestmark = [pytest.mark.root, pytest.mark.netns, pytest.mark.dnsmasq]

ASK = """
import json, sys
from bty_core.errors import BtyError
from bty_web.dhcp.clients import ARM64, CLIENTS
from bty_web.dhcp.matrix import Matrix
from bty_web.dhcp.probe import probe
clients = (*CLIENTS, ARM64) if "arm" in sys.argv else CLIENTS
try:
    matrix = Matrix(interface=sys.argv[1], results=probe(sys.argv[1], float(sys.argv[2]), clients))
except BtyError as error:
    print(json.dumps([error.code, error.message, error.hint]))
else:
    print(json.dumps({"wire": matrix.wire(), "text": matrix.text()}))
"""

SCRIPT = "http://10.77.0.2:8080/pxe-bootstrap.ipxe"


@dataclass
class Lan:
    """A network with a client, and servers as a test wants them."""

    network: Network
    folder: Path  # may be read by dnsmasq's own user
    client: str
    server: str = ""

    def values(self, **other: object) -> ProxyDhcp:
        given = {
            "interface": "eth0",
            "subnet": "10.77.0.0/24",
            "server": "10.77.0.2",
            "url": "http://10.77.0.2:8080",
            "tftp_root": str(self.folder / "tftp"),
        }
        return ProxyDhcp.parse({**given, **other})

    def bty(self, **other: object) -> Path:
        """Start dnsmasq with the configuration that bty writes, as bty says it is to be started."""
        (self.folder / "tftp").mkdir()
        values = self.values(**other)
        dnsmasq.write(self.folder / "dnsmasq", values)
        words = dnsmasq.command(self.folder / "dnsmasq").split()
        assert words.pop(0) == "sudo"
        self.server = self.network.host("srv", "10.77.0.2/24")
        return self.network.start(
            self.server, *words, "--log-facility=-", until="proxy on subnet 10.77.0.0"
        )

    def router(self, *lines: str, name: str = "rtr", address: str = "10.77.0.1") -> Path:
        """Start an ordinary DHCP server."""
        start = "10.77.0.100" if name == "rtr" else "10.77.0.200"
        configuration = self.folder / f"{name}.conf"
        usual = [
            "port=0\nuser=root\npid-file=\nleasefile-ro\ninterface=eth0\nbind-interfaces\nno-ping",
            f"except-interface=lo\ndhcp-range={start},{start[:-1]}9,255.255.255.0,10m",
        ]
        configuration.write_text("\n".join([*usual, *lines]) + "\n")
        words = ["dnsmasq", "--keep-in-foreground", "--log-facility=-"]
        return self.network.start(
            self.network.host(name, f"{address}/24"),
            *words,
            f"--conf-file={configuration}",
            until="DHCP, IP range",
        )

    def ask(self, *words: str, timeout: float = 1.5, namespace: str | None = None) -> Any:
        """Ask from the client's namespace."""
        argv = [sys.executable, "-c", ASK, "eth0", str(timeout), *words]
        done = self.network.run(namespace or self.client, *argv)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    folder = Path(tempfile.mkdtemp(prefix="bty-dhcp-"))
    folder.chmod(0o755)
    try:
        with Network(tmp_path) as network:
            yield Lan(network, folder, network.host("cli"))
    finally:
        shutil.rmtree(folder)


def files(told: Any) -> dict[str, list[tuple[str, str, str | None]]]:
    """Return for each client who gave what: an address or "proxy", and the boot file."""
    return {
        client["client"]: sorted(
            (
                answer["server"],
                "proxy" if answer["proxy"] else "address",
                answer["file"],
            )
            for answer in client["answers"]
        )
        for client in told["wire"]["clients"]
    }


def test_beside_an_ordinary_server_every_client_gets_its_file(lan: Lan) -> None:
    router, log = lan.router(), lan.bty()
    told = lan.ask("arm")
    address = ("10.77.0.1", "address", None)
    assert files(told) == {
        "bios": [address, ("10.77.0.2", "proxy", "undionly.kpxe")],
        "uefi-7": [address, ("10.77.0.2", "proxy", "snponly.efi")],
        "uefi-9": [address, ("10.77.0.2", "proxy", "snponly.efi")],
        "http-16": [address, ("10.77.0.2", "proxy", "http://10.77.0.2:8080/boot/snponly.efi")],
        "ipxe-bios": [address, ("10.77.0.2", "proxy", SCRIPT)],
        "ipxe-uefi": [address, ("10.77.0.2", "proxy", SCRIPT)],
        "arm64": [address, ("10.77.0.2", "proxy", "ipxe-arm64.efi")],
    }
    for client in told["wire"]["clients"]:
        (proxy,) = [answer for answer in client["answers"] if answer["proxy"]]
        assert proxy["asked_on_4011"] is False
        assert proxy["vendor_class"] == (
            "HTTPClient" if client["client"] == "http-16" else "PXEClient"
        )
        if client["client"] != "http-16":
            assert proxy["next_server"] == "10.77.0.2"
    assert told["wire"]["verdicts"] == [
        "BIOS clients get undionly.kpxe from 10.77.0.2",
        "UEFI 7 and UEFI 9 clients get snponly.efi from 10.77.0.2",
        "HTTP boot clients get http://10.77.0.2:8080/boot/snponly.efi from 10.77.0.2",
        f"iPXE BIOS and iPXE UEFI clients get {SCRIPT} from 10.77.0.2",
        "ARM clients get ipxe-arm64.efi from 10.77.0.2",
        "addresses come from 10.77.0.1",
    ]
    # Nobody took an address, and log-dhcp tells what happened.
    assert "DHCPREQUEST" not in router.read_text()
    assert "PXE(eth0)" in log.read_text()


def test_the_other_uefi_program_is_offered_where_it_is_chosen(lan: Lan) -> None:
    lan.bty(uefi_program="ipxe.efi")
    told = lan.ask()
    assert files(told)["uefi-7"] == [("10.77.0.2", "proxy", "ipxe.efi")]
    assert files(told)["http-16"] == [("10.77.0.2", "proxy", "http://10.77.0.2:8080/boot/ipxe.efi")]
    assert told["wire"]["verdicts"][-1] == (
        "no DHCP server gives addresses here: without one nothing boots"
    )


def test_a_server_on_the_host_that_asks_is_heard_too(lan: Lan) -> None:
    lan.router()
    lan.bty()
    assert files(lan.ask(namespace=lan.server))["bios"] == [
        ("10.77.0.1", "address", None),
        ("10.77.0.2", "proxy", "undionly.kpxe"),
    ]


def test_two_servers_that_offer_a_boot_file_are_told_apart(lan: Lan) -> None:
    lan.bty()
    lan.router("dhcp-boot=pxelinux.0")
    told = lan.ask()
    assert (
        "two servers offer BIOS clients a boot file: pxelinux.0 from 10.77.0.1 and "
        in (told["wire"]["verdicts"][0])
    )
    assert told["wire"]["verdicts"][-2:] == [
        "BIOS and UEFI are offered the same 'pxelinux.0': one cannot run it",
        "iPXE is offered 'pxelinux.0' again, and would load it for ever",
    ]


def test_two_servers_that_give_addresses_are_named(lan: Lan) -> None:
    lan.router()
    lan.router(name="other", address="10.77.0.3")
    verdicts = lan.ask()["wire"]["verdicts"]
    assert verdicts[-1] == "two DHCP servers give addresses here: 10.77.0.1 and 10.77.0.3"


def test_a_proxy_that_keeps_its_file_for_port_4011_is_asked_there(lan: Lan) -> None:
    proxy = lan.network.host("pxe", "10.77.0.4/24")
    configuration = lan.folder / "proxy.conf"
    configuration.write_text(
        "port=0\nuser=root\npid-file=\nleasefile-ro\ninterface=eth0\nbind-interfaces\nlog-dhcp\n"
        'dhcp-range=10.77.0.0,proxy,255.255.255.0\npxe-service=7,"other",other.efi\n'
    )
    words = ["dnsmasq", "--keep-in-foreground", "--log-facility=-"]
    lan.network.start(proxy, *words, f"--conf-file={configuration}", until="DHCP, proxy")
    silent = lan.ask()["wire"]["clients"][1]
    assert [(one["asked_on_4011"], one["file"]) for one in silent["answers"]] == [(True, None)]
    asker = lan.network.host("ask", "10.77.0.9/24")
    told = lan.ask(namespace=asker)
    heard = told["wire"]["clients"][1]
    assert [(one["asked_on_4011"], one["file"]) for one in heard["answers"]] == [
        (True, "other.efi")
    ]
    assert "UEFI 7 and iPXE UEFI clients get other.efi from 10.77.0.4" in told["wire"]["verdicts"]
    assert "(asked on port 4011)" in told["text"]


def test_silence_is_said_in_a_sentence(lan: Lan) -> None:
    told = lan.ask(timeout=0.3)
    assert told["wire"]["verdicts"] == [
        "nobody answered BIOS, UEFI 7, UEFI 9, HTTP boot, iPXE BIOS and iPXE UEFI",
        "no DHCP server gives addresses here: without one nothing boots",
    ]


def test_an_interface_that_is_off_or_missing_is_a_sentence(lan: Lan) -> None:
    lan.network.run(lan.client, "ip", "link", "set", "eth0", "down")
    assert lan.ask() == [
        "invalid-value",
        "eth0 is switched off",
        "run: sudo ip link set eth0 up",
    ]
    lan.network.run(lan.client, "ip", "link", "delete", "eth0")
    assert lan.ask() == [
        "invalid-value",
        "there is no network interface 'eth0'",
        "ip -brief link lists what there is",
    ]


def test_without_the_right_to_raw_packets_it_says_what_to_run(lan: Lan) -> None:
    drop = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    argv = [*drop, sys.executable, "-c", ASK, "eth0", "0.3"]
    done = lan.network.run(lan.client, *argv)
    assert json.loads(done.stdout) == [
        "needs-root",
        "asking on eth0 sends raw packets, which this user may not",
        "run: sudo bty-web probe eth0",
    ]


@pytest.mark.parametrize("asked", ["undionly.kpxe", "UNDIONLY.KPXE", "/undionly.kpxe"])
def test_tftp_delivers_the_program_whatever_its_case(lan: Lan, tmp_path: Path, asked: str) -> None:
    lan.bty()
    program = b"\xeaUNDI" + bytes(range(256)) * 300
    programs.place(lan.folder / "tftp", "undionly.kpxe", io.BytesIO(program))
    lan.network.run(lan.client, "ip", "address", "add", "10.77.0.9/24", "dev", "eth0")
    got = tmp_path / "got"
    url = f"tftp://10.77.0.2/{asked}"
    done = lan.network.run(lan.client, "curl", "-sS", "--max-time", "10", "-o", str(got), url)
    assert done.returncode == 0, done.stderr
    assert got.read_bytes() == program
