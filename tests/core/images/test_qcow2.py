"""qcow2: read whole through QEMU, or refused with the reason."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bty_core import proc
from bty_core.errors import ImageCorrupt, ImageRefused, ProgramMissing
from bty_core.images.decode import fill
from bty_core.images.file import FileSource
from bty_core.images.formats import Format
from bty_core.images.inspect import inspect
from bty_core.images.qcow2 import Qcow2Decoder
from tests.fakes.images import MIB, content, disk_image, qcow2

pytestmark = pytest.mark.qemu

SIZE = 9 * MIB + 65_536


def create(path: Path, *options: str, size: str = "8M") -> Path:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size]
    subprocess.run(argv, check=True, capture_output=True)
    return path


def decoded(path: Path, size: int) -> bytes:
    room = memoryview(bytearray(3 * MIB))
    found = bytearray()
    with Qcow2Decoder(path, size) as decoding:
        while got := fill(decoding, room):
            found += room[:got]
    return bytes(found)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-c",),
        ("-o", "compat=0.10"),
        ("-o", "cluster_size=4k"),
        ("-c", "-o", "compression_type=zstd"),
    ],
    ids=" ".join,
)
def test_the_content_is_read_to_the_last_byte(options: tuple[str, ...], tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(content(SIZE, seed=5))
    image = qcow2(raw, tmp_path / "disk.qcow2", *options)
    assert inspect(FileSource(image)).virtual_size == SIZE
    assert decoded(image, SIZE) == raw.read_bytes()


def test_the_partition_table_inside_is_shown(tmp_path: Path) -> None:
    image = inspect(FileSource(qcow2(disk_image(tmp_path / "raw"), tmp_path / "disk.qcow2", "-c")))
    assert image.format is Format.QCOW2
    assert image.table is not None
    assert [part.name for part in image.table.partitions] == ["ESP", "root"]


def test_an_image_without_data_is_a_disk_of_zeros(tmp_path: Path) -> None:
    assert not any(decoded(create(tmp_path / "empty.qcow2"), 8 * MIB))


def check_refused(path: Path, message: str) -> None:
    with pytest.raises(ImageRefused) as caught:
        inspect(FileSource(path))
    assert caught.value.message == message
    assert caught.value.hint


def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    base = create(tmp_path / "base.qcow2")
    image = create(tmp_path / "disk.qcow2", "-b", str(base), "-F", "qcow2")
    check_refused(image, "disk.qcow2 is only the difference to a backing file")


def test_an_external_data_file_is_refused(tmp_path: Path) -> None:
    image = create(tmp_path / "disk.qcow2", "-o", f"data_file={tmp_path / 'data'}")
    check_refused(image, "disk.qcow2 keeps its data in another file")


def test_an_encrypted_image_is_refused(tmp_path: Path) -> None:
    image = create(tmp_path / "disk.qcow2")
    data = bytearray(image.read_bytes())
    data[35] = 2  # LUKS; to make a real one, qemu-img first measures the speed of the machine
    image.write_bytes(data)
    check_refused(image, "disk.qcow2 is encrypted")


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    image = create(tmp_path / "disk.qcow2")
    data = bytearray(image.read_bytes())
    data[7] = 9
    image.write_bytes(data)
    check_refused(image, "disk.qcow2 is qcow2 of version 9")


def test_an_image_that_says_it_is_corrupt_is_an_error(tmp_path: Path) -> None:
    image = create(tmp_path / "disk.qcow2")
    data = bytearray(image.read_bytes())
    data[79] |= 2
    image.write_bytes(data)
    with pytest.raises(ImageCorrupt) as caught:
        inspect(FileSource(image))
    assert caught.value.message == "disk.qcow2 is marked as corrupt"


def test_a_header_cut_short_is_an_error(tmp_path: Path) -> None:
    image = create(tmp_path / "disk.qcow2")
    image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(ImageCorrupt) as caught:
        inspect(FileSource(image))
    assert caught.value.message == "disk.qcow2 ends inside its qcow2 header"


def test_damage_inside_is_an_error(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(content(SIZE, seed=5))
    image = qcow2(raw, tmp_path / "disk.qcow2", "-c")
    data = bytearray(image.read_bytes())
    # The compressed clusters fill the middle of the file.
    for at in range(len(data) // 3, len(data) // 3 * 2):
        data[at] ^= 0x5A
    image.write_bytes(data)
    with pytest.raises(ImageCorrupt, match=r"QEMU (cannot read|stopped while reading) disk\.qcow2"):
        decoded(image, SIZE)


def test_a_missing_program_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = create(tmp_path / "disk.qcow2")
    find = proc.find

    def without_qemu(program: str) -> str:
        return find("qemu-nbd-that-is-not-there" if program == "qemu-nbd" else program)

    monkeypatch.setattr(proc, "find", without_qemu)
    with pytest.raises(ProgramMissing, match="is not installed"):
        inspect(FileSource(image))
