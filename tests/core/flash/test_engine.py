"""Flashing real block devices: the image's bytes are the disk's bytes, or the disk does not boot."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from bty_core.errors import (
    DigestMismatch,
    ImageCorrupt,
    VerifyFailed,
    WriteFailed,
)
from bty_core.events import Done, Event, Progress, Started, Synced, Verifying
from bty_core.flash import engine, transfer
from bty_core.flash.engine import flash
from bty_core.flash.target import Target
from bty_core.flash.verify import read_back
from tests.conftest import MakeLoop
from tests.core.flash.planning import is_dead, plan, run, start_of
from tests.fakes.images import MIB, STREAMS, content, disk_image, qcow2, zstd
from tests.loops import detach

pytestmark = [pytest.mark.root, pytest.mark.loop]

DATA = content(11 * MIB + 12_345, seed=7)


@cache
def stored(kind: str) -> bytes:
    """Return `DATA` as a stream of this kind."""
    return STREAMS[kind][1](DATA)


@pytest.mark.parametrize("kind", STREAMS)
def test_each_stream_becomes_the_disk(kind: str, loop_disk: Path, tmp_path: Path) -> None:
    image = tmp_path / f"disk.{STREAMS[kind][0]}"
    image.write_bytes(stored(kind))
    done, _ = run(image, loop_disk)
    assert start_of(loop_disk, len(DATA)) == DATA
    assert done.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert done.bytes_written + done.bytes_skipped == len(DATA)
    assert done.bytes_skipped > MIB
    with loop_disk.open("rb") as file:
        file.seek(len(DATA) + 4096)
        # What lies behind the image stays, up to the place of a GPT's backup.
        assert set(file.read(MIB)) == {0xFF}


def test_a_slow_hash_still_sees_the_image_as_it_was(
    loop_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA[: 3 * MIB])
    hash_now = transfer._Run._hash

    def hash_late(run: transfer._Run) -> None:
        time.sleep(0.5)
        hash_now(run)

    monkeypatch.setattr(transfer._Run, "_hash", hash_late)
    done, _ = run(image, loop_disk)
    assert done.sha256 == hashlib.sha256(DATA[: 3 * MIB]).hexdigest()


@pytest.mark.qemu
@pytest.mark.parametrize("options", [(), ("-c",), ("-c", "-o", "compression_type=zstd")], ids=str)
def test_qcow2_becomes_the_disk(options: tuple[str, ...], loop_disk: Path, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(DATA + bytes(-len(DATA) % 65536))
    image = qcow2(raw, tmp_path / 'it\'s a disk, "ü".qcow2', *options)
    done, _ = run(image, loop_disk)
    assert start_of(loop_disk, raw.stat().st_size) == raw.read_bytes()
    assert done.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()


SIZES = (
    1,
    511,
    512,
    513,
    4095,
    4096,
    65_537,
    MIB - 1,
    MIB,
    MIB + 1,
    4 * MIB - 1,
    4 * MIB,
    4 * MIB + 1,
    8 * MIB + 7,
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["raw", "zstd"])
def test_sizes_that_divide_by_nothing(
    size: int, kind: str, loop_disk: Path, tmp_path: Path
) -> None:
    data = random.Random(size).randbytes(size)
    image = tmp_path / "disk.img"
    image.write_bytes(STREAMS[kind][1](data))
    run(image, loop_disk)
    assert start_of(loop_disk, size) == data
    sector = -(-size // 4096) * 4096
    assert set(start_of(loop_disk, sector)[size:]) <= {0, 0xFF}


@pytest.mark.parametrize("short", [0, 1, 512, 70_000, MIB, MIB + 1])
def test_an_image_as_large_as_the_disk_fits_to_the_last_byte(
    short: int, loop_disk: Path, tmp_path: Path
) -> None:
    data = random.Random(short).randbytes(16 * MIB - short)
    image = tmp_path / "disk.img.gz"
    image.write_bytes(STREAMS["gzip"][1](data))
    done, _ = run(image, loop_disk)
    assert start_of(loop_disk, len(data)) == data
    assert done.bytes_written == len(data)


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind != "raw"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_stream_cut_short_leaves_a_dead_disk(
    kind: str, share: float, partitioned: Path, tmp_path: Path
) -> None:
    whole = stored(kind).rstrip(b"\0")
    image = tmp_path / "disk.img"
    image.write_bytes(whole[: int(len(whole) * share)])
    before = partitioned.read_bytes()
    with pytest.raises(ImageCorrupt) as caught:
        run(image, partitioned)
    if caught.value.aftermath == f"nothing was written to {partitioned}":
        # Damage that comes to light while the first chunk is decoded.
        assert partitioned.read_bytes() == before
    else:
        assert is_dead(partitioned)


def test_a_stream_broken_at_its_start_leaves_the_disk_alone(
    partitioned: Path, tmp_path: Path
) -> None:
    image = tmp_path / "disk.img.zst"
    image.write_bytes(zstd(DATA)[:20])
    before = partitioned.read_bytes()
    with pytest.raises(ImageCorrupt):
        run(image, partitioned)
    assert partitioned.read_bytes() == before


def test_a_raw_image_cut_short_is_known_by_its_partitions(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    disk = make_loop(16 * MIB)
    image = disk_image(tmp_path / "disk.img", 15 * MIB)
    data = image.read_bytes()
    image.write_bytes(data[: 9 * MIB])
    with pytest.raises(ImageCorrupt, match="is cut short: it has 9437184 bytes"):
        run(image, disk)
    image.write_bytes(STREAMS["gzip"][1](data[: 9 * MIB]))
    with pytest.raises(ImageCorrupt, match="is cut short: it has 9437184 bytes"):
        run(image, disk)


@pytest.mark.parametrize("kind", ["raw", "gzip", "zstd"])
def test_a_wrong_digest_leaves_a_dead_disk(kind: str, partitioned: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(stored(kind))
    found = hashlib.sha256(image.read_bytes()).hexdigest()
    with pytest.raises(DigestMismatch) as caught:
        run(image, partitioned, sha256="ab" * 32, verify=False)
    assert caught.value.message == (
        f"disk.img has the digest sha256:{found}, and --sha256 says sha256:{'ab' * 32}"
    )
    assert is_dead(partitioned)
    done, _ = run(image, partitioned, sha256=found)
    assert done.sha256 == found
    assert start_of(partitioned, len(DATA)) == DATA


@pytest.mark.parametrize("where", [5, 700_000, 3 * MIB + 17, 9 * MIB + 1, len(DATA) - 1])
def test_the_read_back_finds_a_byte_that_changed(
    where: int, make_loop: MakeLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_loop(16 * MIB)
    backing = tmp_path / "loop-0.img"
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)

    def spoil() -> None:
        with backing.open("r+b") as file:
            file.seek(where)
            byte = file.read(1)[0]
            file.seek(where)
            file.write(bytes([byte ^ 1]))

    def spoiled_read_back(target: Target, *rest: object) -> None:
        if where >= MIB:
            spoil()
        read_back(target, *rest)  # type: ignore[arg-type]  # passed on
        real = target.forget_cache

        def spoil_and_forget() -> None:
            spoil()
            real()

        if where < MIB:
            # The head comes after the read-back of the rest, and is read back by itself.
            monkeypatch.setattr(target, "forget_cache", spoil_and_forget)

    monkeypatch.setattr(engine, "read_back", spoiled_read_back)
    with pytest.raises(VerifyFailed, match=f"{disk} does not hold what was written to it"):
        run(image, disk)
    assert not any(start_of(disk, MIB))


def test_without_verification_nothing_is_read_back(loop_disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)
    done, events = run(image, loop_disk, verify=False)
    assert not done.verified
    # Nothing asked for the digest of a plain local file.
    assert done.sha256 is None
    assert not [event for event in events if isinstance(event, Verifying)]
    assert start_of(loop_disk, len(DATA)) == DATA


def test_the_events_tell_the_story_in_order(loop_disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)
    done, events = run(image, loop_disk)
    kinds: list[type[Event]] = []
    for event in events:
        if not kinds or kinds[-1] is not type(event):
            kinds.append(type(event))
    assert kinds == [Started, Progress, Verifying, Synced, Done]
    assert events[-1] == done
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.source_bytes, last.disk_bytes, last.total_bytes) == (len(DATA),) * 3


def test_a_watcher_that_fails_does_not_stop_the_write(loop_disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)

    def fail(event: Event) -> None:
        raise RuntimeError(event)

    flash(plan(image, loop_disk), fail)
    assert start_of(loop_disk, len(DATA)) == DATA


def test_a_full_store_behind_the_disk_is_a_write_error_that_says_where(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "bty-test", store], check=True)
    try:
        backing = store / "disk"
        with backing.open("wb") as file:
            file.truncate(16 * MIB)
        found = subprocess.run(
            ["losetup", "--find", "--show", backing], check=True, capture_output=True, text=True
        ).stdout.strip()
        try:
            image = tmp_path / "disk.img"
            image.write_bytes(random.Random(1).randbytes(12 * MIB))
            with pytest.raises(
                WriteFailed, match=f"(writing|flushing) {found}( at byte \\d+)? failed: "
            ) as caught:
                run(image, found)
            assert caught.value.aftermath == f"{found} does not boot now; flash it again"
            assert is_dead(Path(found))
            # Room again: the same disk takes the image.
            subprocess.run(["mount", "-o", "remount,size=32m", store], check=True)
            run(image, found)
            assert start_of(Path(found), 12 * MIB) == image.read_bytes()
        finally:
            subprocess.run(["losetup", "--detach", found], check=True)
    finally:
        subprocess.run(["umount", store], check=True)


def test_the_backup_of_the_gpt_moves_to_the_end(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(40 * MIB)
    image = disk_image(tmp_path / "disk.img")
    run(image, disk, fix_gpt=True)
    said = subprocess.run(
        ["sgdisk", "--verify", disk], capture_output=True, text=True, check=True
    ).stdout
    assert "No problems found" in said
    original, flashed = image.read_bytes(), disk.read_bytes()
    assert flashed[34 * 512 : 24 * MIB - 33 * 512] == original[34 * 512 : 24 * MIB - 33 * 512]


@pytest.mark.parametrize("extra", [512, 8 * 512, 40 * 512])
def test_a_slightly_larger_disk_gets_its_backup_too(
    extra: int, make_loop: MakeLoop, tmp_path: Path
) -> None:
    disk = make_loop(24 * MIB + extra)
    run(disk_image(tmp_path / "disk.img"), disk, fix_gpt=True)
    said = subprocess.run(
        ["sgdisk", "--verify", disk], capture_output=True, text=True, check=True
    ).stdout
    assert "No problems found" in said


def test_the_kernel_forgets_the_old_partitions(tmp_path: Path) -> None:
    image, backing = tmp_path / "disk.img", tmp_path / "backing"
    image.write_bytes(DATA)
    backing.write_bytes(bytes(32 * MIB))
    argv = ["losetup", "--find", "--show", "--partscan", str(backing)]
    disk = Path(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip())
    try:
        subprocess.run(["addpart", disk, "7", "2048", "8192"], check=True)
        assert Path(f"/sys/class/block/{disk.name}p7").exists()
        done, _ = run(image, disk)
        assert done.table_read
        assert not Path(f"/sys/class/block/{disk.name}p7").exists()
    finally:
        detach(disk)
