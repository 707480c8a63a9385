"""Boot entries, made by the real efibootmgr in a folder that stands for the firmware's memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bty_core import proc
from bty_core.disks.file_target import file_disk
from bty_core.disks.lsblk import read_disk
from bty_core.errors import CommandFailed, ProgramMissing
from bty_core.images.table import ImageTable, read_table
from bty_core.machine.efi import LABEL, NoBootEntry, boot_once, entry_refusals
from tests.conftest import MIB, MakeLoop

pytestmark = [pytest.mark.loop, pytest.mark.efibootmgr]
TITLE = "debian-13.img.zst"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
GPT_WITH_ESP = "label: gpt\nstart=1MiB,size=1MiB\nstart=2MiB,size=40MiB,type=uefi\n"

MakeDisk = Callable[..., Path]


@pytest.fixture(autouse=True)
def nvram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A firmware with one entry, which is its boot order."""
    folder = tmp_path / "efivars"
    folder.mkdir()
    monkeypatch.setenv("EFIVARFS_PATH", f"{folder}/")
    (folder / f"BootOrder-{GLOBAL}").write_bytes(bytes([7, 0, 0, 0, 0x05, 0x00]))
    path_end = bytes([0x7F, 0xFF, 4, 0])
    entry = (1).to_bytes(4, "little") + len(path_end).to_bytes(2, "little")
    entry += "network\0".encode("utf-16-le") + path_end
    (folder / f"Boot0005-{GLOBAL}").write_bytes(bytes([7, 0, 0, 0]) + entry)
    return folder


@pytest.fixture
def make_disk(make_loop: MakeLoop) -> MakeDisk:
    """Make disks with a system partition that holds `files`."""

    def make(*files: str, table: str = GPT_WITH_ESP, start: int = 2 * MIB) -> Path:
        disk = make_loop(64 * MIB, blank=True)
        subprocess.run(
            ["sfdisk", "--quiet", "--no-reread", disk], input=table, text=True, check=True
        )
        if files:
            words = ["mkfs.vfat", "--offset", str(start // 512), str(disk), str(40 * 1024)]
            subprocess.run(words, check=True, capture_output=True)
            place = ["-i", f"{disk}@@{start}"]
            for file in files:
                folders = file.split("/")[:-1]
                for depth in range(1, len(folders) + 1):
                    made = "::/" + "/".join(folders[:depth])
                    subprocess.run(["mmd", *place, made], capture_output=True, check=False)
                subprocess.run(["mcopy", *place, "-", f"::/{file}"], input=b"MZ", check=True)
        return disk

    return make


def entries() -> str:
    return proc.run(["efibootmgr", "-v"], timeout=30)


def test_the_disk_is_started_once_and_the_order_stays(make_disk: MakeDisk) -> None:
    disk = make_disk("EFI/BOOT/BOOTX64.EFI", "EFI/debian/shimx64.efi")
    said = boot_once(read_disk(disk), TITLE)
    assert said.startswith(f"the next boot starts {disk} (\\EFI\\BOOT\\BOOTX64.EFI), once")
    lines = entries().splitlines()
    assert "BootOrder: 0005" in lines
    assert "BootNext: 0000" in lines
    (ours,) = [line for line in lines if LABEL in line]
    assert ours.startswith("Boot0000* ")
    assert "HD(2,GPT," in ours
    assert ours.endswith("File(\\EFI\\BOOT\\BOOTX64.EFI)")


def test_entries_of_earlier_flashes_are_removed(make_disk: MakeDisk, nvram: Path) -> None:
    for _ in range(3):
        boot_once(read_disk(make_disk("EFI/BOOT/BOOTX64.EFI")), TITLE)
    assert entries().count(LABEL) == 1
    assert len(list(nvram.glob("Boot00*"))) == 2
    assert "BootOrder: 0005" in entries()


def test_an_entry_in_the_boot_order_stays(make_disk: MakeDisk, nvram: Path) -> None:
    disk = read_disk(make_disk("EFI/BOOT/BOOTX64.EFI"))
    boot_once(disk, TITLE)
    order = nvram / f"BootOrder-{GLOBAL}"
    order.write_bytes(bytes([7, 0, 0, 0, 5, 0, 0, 0]))
    boot_once(disk, TITLE)
    assert entries().count(LABEL) == 2
    assert "BootOrder: 0005,0000" in entries()
    assert "BootNext: 0001" in entries()


@pytest.mark.parametrize(
    ("files", "loader"),
    [
        (["EFI/debian/shimx64.efi", "EFI/debian/grubx64.efi"], r"\EFI\debian\shimx64.efi"),
        (["EFI/systemd/systemd-bootx64.efi"], r"\EFI\systemd\systemd-bootx64.efi"),
        (["EFI/alpine/grubx64.efi"], r"\EFI\alpine\grubx64.efi"),
        ([], r"\EFI\BOOT\BOOTX64.EFI"),  # nothing can be read there
    ],
)
def test_the_loader_is_looked_for(make_disk: MakeDisk, files: list[str], loader: str) -> None:
    assert f"({loader})" in boot_once(read_disk(make_disk(*files)), TITLE)
    assert f"File({loader})" in entries()


def test_a_dos_table_can_have_a_system_partition(make_disk: MakeDisk) -> None:
    table = "label: dos\nlabel-id: 0x12345678\nstart=2MiB,size=40MiB,type=ef\n"
    disk = make_disk("EFI/BOOT/BOOTX64.EFI", table=table)
    boot_once(read_disk(disk), TITLE)
    assert "HD(1,MBR,0x12345678" in entries()


@pytest.mark.parametrize(
    ("table", "files", "why"),
    [
        ("label: gpt\nstart=2MiB,size=40MiB\n", [], "has no EFI system partition"),
        (GPT_WITH_ESP, ["EFI/notes.txt"], "there is no boot loader for UEFI"),
    ],
)
def test_what_uefi_cannot_start_changes_nothing(
    make_disk: MakeDisk, nvram: Path, table: str, files: list[str], why: str
) -> None:
    with pytest.raises(NoBootEntry, match=why):
        boot_once(read_disk(make_disk(*files, table=table)), TITLE)
    assert len(list(nvram.iterdir())) == 2


def test_without_uefi_it_says_so(make_disk: MakeDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EFIVARFS_PATH")
    if Path("/sys/firmware/efi/efivars").exists():
        pytest.skip("this machine has a firmware of its own")
    with pytest.raises(CommandFailed, match="EFI variables are not supported"):
        boot_once(read_disk(make_disk("EFI/BOOT/BOOTX64.EFI")), TITLE)


def test_without_efibootmgr_it_names_the_package(
    make_disk: MakeDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = read_disk(make_disk("EFI/BOOT/BOOTX64.EFI"))
    with monkeypatch.context() as bare:
        bare.setattr("shutil.which", lambda *_, **__: None)
        with pytest.raises(ProgramMissing, match="efibootmgr is not installed"):
            boot_once(disk, TITLE)


def image_table(disk: Path) -> ImageTable | None:
    with disk.open("rb") as file:
        return read_table(file.read(MIB))


def test_the_reasons_against_it_are_known_before(make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk()
    table = image_table(disk)
    assert entry_refusals(read_disk(disk), table, "uefi") == []
    (bios,) = entry_refusals(read_disk(disk), table, "bios")
    assert bios.message == "this machine was not started by UEFI"
    (no_esp,) = entry_refusals(read_disk(disk), None, "uefi")
    assert no_esp.message == "the image has no EFI system partition"
    os.truncate(tmp_path / "loop-0.img", 64 * MIB)
    (file,) = entry_refusals(file_disk(tmp_path / "loop-0.img"), table, "uefi")
    assert "is a regular file" in file.message
