"""Looking without writing: an image against a disk, and all of an image."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bty_core.disks.find import find_disk
from bty_core.disks.select import Selector
from bty_core.errors import ImageCorrupt, VerifyFailed
from bty_core.flash.compare import compare, measure
from bty_core.flash.transfer import Meter
from bty_core.images.decode import MAX_WINDOW
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate
from tests.core.flash.planning import run
from tests.fakes.images import MIB, STREAMS, content

DATA = content(6 * MIB + 1234, seed=9)


def ignore(meter: Meter) -> None:
    """Watch nothing."""


def stored(kind: str, folder: Path) -> Path:
    path = folder / "disk.img"
    path.write_bytes(STREAMS[kind][1](DATA))
    return path


def against(image: Path, target: Path | str) -> None:
    disk = find_disk(Selector.parse(str(target)))
    moved = compare(inspect(locate(image)), disk, MAX_WINDOW, ignore)
    assert moved.decoded_bytes == len(DATA)
    assert moved.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", STREAMS)
def test_a_measured_image_has_both_digests_and_its_size(kind: str, tmp_path: Path) -> None:
    image = stored(kind, tmp_path)
    measured = measure(inspect(locate(image)), MAX_WINDOW, ignore)
    assert measured.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert measured.disk_sha256 == hashlib.sha256(DATA).hexdigest()
    assert measured.virtual_size == len(DATA)


def test_a_damaged_image_is_not_measured(tmp_path: Path) -> None:
    image = stored("xz", tmp_path)
    image.write_bytes(image.read_bytes()[:-40])
    with pytest.raises(ImageCorrupt):
        measure(inspect(locate(image)), MAX_WINDOW, ignore)


@pytest.mark.root
@pytest.mark.loop
@pytest.mark.parametrize("kind", ["raw", "gzip", "zstd"])
def test_a_flashed_disk_is_equal_until_a_byte_changes(
    kind: str, loop_disk: Path, tmp_path: Path
) -> None:
    image = stored(kind, tmp_path)
    run(image, loop_disk)
    against(image, loop_disk)
    for byte in (0, 5 * MIB + 17, len(DATA) - 1):
        with loop_disk.open("r+b", buffering=0) as disk:
            disk.seek(byte)
            right = disk.read(1)
            disk.seek(byte)
            disk.write(bytes([right[0] ^ 1]))
        with pytest.raises(VerifyFailed) as caught:
            against(image, loop_disk)
        assert caught.value.message == f"{loop_disk} differs from disk.img at byte {byte}"
        with loop_disk.open("r+b", buffering=0) as disk:
            disk.seek(byte)
            disk.write(right)


def test_a_target_that_is_too_short_is_said_so(tmp_path: Path) -> None:
    image = stored("zstd", tmp_path)
    target = tmp_path / "target"
    target.write_bytes(DATA[: 5 * MIB])
    with pytest.raises(VerifyFailed) as caught:
        against(image, f"file:{target}")
    assert caught.value.message == f"{target} ends after {5 * MIB} bytes, disk.img goes on"
    target.write_bytes(DATA + b"more")
    against(image, f"file:{target}")
    assert target.read_bytes() == DATA + b"more"
