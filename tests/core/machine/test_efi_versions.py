"""Boot entries with the efibootmgr of Debian 12, version 17, and of Debian 13, version 18, which print differently."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bty_core.disks.file_target import file_disk
from bty_core.disks.model import Disk, Kind
from bty_core.machine.efi import boot_once
from bty_core.values import MIB
from tests.fakes.images import disk_image

FAKE = Path(__file__).resolve().parents[2] / "fakes/efibootmgr.py"
NETWORK = ["UEFI PXEv4 (MAC:525400123456)", "PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,1)/IPv4"]


class Nvram:
    """The memory of the firmware."""

    def __init__(self, file: Path, version: int) -> None:
        self._file = file
        known = {"0005": NETWORK, "0007": ["debian", "HD(1)/File(\\EFI\\debian\\shimx64.efi)"]}
        self.write(version=version, entries=known, order=["0005", "0007"], next=None, calls=[])

    def write(self, **values: Any) -> None:
        self._file.write_text(json.dumps(values))

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._file.read_text())[name]


@pytest.fixture(params=[17, 18])
def nvram(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nvram:
    """A firmware that starts from the network, and the program that speaks with it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "efibootmgr"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("FAKE_EFI_STATE", str(tmp_path / "nvram.json"))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Nvram(tmp_path / "nvram.json", request.param)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A disk with an EFI system partition."""
    return replace(file_disk(disk_image(tmp_path / "disk.img", 12 * MIB)), kind=Kind.DISK)


def test_the_entry_is_made_and_the_order_is_not_touched(nvram: Nvram, disk: Disk) -> None:
    said = boot_once(disk, "debian-13.img.zst")
    assert said.startswith(f"the next boot starts {disk.path} (")
    assert nvram["next"] == "0000"
    assert nvram["order"] == ["0005", "0007"]
    assert nvram["entries"]["0000"][0] == "bty: debian-13.img.zst"
    assert nvram["entries"]["0005"] == NETWORK
    words = [word for call in nvram["calls"] for word in call]
    assert {"--create", "-c", "--bootorder", "-o"}.isdisjoint(words)


def test_each_flash_leaves_one_entry(nvram: Nvram, disk: Disk) -> None:
    for _ in range(3):
        boot_once(disk, "debian-13.img.zst")
    labels = [label for label, _ in nvram["entries"].values()]
    assert labels.count("bty: debian-13.img.zst") == 1
    assert len(labels) == 3
    (ours,) = [number for number, (label, _) in nvram["entries"].items() if "bty" in label]
    assert nvram["next"] == ours
