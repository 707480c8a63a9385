"""A process that is killed while it has the disk's filesystem mounted, and devices that the kernel shows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bty_core.proc import run as run_program
from bty_core.provisioning.devices import device_of
from bty_core.provisioning.partitions import read_contents
from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import USER_DATA, flash_seeded, inside, left_behind, make_image

pytestmark = [pytest.mark.root, pytest.mark.loop]
# Stops for ever where the seed is half written.
SCRIPT = """
import sys, time
from pathlib import Path
from bty_core.provisioning import cloud_init
from bty_core.provisioning.safely import Folder
from bty_core.provisioning.seed import Seed
from tests.core.provisioning.disks import flash_seeded

real = Folder.new_file

def new_file(self, name, data, mode):
    real(self, name, data[:5], mode)
    print("mounted", flush=True)
    time.sleep(600)

Folder.new_file = new_file
flash_seeded(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_killed_while_the_seed_is_written(tmp_path: Path, make_loop: MakeLoop) -> None:
    image, disk = make_image(tmp_path / "disk.img"), make_loop(80 * MIB, blank=True)
    words = [sys.executable, "-c", SCRIPT, str(image), str(disk)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mounted\n"
        # Nobody else sees the mount; the loop device is there.
        assert len(left_behind(disk)) == 1
        assert "rootfs" not in Path("/proc/self/mounts").read_text()
        process.kill()
    for _ in range(50):
        if not left_behind(disk):
            break
        time.sleep(0.1)
    assert left_behind(disk) == []
    # Half a seed is none: cloud-init wants both files.
    assert inside(disk, "ls var/lib/cloud/seed/nocloud-net") == "user-data\n"
    flash_seeded(image, disk)
    assert inside(disk, "cat var/lib/cloud/seed/nocloud-net/user-data") == USER_DATA.decode()


@pytest.fixture
def shown(tmp_path: Path, make_loop: MakeLoop) -> Iterator[Path]:
    """A disk whose partition the kernel shows."""
    disk = make_loop(80 * MIB, blank=True)
    image = make_image(tmp_path / "disk.img")
    run_program(["dd", "status=none", f"if={image}", f"of={disk}", "bs=1M"], timeout=60)
    run_program(["addpart", disk, "1", "4096", "65536"], timeout=60)
    yield disk
    run_program(["delpart", disk, "1"], timeout=60)


def test_the_kernels_own_partition_is_preferred(shown: Path) -> None:
    (volume,) = read_contents(shown).volumes
    with device_of(volume, sector=512, read_only=True) as device:
        assert device == Path(f"{shown}p1")


def test_a_partition_that_the_kernel_shows_elsewhere_is_not_taken(shown: Path) -> None:
    run_program(["delpart", shown, "1"], timeout=60)
    run_program(["addpart", shown, "1", "8192", "1024"], timeout=60)
    (volume,) = read_contents(shown).volumes
    with device_of(volume, sector=512, read_only=True) as device:
        assert device.name.startswith("loop")
        assert device != Path(f"{shown}p1")
        assert left_behind(shown) != []
    assert left_behind(shown) == []
