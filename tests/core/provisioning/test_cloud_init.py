"""A seed for cloud-init on disks with real filesystems."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_core.events import Done, Provisioning
from bty_core.provisioning.seed import Seed
from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import (
    CLOUD,
    USER_DATA,
    cidata,
    flash_seeded,
    inside,
    left_behind,
    make_image,
    partitions,
    run,
)

pytestmark = [pytest.mark.root, pytest.mark.loop]
SEED = "var/lib/cloud/seed/nocloud-net"


@pytest.mark.parametrize("label", ["gpt", "dos"])
@pytest.mark.parametrize("filesystem", ["ext4", "xfs", "btrfs"])
def test_the_seed_goes_into_the_root_that_has_cloud_init(
    tmp_path: Path, make_loop: MakeLoop, filesystem: str, label: str
) -> None:
    image = make_image(tmp_path / "disk.img", filesystem, label=label)
    disk = make_loop(400 * MIB, blank=True)
    said, events = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in /{SEED} of {disk}p1 ({filesystem})"
    assert isinstance(events[-1], Done)
    assert any(isinstance(event, Provisioning) for event in events)
    found = inside(disk, f"cat {SEED}/user-data; stat -c '%n %a %u' {SEED} {SEED}/*")
    assert found.splitlines() == [
        *USER_DATA.decode().splitlines(),
        f"{SEED} 700 0",
        f"{SEED}/meta-data 600 0",
        f"{SEED}/user-data 600 0",
    ]
    assert inside(disk, f"cat {SEED}/meta-data").startswith("instance-id: bty-")


def test_each_flash_has_an_instance_id_of_its_own(tmp_path: Path, make_loop: MakeLoop) -> None:
    image, disk = make_image(tmp_path / "disk.img"), make_loop(64 * MIB, blank=True)
    ids = set()
    seed = Seed.of(USER_DATA, b"instance-id: mine\nlocal-hostname: box\n", b"version: 2\n")
    for _ in range(2):
        flash_seeded(image, disk, seed)
        told = inside(disk, f"cat {SEED}/meta-data")
        assert "local-hostname: box" in told
        ids.add(told)
        assert inside(disk, f"cat {SEED}/network-config") == "version: 2\n"
    assert len(ids) == 2
    assert not any("mine" in told for told in ids)


@pytest.mark.parametrize(
    ("script", "options", "named"),
    [
        # A default subvolume that is not the top one.
        (
            "btrfs -q subvolume create system; cd system; "
            + CLOUD
            + "; cd ..; btrfs subvolume set-default system",
            "",
            "",
        ),
        # The usual names, with the top one as default.
        ("btrfs -q subvolume create @; cd @; " + CLOUD, "subvol=@", ", subvolume @"),
        ("btrfs -q subvolume create root; cd root; " + CLOUD, "subvol=root", ", subvolume root"),
    ],
)
def test_the_root_may_be_a_subvolume(
    tmp_path: Path, make_loop: MakeLoop, script: str, options: str, named: str
) -> None:
    image = make_image(tmp_path / "disk.img", "btrfs", script)
    disk = make_loop(140 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in /{SEED} of {disk}p1 (btrfs{named})"
    assert inside(disk, f"cat {SEED}/user-data", options=options) == USER_DATA.decode()


def test_the_filesystem_is_left_clean(tmp_path: Path, make_loop: MakeLoop) -> None:
    image, disk = make_image(tmp_path / "disk.img"), make_loop(64 * MIB, blank=True)
    flash_seeded(image, disk)
    assert left_behind(disk) == []
    part = tmp_path / "part"
    run("dd", "status=none", f"if={disk}", f"of={part}", "bs=1M", "skip=2", "count=32")
    told = run("dumpe2fs", "-h", part)
    assert "Filesystem state:         clean" in told
    assert "needs_recovery" not in told
    run("e2fsck", "-f", "-n", part)


def test_old_seeds_and_what_cloud_init_remembers_are_gone(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    old = f"{CLOUD}; cd var/lib/cloud; mkdir -p seed/nocloud seed/nocloud-net instances/i-old;"
    old += "for f in user-data meta-data vendor-data; do echo old >seed/nocloud/$f;"
    old += " echo old >seed/nocloud-net/$f; done; ln -s instances/i-old instance"
    image, disk = make_image(tmp_path / "disk.img", "ext4", old), make_loop(64 * MIB, blank=True)
    flash_seeded(image, disk)
    found = inside(disk, "cd var/lib/cloud; find . | sort")
    assert found.split() == [
        *(".", "./instances", "./instances/i-old", "./seed", "./seed/nocloud-net"),
        *("./seed/nocloud-net/meta-data", "./seed/nocloud-net/user-data"),
    ]


@pytest.mark.parametrize(
    "script",
    [
        "ln -s /etc var/lib/cloud",
        "ln -s ../../../../../../../../etc var/lib/cloud",
        "ln -s {host} var/lib/cloud",
        "mkdir -p var/lib/cloud; ln -s {host} var/lib/cloud/seed",
        "mkdir -p var/lib/cloud/seed; ln -s {host} var/lib/cloud/seed/nocloud-net",
        "mkdir -p var/lib/cloud/seed; ln -s {host} var/lib/cloud/seed/nocloud; ln -s {host} var/lib/cloud/instance",
        "mkdir -p var/lib/cloud/seed/nocloud-net; ln -s {host}/kept var/lib/cloud/seed/nocloud-net/user-data",
        "ln -s /proc/self/root{host} var/lib/cloud",
        "rm -r var; ln -s {host} var",
        "ln -s cloud var/lib/cloud",
        "touch var/lib/cloud",
    ],
)
def test_no_link_leads_a_write_out_of_the_disk(
    tmp_path: Path, make_loop: MakeLoop, script: str
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "kept").write_text("kept")
    for name in ("user-data", "meta-data"):
        (host / name).write_text("of this machine")
    etc = sorted(Path("/etc").iterdir())
    hostile = f"{CLOUD}; rm -r var/lib/cloud; {script.format(host=host)}"
    image, disk = make_image(tmp_path / "disk.img", script=hostile), make_loop(80 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert {file.name: file.read_text() for file in host.iterdir()} == {
        "kept": "kept",
        "user-data": "of this machine",
        "meta-data": "of this machine",
    }
    assert sorted(Path("/etc").iterdir()) == etc
    # It is where cloud-init on the machine itself would look, or in a CIDATA.
    if "new CIDATA" in said:
        assert cidata(disk, int(partitions(disk)[-1]["start"]) * 512)["user-data"]
    else:
        chroot = "mkdir -p bin; cp /bin/busybox bin/cat; chroot . /bin/cat /"
        assert inside(disk, f"{chroot}{SEED}/user-data") == USER_DATA.decode()
