"""The configuration of dnsmasq: whole, tested by dnsmasq itself, and written at once or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bty_core.errors import CommandFailed, InvalidValue, ProgramMissing, WriteFailed
from bty_web.dhcp import dnsmasq
from bty_web.dhcp.values import ProxyDhcp, UefiProgram

WHOLE = """\
# Made by bty from its settings: change them there, not here.
# For a dnsmasq of its own: it answers network boots and gives out no addresses.
port=0
log-dhcp
pid-file=
leasefile-ro
interface=eth0
except-interface=lo
bind-dynamic
dhcp-range=10.77.0.0,proxy,255.255.255.0

# Who asks: iPXE first, because it also says which architecture it runs on.
dhcp-userclass=set:ipxe,iPXE
dhcp-match=set:ipxe,175
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-match=set:arm,option:client-arch,11
dhcp-match=set:http,option:client-arch,16
dhcp-pxe-vendor=PXEClient,HTTPClient

# Without a pxe-service dnsmasq stays silent as a proxy; one that matches would leave the boot file out of the offer.
pxe-service=tag:never,0,"bty",none,10.77.0.2
dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,10.77.0.2
dhcp-boot=tag:!ipxe,tag:efi,snponly.efi,,10.77.0.2
dhcp-boot=tag:!ipxe,tag:arm,ipxe-arm64.efi,,10.77.0.2
dhcp-boot=tag:!ipxe,tag:http,"http://10.77.0.2:8080/boot/snponly.efi"
dhcp-boot=tag:ipxe,"http://10.77.0.2:8080/pxe-bootstrap.ipxe",,10.77.0.2

# Some BIOS ROMs ask for the file in capitals.
enable-tftp
tftp-root=/var/lib/bty/tftp
tftp-lowercase
"""


def test_the_whole_configuration(values: ProxyDhcp) -> None:
    assert dnsmasq.render(values) == WHOLE


@pytest.mark.dnsmasq
def test_dnsmasq_takes_it(values: ProxyDhcp) -> None:
    dnsmasq.check(dnsmasq.render(values))


@pytest.mark.dnsmasq
def test_what_dnsmasq_refuses_is_said_in_its_words() -> None:
    with pytest.raises(CommandFailed) as failure:
        dnsmasq.check("port=0\nno-such-word\n")
    assert failure.value.message == (
        "dnsmasq refuses the configuration: bad option at line 2 of stdin"
    )


def test_without_dnsmasq_the_package_is_named(
    values: ProxyDhcp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(ProgramMissing) as failure:
        dnsmasq.write(tmp_path / "dnsmasq", values)
    assert failure.value.hint == "install it: apt install dnsmasq-base"
    assert not (tmp_path / "dnsmasq").exists()


@pytest.mark.dnsmasq
def test_it_is_written_shown_changed_and_removed(values: ProxyDhcp, tmp_path: Path) -> None:
    folder = tmp_path / "dnsmasq"
    assert (dnsmasq.active(folder), dnsmasq.saved(folder)) == (None, None)
    assert dnsmasq.remove(folder) is False

    assert dnsmasq.write(folder, values) == WHOLE
    assert (dnsmasq.active(folder), dnsmasq.saved(folder)) == (WHOLE, values)
    assert json.loads((folder / "bty-pxe.json").read_text()) == values.wire()
    found = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert found == {"bty-pxe.conf": 0o644, "bty-pxe.json": 0o644}
    assert dnsmasq.difference(WHOLE, dnsmasq.render(values)) == []

    other = replace(values, uefi_program=UefiProgram.IPXE)
    changed = dnsmasq.difference(dnsmasq.active(folder), dnsmasq.render(other))
    assert [line for line in changed if line[0] in "+-"] == [
        "--- active",
        "+++ new",
        "-dhcp-boot=tag:!ipxe,tag:efi,snponly.efi,,10.77.0.2",
        "+dhcp-boot=tag:!ipxe,tag:efi,ipxe.efi,,10.77.0.2",
        '-dhcp-boot=tag:!ipxe,tag:http,"http://10.77.0.2:8080/boot/snponly.efi"',
        '+dhcp-boot=tag:!ipxe,tag:http,"http://10.77.0.2:8080/boot/ipxe.efi"',
    ]

    assert dnsmasq.remove(folder) is True
    assert list(folder.iterdir()) == []


def test_from_off_every_line_is_new(values: ProxyDhcp) -> None:
    new = dnsmasq.difference(None, WHOLE)
    assert new[3:] == [f"+{line}" for line in WHOLE.splitlines()]


@pytest.mark.dnsmasq
def test_a_configuration_that_dnsmasq_refuses_leaves_the_active_one(
    values: ProxyDhcp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dnsmasq.write(tmp_path, values)
    monkeypatch.setattr(dnsmasq, "render", lambda _: "nonsense\n")
    with pytest.raises(CommandFailed):
        dnsmasq.write(tmp_path, replace(values, uefi_program=UefiProgram.IPXE))
    assert (dnsmasq.active(tmp_path), dnsmasq.saved(tmp_path)) == (WHOLE, values)


@pytest.mark.dnsmasq
def test_a_folder_that_cannot_be_written_is_a_sentence(values: ProxyDhcp, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteFailed) as failure:
        dnsmasq.write(tmp_path / "file", values)
    assert failure.value.message == (f"{tmp_path}/file/bty-pxe.conf cannot be written: file exists")


def test_values_that_are_not_json_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bty-pxe.json").write_text("{")
    with pytest.raises(InvalidValue) as failure:
        dnsmasq.saved(tmp_path)
    assert failure.value.message == f"{tmp_path}/bty-pxe.json is not JSON"


def test_elsewhere_than_on_the_appliance_it_says_what_to_run() -> None:
    assert dnsmasq.command(Path("/srv/my bty")) == (
        "sudo dnsmasq --keep-in-foreground '--conf-file=/srv/my bty/bty-pxe.conf'"
    )


def test_the_lines_for_a_router(values: ProxyDhcp) -> None:
    shown = {one.title: list(one.lines) for one in dnsmasq.router_lines(values)}
    assert shown == {
        "A router with two fields (options 66 and 67)": [
            "next server, option 66: 10.77.0.2",
            "boot file, option 67: snponly.efi",
        ],
        "dnsmasq (OpenWrt, Pi-hole)": [
            "dhcp-match=set:ipxe,175",
            "dhcp-match=set:bios,option:client-arch,0",
            "dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,10.77.0.2",
            "dhcp-boot=tag:!ipxe,tag:!bios,snponly.efi,,10.77.0.2",
            "dhcp-boot=tag:ipxe,http://10.77.0.2:8080/pxe-bootstrap.ipxe",
        ],
        "ISC dhcpd": [
            "option architecture code 93 = unsigned integer 16;",
            "next-server 10.77.0.2;",
            'if exists user-class and option user-class = "iPXE"'
            ' { filename "http://10.77.0.2:8080/pxe-bootstrap.ipxe"; }',
            'elsif option architecture = 0 { filename "undionly.kpxe"; }',
            'else { filename "snponly.efi"; }',
        ],
    }


@pytest.mark.dnsmasq
def test_dnsmasq_takes_the_lines_for_a_router(values: ProxyDhcp) -> None:
    (lines,) = [one.lines for one in dnsmasq.router_lines(values) if "dnsmasq" in one.title]
    dnsmasq.check("\n".join(lines))
