"""A machine is flashed with a real Debian, provisioned, starts its own system, and is what it should be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bty_core.proc import Answer, ask
from bty_web.services.ssh_keys import KeyPair, make_pair
from tests.fakes.bundles import tar
from tests.system.lab.cloud_system import cloud_image
from tests.system.lab.disks import blank
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import medium
from tests.system.lab.network import Lan
from tests.system.lab.server import LabServer
from tests.system.lab.timings import Timings
from tests.web.netns import inside

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

GIB = 1 << 30
FLASHED = 600.0  # seconds
BOOTED = 400.0
RAN = 400.0
IMAGE = "debian.img.zst"
SEED = """\
#cloud-config
hostname: {{ hostname }}
ssh_authorized_keys:
- %s
"""
PROVE = """\
doc: Prove that the machine is what it should be
steps:
- name: system
  run: |
    sudo -n dpkg --audit
    hostname
- name: place
  run: echo "by the server" | sudo -n tee /etc/placed
"""
PLACE = """\
doc: Name the machine before it starts
steps:
- name: place
  uses: place
"""
PLACE_SCRIPT = """\
import os
from pathlib import Path
def main(args, cijoe):
    root = Path(os.environ["BTY_ROOTFS"])
    (root / "etc/hostname").write_text("placed\\n")
    (root / "etc/cloud/cloud-init.disabled").touch()
    (root / "etc/systemd/network/80-dhcp.network").write_text(
        "[Match]\\nName=en*\\n[Network]\\nDHCP=ipv4\\n"
    )
    return 0
"""


def upload(server: LabServer, name: str, files: dict[str, str]) -> None:
    """Give the server a workflow."""
    headers = {"Content-Type": "application/octet-stream"}
    answer = server.ask("PUT", f"/api/v1/workflows/{name}", data=tar(files), headers=headers)
    assert answer.ok, answer.text


def ssh(lan: Lan, folder: Path, user: str, address: str, key: str, command: str) -> Answer:
    """Log in from the server's place in the network."""
    file = folder / "key"
    file.write_text(key)
    file.chmod(0o600)
    words = ["ssh", "-F", "none", "-i", str(file), "-o", "StrictHostKeyChecking=no"]
    words += [
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
    ]
    found = ask(
        inside(lan.server, *words, "-o", "LogLevel=ERROR", f"{user}@{address}", command),
        timeout=90,
        most=1 << 20,
    )
    assert found is not None
    return found


def run_of(server: LabServer, machine: Machine, kind: str) -> dict[str, Any]:
    """Wait until the newest run of a kind has ended, and return it."""
    end = time.monotonic() + RAN
    while True:
        items = server.api("GET", f"/runs?mac={machine.mac}")["items"]
        found = [one for one in items if one["kind"] == kind]
        if found and found[0]["ended_at"]:
            shown: dict[str, Any] = server.api("GET", f"/runs/{found[0]['id']}")
            return shown
        assert time.monotonic() < end, f"{items}\n{machine.said[-2000:]}"
        time.sleep(1)


@pytest.mark.parametrize("firmware", [Firmware.BIOS, Firmware.UEFI])
def test_a_machine_is_named_let_in_proven_and_watched(
    lan: Lan, server: LabServer, tmp_path: Path, firmware: Firmware, timings: Timings
) -> None:
    timings.about("cijoe-online, real Debian", firmware, "flash-once")
    server.install_live(medium("pxe"))
    server.add_image(cloud_image(), IMAGE)
    upload(server, "prove", {"task.yaml": PROVE})
    mine: KeyPair = make_pair()
    box = Machine(
        "box", tmp_path, firmware, [Drive(blank(tmp_path / "disk.raw", 2 * GIB))], lan=lan
    )
    server.assign(
        box.mac,
        name="build-7",
        image=IMAGE,
        target="only",
        boot_policy="flash-once",
        provisioning_mode="cijoe-online",
        workflow="prove",
    )
    server.api("PUT", f"/machines/{box.mac}/seed", user_data=SEED % mine.public)
    with box:
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        up = box.wait(f"BTY-SYSTEM-UP name=build-7 firmware={firmware}", BOOTED)
        timings.note("system up", up)
        run = run_of(server, box, "workflow")
        timings.note("proven", box.seconds)
        assert (run["state"], run["message"]) == ("done", None), run["log"]
        assert run["access_left"] is False
        address = run["address"]
        # The person's own key opens the person's own user; the server's user may do nothing any more.
        placed = ssh(
            lan,
            tmp_path,
            "debian",
            address,
            mine.private,
            "cat /etc/placed; sudo ls /etc/sudoers.d",
        )
        assert placed.status == 0, placed.err
        assert placed.out.splitlines()[0] == "by the server"
        assert "90-bty-online" not in placed.out
        known = server.api("GET", f"/machines/{box.mac}/baseline")
        assert known["baseline"]["facts"]["packages"]["htop"]
        assert known["baseline"]["image"]["name"] == IMAGE
        removed = ssh(lan, tmp_path, "debian", address, mine.private, "sudo dpkg --purge htop")
        assert removed.status == 0, removed.err
        server.api("POST", f"/machines/{box.mac}/check")
        check = run_of(server, box, "check")
        assert (check["state"], check["message"]) == ("done", None)
        drift = server.api("GET", f"/machines/{box.mac}/baseline")["drift"]
        assert [(one["fact"], one["after"]) for one in drift] == [("packages / htop", None)]
    (attempt,) = server.attempts(box.mac)
    assert (attempt["state"], attempt["online_state"]) == ("done", "done")


def test_a_workflow_in_the_live_environment_places_a_file(
    lan: Lan, server: LabServer, tmp_path: Path, timings: Timings
) -> None:
    firmware = Firmware.BIOS
    timings.about("cijoe, real Debian", firmware, "flash-once")
    server.install_live(medium("pxe"))
    server.add_image(cloud_image(), IMAGE)
    upload(server, "place", {"task.yaml": PLACE, "place.py": PLACE_SCRIPT})
    box = Machine(
        "box", tmp_path, firmware, [Drive(blank(tmp_path / "disk.raw", 2 * GIB))], lan=lan
    )
    server.assign(
        box.mac,
        image=IMAGE,
        target="only",
        boot_policy="flash-once",
        provisioning_mode="cijoe",
        workflow="place",
    )
    with box:
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        timings.note("system up", box.wait("BTY-SYSTEM-UP name=placed firmware=bios", BOOTED))
    (attempt,) = server.attempts(box.mac)
    assert attempt["state"] == "done"
