"""Facts: what machines print, understood; what is different, and nothing else."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_web.online.collector import program
from bty_web.services.facts import Change, FactsBroken, differences, parse

PRINTED = """
== os-release
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
ID=debian
SUPPORT_URL="https://example.org"
== kernel
Linux 6.12.1 #1 SMP x86_64
== cmdline
root=LABEL=root ro quiet
== dpkg
ii  htop 3.4.1-5
hi  held 1.0
rc  gone 2.0
un  never <none>
== rpm
== lsblk
{"blockdevices": [
 {"name": "loop0", "type": "loop", "size": 1},
 {"name": "nvme0n1", "type": "disk", "size": 512, "serial": null, "pttype": "gpt",
  "children": [{"name": "nvme0n1p1", "type": "part", "size": 100, "fstype": "ext4"}]}]}
== firmware
bios_vendor SeaBIOS
bios_version
boot uefi
== microcode
microcode	: 0x1000065
== cpu
model name	: AMD EPYC
== network
lo 00:00:00:00:00:00
eno1 52:54:00:12:34:56 ../../../bus/pci/drivers/e1000e
docker0 02:42:00:00:00:01
== addresses
2: eno1    inet 10.0.0.7/24 brd 10.0.0.255 scope global dynamic eno1
2: eno1    inet6 2001:db8::7/64 scope global temporary dynamic
== end
"""


def test_what_a_machine_prints_is_understood() -> None:
    assert parse(PRINTED) == {
        "os": {"pretty name": "Debian GNU/Linux 13 (trixie)", "id": "debian"},
        "kernel": {
            "version": "Linux 6.12.1 #1 SMP x86_64",
            "command line": "root=LABEL=root ro quiet",
        },
        "packages": {"held": "1.0", "htop": "3.4.1-5"},
        "disks": {
            "nvme0n1": {"type": "disk", "size": "512", "pttype": "gpt"},
            "nvme0n1p1": {"type": "part", "size": "100", "fstype": "ext4"},
        },
        "firmware": {
            "bios vendor": "SeaBIOS",
            "boot": "uefi",
            "microcode": "0x1000065",
            "cpu": "AMD EPYC",
        },
        "network": {
            "eno1 address": "52:54:00:12:34:56",
            "eno1 driver": "e1000e",
            "eno1 10.0.0.7/24": "yes",
        },
    }


@pytest.mark.parametrize(
    ("section", "line", "package", "version"),
    [
        ("rpm", "bash.x86_64 0:5.2-1.fc40", "bash.x86_64", "0:5.2-1.fc40"),
        ("apk", "busybox-extras-1.36.1-r15", "busybox-extras", "1.36.1-r15"),
        ("pacman", "zlib 1:1.3-2", "zlib", "1:1.3-2"),
    ],
)
def test_packages_of_other_systems(section: str, line: str, package: str, version: str) -> None:
    assert parse(f"== {section}\n{line}\n== end\n")["packages"] == {package: version}


def test_the_collector_runs_here_and_twice_the_same() -> None:
    first, second = (
        subprocess.run(["sh"], input=program(), capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert {"os", "kernel", "network"} <= set(parse(first))
    assert differences(parse(first), parse(second)) == []


def test_half_of_it_is_no_fact() -> None:
    with pytest.raises(FactsBroken, match="did not say all of its facts"):
        parse(PRINTED[: PRINTED.index("== network")])


def test_what_is_different_is_named_by_where_it_stands() -> None:
    before = parse(PRINTED)
    after = parse(PRINTED.replace("htop 3.4.1-5", "htop 3.5").replace('"ext4"', '"xfs"'))
    assert differences(before, after) == [
        Change("disks / nvme0n1p1 / fstype", "ext4", "xfs"),
        Change("packages / htop", "3.4.1-5", "3.5"),
    ]
    assert differences({}, {"os": {"id": "a"}}) == [Change("os / id", None, "a")]
    assert differences(before, before) == []


@given(st.text(max_size=2000))
def test_rubbish_is_refused_or_understood_and_never_more(rubbish: str) -> None:
    parse(f"{rubbish}\n== lsblk\n{rubbish}\n== dpkg\n{rubbish}\n== network\n{rubbish}\n== end\n")


def test_a_machine_cannot_say_what_cannot_be_kept() -> None:
    deep = '{"blockdevices": ' + "[" * 100_000
    assert "disks" not in parse(PRINTED.replace('{"blockdevices": [', deep, 1))
    half = PRINTED.replace('"serial": null', '"serial": "a\\ud800b\\u0000"')
    disks = parse(half)["disks"]
    assert disks["nvme0n1"]["serial"] == "a?b"
    str(disks).encode()
