"""What the reading commands show: lists for people, envelopes for programs, and no name moves the cursor."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bty_agent import host
from bty_agent.exits import Exit
from bty_core.disks.lsblk import parse
from bty_core.disks.model import Disk, Partition
from bty_core.disks.sysfs import KernelFacts
from bty_core.machine.model import Firmware, Identity, Inventory, Nic
from tests.agent.running import bty, lines, small_image
from tests.fakes.images import MIB, zstd

DATA = Path(__file__).parents[1] / "data" / "lsblk"
NASTY = "a b\"c'd é\x1b[2J\x9b31m\r\u202e\udcff"


def disks(name: str) -> list[Disk]:
    return parse((DATA / f"{name}.json").read_text(), facts=KernelFacts())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Disk]:
    """The disks that `bty disks` finds."""
    found: list[Disk] = []
    monkeypatch.setattr(host, "read_disks", lambda: found)
    return found


def test_disks(machine: list[Disk]) -> None:
    machine += disks("usb-live")
    ran = bty("disks")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert lines(ran.out) == [
        "DISK          SIZE     VIA   STATE    SERIAL        MODEL",
        "/dev/sda      30.8 GB  usb   system   4C530001      Ultra Fit",
        '    gpt: vfat "BTY" 1.07 GB, exfat "BTY_IMAGES" 29.7 GB',
        "    mounted on /run/live/medium (/dev/sda1), mounted on /var/lib/bty/images (/dev/sda2)",
        "/dev/sdb      2.00 TB  usb   by name  575841        Elements 25A2",
        "    no partition table and no filesystem found",
        "    only chosen when path, serial, wwn or by-path names it",
        "/dev/nvme0n1  512 GB   nvme  free     22251K800001  WD_BLACK SN770",
        "    no partition table and no filesystem found",
    ]
    assert ran.out in (DATA.parents[2] / "docs/how-to/choose-a-disk.md").read_text()


@pytest.mark.parametrize("data", sorted(file.stem for file in DATA.glob("*.json")))
def test_the_row_of_a_disk_fits_in_80_columns(machine: list[Disk], data: str) -> None:
    machine += disks(data)
    rows = [line for line in lines(bty("disks", "--all").out) if not line.startswith(" ")]
    assert len(rows) == 1 + len(machine)
    assert max(map(len, rows)) <= 80


def test_no_disks(machine: list[Disk]) -> None:
    ran = bty("disks")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert lines(ran.err) == [
        "bty: this machine shows no disks",
        "     hint: look for a missing driver with dmesg; bty disks --all shows loop devices too",
    ]
    assert bty("disks", "--json").json == {
        "schema_version": "1",
        "command": "list-disks",
        "disks": [],
    }


def test_disks_as_json(machine: list[Disk]) -> None:
    machine += disks("nvme-root")
    ran = bty("disks", "--json")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert list(ran.json) == ["schema_version", "command", "disks"]
    (disk,) = ran.json["disks"]
    assert (disk["path"], disk["size_bytes"]) == ("/dev/nvme0n1", 1000204886016)
    assert [part["filesystem"] for part in disk["partitions"]] == ["vfat", "ext4", "swap"]
    assert disk["refusals"][0]["code"] == "running-system"


def test_names_on_a_disk_do_not_move_the_cursor(machine: list[Disk]) -> None:
    part = Partition(
        path=Path("/dev/sda1"),
        number=1,
        start=MIB,
        size=MIB,
        type=None,
        partlabel=NASTY,
        filesystem=NASTY,
        label=NASTY,
    )
    odd = replace(disks("btrfs-two")[1], model=NASTY, serial=NASTY, partitions=(part,), table=NASTY)
    machine.append(odd)
    shown = bty("disks").out
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert "a b\"c'd é" in shown
    told = bty("disks", "--json").out
    assert told.isascii()
    assert json.loads(told)["disks"][0]["model"] == NASTY


def test_images(tmp_path: Path) -> None:
    raw = small_image(tmp_path)
    packed = tmp_path / "packed.img.zst"
    packed.write_bytes(zstd(raw.read_bytes()))
    (tmp_path / "packed.img.zst.yaml").write_text("description: Debian 13, small\n")
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  small.img\n")
    (tmp_path / "notes.zip").write_bytes(b"PK\x03\x04" + bytes(600))
    ran = bty("images", "--root", tmp_path)
    assert (ran.code, ran.err) == (Exit.DONE, "")
    told = re.sub(r"1\.\d\d MB", "1.00 MB", ran.out)
    assert lines(told)[0] == "FORMAT  SIZE     ON DISK  DIGEST  IMAGE"
    assert "zstd    1.00 MB  -        -       packed.img.zst\n    Debian 13, small\n" in told
    assert "raw     12.6 MB  12.6 MB  known   small.img\n" in told
    assert "-       604 B    -        -       notes.zip\n    notes.zip is a zip archive" in told
    found = bty("images", "--root", tmp_path, "--json").json
    assert list(found) == ["schema_version", "command", "root", "images"]
    assert (found["command"], found["root"]) == ("list-images", str(tmp_path))
    by_name = {image["name"]: image for image in found["images"]}
    assert by_name["small.img"]["sha256"] == digest
    assert by_name["packed.img.zst"]["description"] == "Debian 13, small"
    assert by_name["notes.zip"]["problem"].startswith("notes.zip is a zip archive")


def test_the_folder_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTY_IMAGE_ROOT", str(tmp_path))
    ran = bty("images")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert lines(ran.err) == [
        f"bty: there are no images in {tmp_path}",
        "     hint: copy disk images there, or name another folder with --root or BTY_IMAGE_ROOT",
    ]


def test_inspect(tmp_path: Path) -> None:
    image = small_image(tmp_path)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    (tmp_path / "small.img.sha256").write_text(digest)
    ran = bty("inspect", image)
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert lines(ran.out) == [
        f"image        {image}",
        "is           raw, 12.6 MB, 12.6 MB on the disk",
        "on the disk  12582912 bytes",
        f"sha256       {digest}",
        f"expected     {digest} from small.img.sha256 (equal)",
        "table        gpt with 2 partitions, boots on UEFI",
        '  1          4.19 MB at 1.05 MB, c12a7328-f81f-11d2-ba4b-00a0c93ec93b "ESP"',
        '  2          6.29 MB at 5.24 MB, 0fc63daf-8483-4772-8e79-3d69d8477de4 "root"',
    ]
    found = bty("inspect", image, "--json").json
    assert (found["command"], found["sha256"]) == ("inspect-image", digest)
    assert found["known_digest"] == {"sha256": digest, "origin": "small.img.sha256"}
    quick = bty("inspect", image, "--quick", "--json").json
    assert (quick["sha256"], quick["disk_sha256"]) == (None, None)


def test_inspect_says_that_the_digest_is_wrong(tmp_path: Path) -> None:
    image = small_image(tmp_path)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    (tmp_path / "small.img.sha256").write_text("0" * 64)
    ran = bty("inspect", image)
    assert ran.code == Exit.INTEGRITY
    assert f"expected     {'0' * 64} from small.img.sha256 (DIFFERENT)\n" in ran.out
    assert lines(ran.err) == [
        f"bty: small.img has the digest sha256:{digest},"
        f" and small.img.sha256 says sha256:{'0' * 64}",
        "     hint: fetch the image again, or correct the digest",
    ]


def test_verify(tmp_path: Path) -> None:
    image, disk = small_image(tmp_path), tmp_path / "disk"
    disk.write_bytes(image.read_bytes() + b"more")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    words: list[str | Path] = ["verify", "--image", image, "--target", f"file:{disk}"]
    ran = bty(*words)
    told = f"{disk} holds small.img: 12.6 MB compared, sha256:{digest}\n"
    assert (ran.code, ran.out, ran.err) == (Exit.DONE, told, "")
    about = {"schema_version": "1", "command": "verify", "image": str(image), "disk": str(disk)}
    equal = {"equal": True, "bytes_compared": 12 * MIB, "sha256": digest}
    assert bty(*words, "--json").json == {**about, **equal}
    disk.write_bytes(b"short")
    ran = bty(*words, "--json")
    message = f"{disk} ends after 5 bytes, small.img goes on"
    differs = {"equal": False, "code": "verify-failed", "message": message}
    assert (ran.code, ran.json) == (Exit.INTEGRITY, {**about, **differs})


def test_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    (disk,) = disks("nvme-root")
    found = Inventory(
        identity=Identity(vendor="Dell", product=None, serial="7XK\x1b[2J", uuid=None),
        firmware=Firmware.UEFI,
        cpu="AMD EPYC 7302P",
        memory_bytes=68_719_476_736,
        disks=(disk,),
        nics=(Nic(name="eno1", mac="52:54:00:12:34:56"),),
    )
    monkeypatch.setattr(host, "read_inventory", lambda: found)
    ran = bty("inventory")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert lines(ran.out) == [
        "disk      /dev/nvme0n1, 1.00 TB, serial S5GXNX0R123456, wwn eui.002538b911b37f1a,"
        " Samsung SSD 980 PRO 1TB, nvme",
        "nic       eno1, 52:54:00:12:34:56",
        "cpu       AMD EPYC 7302P",
        "memory    68.7 GB",
        "firmware  uefi",
        "vendor    Dell",
        "product   unknown",
        "serial    7XK\N{REPLACEMENT CHARACTER}[2J",
        "uuid      unknown",
    ]
    told = bty("inventory", "--json").json
    assert told == {"schema_version": "1", "command": "inventory", **found.wire()}


@pytest.mark.parametrize(
    "name",
    [
        b"two words.img",
        b"quo\"te's.img",
        "größe-日本.img".encode(),
        b"\xff\xfe.img",
        b"\x1b[31m\r\n.img",
    ],
    ids=["blank", "quotes", "letters", "undecodable", "control"],
)
def test_odd_names_of_files_crash_nothing(tmp_path: Path, name: bytes) -> None:
    image = tmp_path / os.fsdecode(name)
    image.write_bytes(small_image(tmp_path).read_bytes())
    disk = tmp_path / f"disk of {os.fsdecode(name)}"
    target = ["--image", image, "--target", f"file:{disk}"]
    for argv, code in (
        (["images", "--root", tmp_path], Exit.DONE),
        (["images", "--root", tmp_path, "--json"], Exit.DONE),
        (["images", "--root", tmp_path / os.fsdecode(name)], Exit.UNREACHABLE),
        (["inspect", image], Exit.DONE),
        (["inspect", image, "--json"], Exit.DONE),
        (["inspect", f"{image}-none"], Exit.UNREACHABLE),
        (["flash", *target, "--dry-run"], Exit.DONE),
        (["flash", *target, "--dry-run", "--json"], Exit.DONE),
        (["flash", *target, "--yes"], Exit.DONE),
        (["flash", *target, "--yes", "--progress", "ndjson"], Exit.DONE),
        (["flash", *target, "--yes", "--sha256", "0" * 64], Exit.INTEGRITY),
        (["verify", *target], Exit.INTEGRITY),
        (["verify", *target, "--json"], Exit.INTEGRITY),
    ):
        ran = bty(*argv)
        assert ran.code == code, ran.err
        assert all(letter.isprintable() or letter == "\n" for letter in ran.out + ran.err)
        assert "--json" not in argv or ran.out.isascii()
    ran = bty("inspect", image, "--json")
    assert os.fsencode(ran.json["image"]) == os.fsencode(image)
