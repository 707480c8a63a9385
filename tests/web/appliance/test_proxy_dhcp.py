"""The helper of proxy-DHCP: values in, dnsmasq as they say, and nothing at all for anything else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bty_web.appliance.proxy_dhcp import Helper
from bty_web.dhcp import dnsmasq
from bty_web.dhcp.values import ProxyDhcp
from bty_web.services.appliance import Done
from bty_web.settings import Bind, Settings

pytestmark = pytest.mark.dnsmasq

# It notes what it is asked; a unit runs when it was started, unless there is a file that says it cannot.
SYSTEMCTL = """#!/bin/sh
echo "$1 $2" >>{folder}/asked
case $1 in
restart) [ -e {folder}/cannot ] || touch {folder}/active ;;
stop) rm -f {folder}/active ;;
is-active) if [ -e {folder}/active ]; then echo active; else echo failed; exit 3; fi ;;
esac
"""
RAN = ["restart bty-dnsmasq.service", "is-active bty-dnsmasq.service"]


@pytest.fixture
def helper(sqlite_settings: Settings, tmp_path: Path) -> Helper:
    for name in ("etc", "systemctl.d", "sys/class/net/eth0"):
        (tmp_path / name).mkdir(mode=0o755, parents=True)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(SYSTEMCTL.format(folder=tmp_path / "systemctl.d"))
    systemctl.chmod(0o755)
    tftp = tmp_path / "tftp"
    tftp.mkdir()
    return Helper(
        settings=replace(sqlite_settings, bind=Bind("0.0.0.0", 8080), tftp_root=tftp),
        folder=tmp_path / "etc",
        systemctl=(str(systemctl),),
        sysfs=tmp_path / "sys",
    )


@pytest.fixture
def values(helper: Helper) -> ProxyDhcp:
    return ProxyDhcp.parse(
        {
            "interface": "eth0",
            "subnet": "10.77.0.0/24",
            "server": "10.77.0.2",
            "url": "http://10.77.0.2:8080",
            "tftp_root": str(helper.settings.tftp_root),
        }
    )


def wish(helper: Helper, text: str) -> None:
    (helper.settings.dnsmasq_dir / dnsmasq.VALUES).write_text(text)


def asked(helper: Helper) -> list[str]:
    path = helper.folder.with_name("systemctl.d") / "asked"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for at, line in enumerate(lines) if lines[at - 1 : at] != [line]]


def test_values_become_a_configuration_of_roots(helper: Helper, values: ProxyDhcp) -> None:
    dnsmasq.write(helper.settings.dnsmasq_dir, values)
    # What bty-web wrote as text has no say.
    (helper.settings.dnsmasq_dir / "bty-pxe.conf").write_text("dhcp-script=/tmp/evil\n")
    text = (helper.settings.dnsmasq_dir / dnsmasq.VALUES).read_bytes()
    applied = helper.apply()
    assert (applied.done, applied.of) == (Done.ON, hashlib.sha256(text).hexdigest())
    assert applied.message == "dnsmasq answers network boots on eth0 for 10.77.0.0/24"
    assert helper.target.read_text() == dnsmasq.render(values)
    assert [path.name for path in helper.folder.iterdir()] == ["bty-pxe.conf"]
    assert asked(helper) == RAN


def test_the_same_values_again_leave_dnsmasq_alone(helper: Helper, values: ProxyDhcp) -> None:
    dnsmasq.write(helper.settings.dnsmasq_dir, values)
    helper.apply()
    before = asked(helper)
    assert helper.apply().done is Done.ON
    assert asked(helper) == before


def test_no_values_switch_it_off(helper: Helper, values: ProxyDhcp) -> None:
    dnsmasq.write(helper.settings.dnsmasq_dir, values)
    helper.apply()
    dnsmasq.remove(helper.settings.dnsmasq_dir)
    applied = helper.apply()
    assert (applied.done, applied.of) == (Done.OFF, "")
    assert not helper.target.exists()
    assert asked(helper)[-1] == "stop bty-dnsmasq.service"
    assert helper.apply().done is Done.OFF


def test_a_dnsmasq_that_does_not_run_is_no_success(helper: Helper, values: ProxyDhcp) -> None:
    (helper.folder.with_name("systemctl.d") / "cannot").touch()
    dnsmasq.write(helper.settings.dnsmasq_dir, values)
    applied = helper.apply()
    assert (applied.done, applied.message, applied.hint) == (
        Done.FAILED,
        "dnsmasq takes the configuration and does not run with it",
        "its own words, on the server: journalctl --unit bty-dnsmasq.service",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"interface": "eth0\ndhcp-script=/tmp/evil"},
            "'eth0?dhcp-script=/tmp/evil' is not the name of a network interface",
        ),
        ({"interface": "eth1"}, "this server has no network interface 'eth1'"),
        ({"interface": "../../etc"}, "'../../etc' is not the name of a network interface"),
        ({"subnet": "0.0.0.0/0"}, "'0.0.0.0/0' must have a length from /8 to /30"),
        ({"server": "10.78.0.2"}, "10.78.0.2 is not in the subnet 10.77.0.0/24"),
        (
            {"url": "http://10.77.0.9:8080"},
            "'http://10.77.0.9:8080' is not where this server answers: http://10.77.0.2:8080",
        ),
        ({"tftp_root": "/root"}, "/root cannot be the TFTP folder: everybody on the network"),
        ({"tftp_root": "/home/odus"}, "/home/odus is not this server's TFTP folder: "),
        ({"uefi_program": "evil.efi"}, "'uefi_program' must be one of snponly.efi, ipxe.efi"),
        ({"url": None}, "'url' is missing"),
        ({"schema_version": "9"}, "'schema_version' must be '1'"),
    ],
)
def test_a_hostile_value_is_refused_and_changes_nothing(
    helper: Helper, values: ProxyDhcp, change: dict[str, object], said: str
) -> None:
    wish(helper, json.dumps({**values.wire(), **change}))
    helper.target.write_text("old")
    applied = helper.apply()
    assert (applied.done, applied.message.startswith(said)) == (Done.REFUSED, True), applied
    assert helper.target.read_text() == "old"
    assert asked(helper) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 50_000, "x" * 70_000, '{"a": 1}', "null"])
def test_rubbish_is_refused(helper: Helper, text: str) -> None:
    wish(helper, text)
    assert helper.apply().done is Done.REFUSED
    assert not helper.target.exists()


def test_a_link_among_the_wishes_is_refused(
    helper: Helper, values: ProxyDhcp, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / dnsmasq.VALUES).write_text(json.dumps(values.wire()))
    helper.settings.dnsmasq_dir.rmdir()
    helper.settings.dnsmasq_dir.symlink_to(tmp_path / "elsewhere")
    assert helper.apply().done is Done.REFUSED
    assert not helper.target.exists()


def test_a_folder_that_others_may_write_to_is_refused(helper: Helper, values: ProxyDhcp) -> None:
    wish(helper, json.dumps(values.wire()))
    helper.folder.chmod(0o777)
    applied = helper.apply()
    assert applied.done is Done.REFUSED
    assert applied.message == (
        f"{helper.folder} belongs to somebody else, or others may write to it"
    )


def test_values_that_change_meanwhile_are_noticed(helper: Helper, values: ProxyDhcp) -> None:
    wish(helper, json.dumps(values.wire()))
    applied = helper.apply()
    assert helper.is_current(applied)
    wish(helper, json.dumps({**values.wire(), "uefi_program": "ipxe.efi"}))
    assert not helper.is_current(applied)


def test_wishes_outside_the_state_folder_are_refused(helper: Helper, tmp_path: Path) -> None:
    other = replace(helper, settings=replace(helper.settings, dnsmasq_dir=tmp_path / "etc"))
    assert other.apply().message == (
        f"{tmp_path / 'etc'} is not below the state folder {helper.settings.state_dir}"
    )
