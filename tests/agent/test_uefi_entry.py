"""`bty flash --uefi-entry`: refused before anything is written, made after, and a failure that keeps the image."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_core import proc
from bty_core.values import MIB
from tests.agent.running import Ran, bty, small_image
from tests.conftest import MakeLoop

pytestmark = [pytest.mark.root, pytest.mark.loop, pytest.mark.efibootmgr]


@pytest.fixture
def nvram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that was started by UEFI."""
    folder = tmp_path / "efivars"
    folder.mkdir()
    monkeypatch.setenv("EFIVARFS_PATH", f"{folder}/")
    monkeypatch.setattr("bty_agent.commands.flash.firmware", lambda: "uefi")
    return folder


def flash(image: Path, disk: Path, *options: str) -> Ran:
    named = ("--image", str(image), "--target", str(disk))
    return bty("flash", "--progress", "none", "--uefi-entry", *named, *options)


def test_the_next_boot_starts_the_disk(tmp_path: Path, make_loop: MakeLoop, nvram: Path) -> None:
    disk = make_loop(16 * MIB)
    ran = flash(small_image(tmp_path), disk, "--yes")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert f"bty: the next boot starts {disk} (\\EFI\\BOOT\\BOOTX64.EFI), once;" in ran.err
    said = proc.run(["efibootmgr", "-v"], timeout=30)
    assert "BootNext: 0000" in said
    assert "Boot0000* bty: small.img" in said
    assert "BootOrder:" not in said
    assert list(nvram.iterdir())


def test_a_machine_that_bios_started_is_refused(tmp_path: Path, make_loop: MakeLoop) -> None:
    disk = make_loop(16 * MIB)
    before = disk.read_bytes()
    with pytest.MonkeyPatch.context() as bios:
        bios.setattr("bty_agent.commands.flash.firmware", lambda: "bios")
        ran = flash(small_image(tmp_path), disk, "--yes")
    assert ran.code == Exit.REFUSED
    assert "bty: this machine was not started by UEFI" in ran.err
    assert "hint: flash it without the boot entry" in ran.err
    assert disk.read_bytes() == before


@pytest.mark.usefixtures("nvram")
def test_an_image_without_a_system_partition_is_refused(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    image = tmp_path / "data.img"
    image.write_bytes(b"x" * MIB)
    ran = flash(image, make_loop(16 * MIB), "--dry-run")
    assert ran.code == Exit.REFUSED
    assert "bty: the image has no EFI system partition" in ran.err


@pytest.mark.usefixtures("nvram")
def test_without_efibootmgr_nothing_is_written(
    tmp_path: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_loop(16 * MIB)
    before = disk.read_bytes()
    find = proc.find
    monkeypatch.setattr("bty_agent.commands.flash.find_program", lambda _: find("no-such-program"))
    ran = flash(small_image(tmp_path), disk, "--yes")
    assert ran.code == Exit.PROGRAM_MISSING
    assert disk.read_bytes() == before


def test_a_firmware_that_refuses_leaves_the_image(
    tmp_path: Path, make_loop: MakeLoop, nvram: Path
) -> None:
    nvram.rmdir()
    nvram.write_text("no folder")
    image, disk = small_image(tmp_path), make_loop(16 * MIB)
    ran = flash(image, disk, "--yes")
    assert ran.code == Exit.PROVISIONING_FAILED
    assert "bty: the image is on the disk, but efibootmgr" in ran.err
    assert disk.read_bytes()[: 12 * MIB] == image.read_bytes()
