"""The second way: a CIDATA partition, where no root filesystem takes the seed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bty_core.errors import ProvisioningFailed, Refused
from bty_core.provisioning.cidata import add
from bty_core.provisioning.cloud_init import CloudInit
from bty_core.provisioning.errors import NoPlaceForSeed, SeedNotPlaced, SeedWouldBeIgnored
from bty_core.provisioning.flow import flash_and_provision
from bty_core.provisioning.seed import Seed
from tests.conftest import MIB, MakeLoop
from tests.core.flash.planning import plan
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
NOTHING = "mkdir etc"


def last_partition(disk: Path) -> int:
    """Return where it begins, in bytes."""
    return max(int(part["start"]) for part in partitions(disk)) * 512


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_where_no_filesystem_has_cloud_init(
    tmp_path: Path, make_loop: MakeLoop, label: str
) -> None:
    image = make_image(tmp_path / "disk.img", "ext4", NOTHING, label=label)
    disk = make_loop(128 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in partition 2 of {disk}, a new CIDATA"
    at = last_partition(disk)
    files = cidata(disk, at)
    assert files["user-data"] == USER_DATA.decode()
    assert files["meta-data"].startswith("instance-id: bty-")
    # As cloud-init looks for it.
    told = run(
        "blkid", "--probe", "--output", "export", f"--offset={at}", f"--size={8 * MIB}", disk
    )
    assert {"LABEL=CIDATA", "TYPE=vfat"} <= set(told.split())
    assert 128 * MIB - at < 11 * MIB
    if label == "gpt":
        assert "No problems found" in run("sgdisk", "--verify", disk)
    else:
        run("sfdisk", "--verify", disk)
    part = tmp_path / "part"
    run("dd", "status=none", f"if={disk}", f"of={part}", "bs=1M", f"skip={at // MIB}", "count=8")
    run("fsck.vfat", "-n", part)
    assert left_behind(disk) == []


def test_on_a_disk_with_sectors_of_4096_bytes(tmp_path: Path, make_loop: MakeLoop) -> None:
    model = make_loop(48 * MIB, sector=4096, blank=True)
    run("sfdisk", "--quiet", model, stdin="label: gpt\nstart=512, size=2048, type=linux\n")
    image = tmp_path / "disk.img"
    run("dd", "status=none", f"if={model}", f"of={image}", "bs=1M")
    disk = make_loop(64 * MIB, sector=4096, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said.endswith(f"partition 2 of {disk}, a new CIDATA")
    at = max(int(part["start"]) for part in partitions(disk)) * 4096
    assert cidata(disk, at)["user-data"] == USER_DATA.decode()
    told = run(
        "blkid", "--probe", "--output", "export", f"--offset={at}", f"--size={8 * MIB}", disk
    )
    assert "LABEL=CIDATA" in told
    assert "No problems found" in run("sgdisk", "--verify", disk)


@pytest.mark.parametrize("kind", ["lvm", "crypto_LUKS", "ntfs"])
def test_lvm_luks_and_ntfs_are_left_alone(tmp_path: Path, make_loop: MakeLoop, kind: str) -> None:
    image = make_image(tmp_path / "disk.img", "ext4", NOTHING)
    heads = {
        "lvm": (512, b"LABELONE" + (1).to_bytes(8, "little") + bytes(8) + b"LVM2 001" + b"a" * 32),
        "crypto_LUKS": (0, b"LUKS\xba\xbe\0\1" + bytes(584)),
        "ntfs": (0, b"\xebR\x90NTFS    "),
    }
    offset, head = heads[kind]
    with image.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(bytes(64 * 1024))
        file.seek(2 * MIB + offset)
        file.write(head)
    before = image.read_bytes()[2 * MIB : 34 * MIB]
    disk = make_loop(128 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said.endswith("a new CIDATA")
    with disk.open("rb") as found:
        found.seek(2 * MIB)
        assert found.read(32 * MIB) == before


def test_a_cidata_of_the_image_becomes_ours(tmp_path: Path, make_loop: MakeLoop) -> None:
    # cloud-init would prefer it to the folder.
    image = make_image(
        tmp_path / "disk.img", more=("start=36MiB, size=10MiB", "start=47MiB, size=2MiB")
    )
    for number, at in enumerate((36, 47)):
        fat = tmp_path / "fat"
        fat.write_bytes(bytes((10, 2)[number] * MIB))
        run("mkfs.vfat", "-n", ("CIDATA", "cidata")[number], fat)
        (tmp_path / "old").write_text("#cloud-config\nhostname: old\n")
        for name in ("user-data", "meta-data", "vendor-data"):
            run("mcopy", "-i", fat, tmp_path / "old", f"::{name}")
        run("dd", "status=none", f"if={fat}", f"of={image}", "bs=1M", f"seek={at}", "conv=notrunc")
        fat.unlink()
    disk = make_loop(80 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in {disk}p2 and {disk}p3, the CIDATA of the image"
    for at in (36, 47):
        assert sorted(cidata(disk, at * MIB)) == ["meta-data", "user-data"]
        assert cidata(disk, at * MIB)["user-data"] == USER_DATA.decode()
    assert inside(disk, "find var/lib/cloud").split() == ["var/lib/cloud", "var/lib/cloud/seed"]


def test_a_root_with_var_elsewhere_does_not_get_the_seed(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    apart = f"{CLOUD}; echo 'UUID=1 /var ext4 defaults 0 2' >etc/fstab"
    image, disk = make_image(tmp_path / "disk.img", script=apart), make_loop(80 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said.endswith("a new CIDATA")


def test_a_full_root_does_not_get_the_seed(tmp_path: Path, make_loop: MakeLoop) -> None:
    fill = "dd status=none if=/dev/zero of={} bs={} || true"
    full = f"{CLOUD}; {fill.format('large', '64k')}; {fill.format('small', '512')}"
    image, disk = make_image(tmp_path / "disk.img", script=full), make_loop(80 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said.endswith("a new CIDATA")


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_a_regular_file_grows(tmp_path: Path, label: str) -> None:
    image = make_image(tmp_path / "disk.img", "ext4", NOTHING, label=label)
    target = tmp_path / "target"
    said, _ = flash_seeded(image, f"file:{target}")
    assert said.endswith("a new CIDATA")
    assert target.stat().st_size > image.stat().st_size
    assert cidata(target, last_partition(target))["user-data"] == USER_DATA.decode()


def refused(image: Path, disk: Path) -> list[Refused]:
    return CloudInit(Seed.of(USER_DATA)).refusals(plan(image, disk))


def test_a_disk_without_room_is_refused_before_the_write_where_it_can_be_known(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    lvm = make_image(tmp_path / "lvm.img", "ext4", NOTHING, kind="lvm")
    small, large = make_loop(lvm.stat().st_size, blank=True), make_loop(80 * MIB, blank=True)
    (found,) = refused(lvm, small)
    assert isinstance(found, NoPlaceForSeed)
    assert found.message == (
        f"lvm.img has no partition for a Linux root filesystem, and {small} no room"
        " for a partition CIDATA behind it"
    )
    assert refused(lvm, large) == []
    # Of a Linux partition nobody knows what is in it before it is on the disk.
    assert refused(make_image(tmp_path / "linux.img"), small) == []


def test_four_primary_partitions_leave_no_room(tmp_path: Path, make_loop: MakeLoop) -> None:
    more = tuple(f"start={36 + at * 2}MiB, size=1MiB, type=8e" for at in range(3))
    image = make_image(tmp_path / "full.img", "ext4", NOTHING, label="dos", kind="8e", more=more)
    (found,) = refused(image, make_loop(128 * MIB, blank=True))
    assert found.hint == "choose an image with a GPT, or with a free primary partition"


def test_no_place_at_all_after_the_write_says_why(tmp_path: Path, make_loop: MakeLoop) -> None:
    image = make_image(tmp_path / "disk.img", "ext4", NOTHING)
    disk = make_loop(image.stat().st_size, blank=True)
    with pytest.raises(SeedNotPlaced) as failed:
        flash_seeded(image, disk)
    assert failed.value.message == (
        f"the seed for cloud-init has no place: {disk}p1 has no /etc/cloud;"
        f" {disk} has no room for a CIDATA partition behind the image"
    )
    assert failed.value.aftermath == (
        f"the image is on {disk}, but it is not provisioned; flash it again"
    )
    assert isinstance(failed.value, ProvisioningFailed)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "touch etc/cloud/cloud-init.disabled",
            "cloud-init is switched off in the image, by /etc/cloud/cloud-init.disabled",
        ),
        (
            "echo 'datasource_list: [ Ec2, None ]' >etc/cloud/cloud.cfg.d/90_dpkg.cfg",
            "cloud-init in the image takes its data from Ec2, None alone, by /etc/cloud/cloud.cfg.d/90_dpkg.cfg",
        ),
        (
            "echo 'datasource: {NoCloud: {seedfrom: http://a/}}' >etc/cloud/cloud.cfg.d/9.cfg",
            "the image sets seedfrom of NoCloud itself, in /etc/cloud/cloud.cfg.d/9.cfg",
        ),
    ],
)
def test_a_seed_that_cloud_init_would_ignore_is_a_failure(
    tmp_path: Path, make_loop: MakeLoop, script: str, why: str
) -> None:
    image = make_image(tmp_path / "disk.img", script=f"{CLOUD}; {script}")
    disk = make_loop(80 * MIB, blank=True)
    with pytest.raises(SeedWouldBeIgnored) as failed:
        flash_seeded(image, disk)
    assert failed.value.message == f"the seed would have no effect: {why}"


def test_a_network_of_the_image_that_wins_is_said(tmp_path: Path, make_loop: MakeLoop) -> None:
    script = f"{CLOUD}; echo 'network: {{config: disabled}}' >etc/cloud/cloud.cfg.d/99-net.cfg"
    image = make_image(tmp_path / "disk.img", script=script)
    disk = make_loop(80 * MIB, blank=True)
    flash_seeded(image, disk)
    with pytest.raises(SeedWouldBeIgnored):
        flash_seeded(image, disk, Seed.of(USER_DATA, None, b"version: 2\n"))


def test_the_backup_of_the_gpt_may_have_been_moved_before(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    image = make_image(tmp_path / "disk.img", "ext4", NOTHING)
    disk = make_loop(128 * MIB, blank=True)
    seed = CloudInit(Seed.of(USER_DATA))
    flash_and_provision(plan(image, disk, fix_gpt=True), seed)
    assert cidata(disk, last_partition(disk))["user-data"] == USER_DATA.decode()
    assert "No problems found" in run("sgdisk", "--verify", disk)


def test_a_disk_that_is_in_use_after_the_write_is_said(tmp_path: Path, make_loop: MakeLoop) -> None:
    disk = make_loop(128 * MIB, blank=True)
    run("dd", "status=none", f"if={make_image(tmp_path / 'a.img', 'ext4', NOTHING)}", f"of={disk}")
    handle = os.open(disk, os.O_RDONLY | os.O_EXCL)
    try:
        with pytest.raises(SeedNotPlaced) as failed:
            add(disk, 128 * MIB, {"user-data": USER_DATA})
    finally:
        os.close(handle)
    assert failed.value.message == f"{disk} cannot be opened for writing: Device or resource busy"
