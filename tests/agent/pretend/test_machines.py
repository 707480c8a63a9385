"""What bty makes of odd machines: what it shows, what can be selected, what it refuses and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_agent.wizard.offers import offered, why_not
from bty_core import errors
from bty_core.disks.select import Selector
from bty_core.errors import BtyError
from tests.agent.pretend.machines import NAMES, machine_file, pretended
from tests.agent.running import Ran, bty, small_image


def find(name: str, selector: str, folder: Path) -> str:
    return str(pretended(name, folder).find(Selector.parse(selector)).path)


def codes(name: str, target: str, folder: Path) -> list[str]:
    """Return the codes of all reasons not to flash an image with sectors of 512 bytes."""
    ran = flash(name, target, folder)
    assert ran.code == Exit.REFUSED
    return [reason["code"] for reason in ran.json["refusals"]]


def flash(name: str, target: str, folder: Path, *options: str) -> Ran:
    named = ("--image", str(small_image(folder)), "--target", target)
    pretend = ("--pretend", str(machine_file(name)))
    return bty("flash", *named, *pretend, *(options or ("--dry-run", "--json")), width=300)


# name -> the state of each disk, in the order of the list
STATES = {
    "4kn": {"sda": "free", "sdb": "free"},
    "emmc": {"mmcblk0": "free", "mmcblk1": "by name"},
    "equal-serials": {"sda": "free", "sdb": "free"},
    "hypervisor": {"vda": "free", "vdb": "read-only", "nbd0": "by name"},
    "laptop": {
        "nvme0n1": "free",
        "sda": "free",
        "sdb": "system",
        "sdc": "by name",
        "sdd": "free",
    },
    "live-stick": {"sda": "system", "sdb": "by name", "nvme0n1": "free"},
    "lvm": {"sda": "in use", "sdb": "free"},
    "mac-t2": {"nvme0n1": "free", "sda": "no medium"},
    "multipath": {"sda": "in use", "sdb": "in use"},
    "no-disk": {},
    "no-serial": {"sda": "free", "sdb": "no medium", "sr0": "no disk"},
    "nvme": {"nvme0n1": "free"},
    "sas-raid": {"sda": "free", "sdb": "free"},
    "trouble": {"sda": "free", "sdb": "free", "sdc": "free", "sdd": "free"},
}


def test_every_machine_has_its_expectation() -> None:
    assert sorted(STATES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_list_says_which_disks_may_be_written(name: str) -> None:
    ran = bty("disks", "--all", "--pretend", machine_file(name), width=200)
    assert ran.code == Exit.DONE
    shown = {}
    for row in (line for line in ran.out.splitlines() if line.startswith("/dev/")):
        path, _, _, _, rest = row.split(maxsplit=4)
        states = ("free", "by name", "system", "in use", "read-only", "no medium", "no disk")
        shown[path.removeprefix("/dev/")] = next(one for one in states if rest.startswith(one))
    assert shown == STATES[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_wizard_offers_what_the_list_says_is_free(name: str, tmp_path: Path) -> None:
    disks = tuple(pretended(name, tmp_path).disks())
    free = [one.path.name for one in disks if why_not(one, None, removable=False) is None]
    assert free == [one for one, state in STATES[name].items() if state == "free"]
    shown = [one.path.name for one in offered(disks, removable=False)]
    assert shown == [one for one in STATES[name] if one != "sr0"]


@pytest.mark.parametrize("name", [name for name in NAMES if STATES[name]])
def test_what_the_list_calls_free_is_not_refused(name: str, tmp_path: Path) -> None:
    odd = {("4kn", "sda"), ("mac-t2", "nvme0n1"), ("laptop", "sdd")}  # sector size, too small
    for disk, state in STATES[name].items():
        if state in ("free", "by name") and (name, disk) not in odd:
            ran = flash(name, f"/dev/{disk}", tmp_path)
            assert (ran.code, ran.json["refusals"]) == (Exit.DONE, []), disk


def test_an_nvme_disk_is_found_in_each_way(tmp_path: Path) -> None:
    for selector in (
        "serial:s5gxnx0w123456",
        "wwn:002538b921b0c1d2",
        "by-path:pci-0000:58:00.0-nvme-1",
        "model:980 pro",
        "transport:nvme,only",
        "size>=1TB,smallest",
    ):
        assert find("nvme", selector, tmp_path) == "/dev/nvme0n1", selector


def test_a_raid_volume_is_a_disk_like_others(tmp_path: Path) -> None:
    assert find("sas-raid", "transport:sas,smallest", tmp_path) == "/dev/sda"
    assert find("sas-raid", "model:perc", tmp_path) == "/dev/sda"
    with pytest.raises(errors.DiskAmbiguous) as failure:
        find("sas-raid", "transport:sas", tmp_path)
    assert failure.value.hint == "name one of them, for example serial:61866da0a8b9c200"


def test_the_boot_partitions_of_an_emmc_are_no_disks(tmp_path: Path) -> None:
    for part in ("mmcblk0boot0", "mmcblk0boot1", "mmcblk0rpmb"):
        with pytest.raises(errors.NotADisk) as failure:
            find("emmc", f"/dev/{part}", tmp_path)
        assert failure.value.hint == "write /dev/mmcblk0"
    assert find("emmc", "only", tmp_path) == "/dev/mmcblk0"  # the card has to be named
    assert find("emmc", "serial:1a2b3c4d", tmp_path) == "/dev/mmcblk1"


def test_no_path_to_a_multipath_disk_may_be_written_alone(tmp_path: Path) -> None:
    assert codes("multipath", "/dev/sda", tmp_path) == ["disk-busy"]
    assert codes("multipath", "/dev/sdb", tmp_path) == ["disk-busy"]
    ran = flash("multipath", "/dev/sda", tmp_path)
    assert "multipath mpatha" in ran.err
    assert "mounted on /srv" in ran.err
    # What multipath makes of them is no disk of its own.
    assert codes("multipath", "/dev/mapper/mpatha", tmp_path) == ["not-a-disk", "disk-busy"]
    with pytest.raises(errors.DiskAmbiguous):
        find("multipath", "serial:80A0D+MnTx3k", tmp_path)
    assert find("multipath", "by-path:pci-0000:12:00.1-fc-0x500a098281c1d2e3-lun-0", tmp_path)


@pytest.mark.parametrize(("name", "disk"), [("4kn", "/dev/sda"), ("mac-t2", "/dev/nvme0n1")])
def test_an_image_for_sectors_of_512_is_refused(name: str, disk: str, tmp_path: Path) -> None:
    assert codes(name, disk, tmp_path) == ["sector-size"]
    ran = flash(name, disk, tmp_path, "--yes")
    assert ran.code == Exit.REFUSED
    assert f"{disk} has sectors of 4096" in ran.err
    assert f"nothing was written to {disk}" in ran.err


def test_a_disk_of_a_mac_is_still_selected(tmp_path: Path) -> None:
    assert find("mac-t2", "only", tmp_path) == "/dev/nvme0n1"
    assert codes("mac-t2", "/dev/sda", tmp_path) == ["disk-too-small", "disk-too-small"]


def test_no_serial_number_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(BtyError):
        find("no-serial", "serial:-", tmp_path)
    with pytest.raises(errors.DiskNotFound):
        find("no-serial", "serial:none", tmp_path)
    assert find("no-serial", "only", tmp_path) == "/dev/sda"
    with pytest.raises(errors.DiskNotFound) as failure:
        find("no-serial", "model:nothing", tmp_path)
    # Not the empty reader and not the optical drive, though they have serial numbers.
    assert failure.value.hint == "choose one of them, for example by-path:pci-0000:00:11.0-ata-1"


def test_equal_serials_are_ambiguous_and_the_hint_is_not(tmp_path: Path) -> None:
    for selector in ("serial:AA00000000000489", "only", "smallest", "largest"):
        with pytest.raises(errors.DiskAmbiguous) as failure:
            find("equal-serials", selector, tmp_path)
        hint = failure.value.hint or ""
        assert hint.endswith("by-path:pci-0000:00:17.0-ata-1")
    assert find("equal-serials", "by-path:pci-0000:00:17.0-ata-2", tmp_path) == "/dev/sdb"


def test_a_disk_full_of_lvm_lists_what_holds_it(tmp_path: Path) -> None:
    ran = flash("lvm", "serial:20112EABCDEF", tmp_path)
    assert [reason["code"] for reason in ran.json["refusals"]] == ["disk-busy"]
    for held in ("vg0-srv", "vg0-swap", "vg0-old", "mounted on /srv", "swap"):
        assert held in ran.err
    assert "unmount it, swap it off, take down what is stacked on it, then try again" in ran.err


def test_a_use_does_not_change_what_a_selector_means(tmp_path: Path) -> None:
    with pytest.raises(errors.DiskAmbiguous):
        find("lvm", "smallest", tmp_path)


def test_a_virtual_disk_without_a_serial_number_is_named_by_its_place(tmp_path: Path) -> None:
    assert find("hypervisor", "size>=50GB,only", tmp_path) == "/dev/vda"
    with pytest.raises(errors.DiskAmbiguous) as failure:
        find("hypervisor", "transport:virtio", tmp_path)
    # Not the other one, which is read-only.
    assert (failure.value.hint or "").endswith("by-path:pci-0000:04:00.0")
    assert codes("hypervisor", "serial:data-disk", tmp_path) == ["disk-read-only"]
    assert [one.path.name for one in pretended("hypervisor", tmp_path).inventory().disks] == [
        "vda",
        "vdb",
    ]


def test_the_live_medium_is_refused_though_it_is_named(tmp_path: Path) -> None:
    assert find("live-stick", "only", tmp_path) == "/dev/nvme0n1"
    assert codes("live-stick", "serial:4C530001", tmp_path) == ["running-system"]
    assert find("live-stick", "transport:usb,smallest", tmp_path) == "/dev/sdb"


def test_a_machine_without_a_disk_says_where_to_look(tmp_path: Path) -> None:
    ran = bty("disks", "--pretend", machine_file("no-disk"))
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert "this machine shows no disks" in ran.err
    ran = flash("no-disk", "only", tmp_path, "--dry-run")
    assert ran.code == Exit.REFUSED
    assert "check the cables, and the storage controller in the firmware's settings" in ran.err


def test_an_image_that_is_larger_than_the_disk_is_refused(tmp_path: Path) -> None:
    big = tmp_path / "big.img"
    with big.open("wb") as file:
        file.truncate(60 * 10**9)
    target = ("--target", "/dev/vda", "--pretend", str(machine_file("hypervisor")))
    ran = bty("flash", "--image", big, *target, "--dry-run", "--json")
    assert [reason["code"] for reason in ran.json["refusals"]] == ["disk-too-small"]


def test_a_partition_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(errors.NotADisk) as failure:
        find("nvme", "/dev/nvme0n1p1", tmp_path)
    assert failure.value.message == "/dev/nvme0n1p1 is a partition of /dev/nvme0n1"


@pytest.mark.parametrize("name", NAMES)
def test_the_inventory_is_that_of_the_file(name: str) -> None:
    ran = bty("inventory", "--json", "--pretend", machine_file(name))
    told = ran.json
    assert told["nics"]
    assert told["firmware"] == ("bios" if name in ("sas-raid", "no-serial") else "uefi")
