"""`write`: a stick on loop devices and regular files, and images on it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from bty_core.disks.file_target import file_disk
from bty_core.errors import CommandFailed
from bty_core.proc import run
from bty_core.stick.layout import IMAGES_NAME
from bty_core.values import size_text
from bty_media.commands import write as writing
from bty_media.exits import Exit
from bty_media.manifest import Kind
from bty_media.stick import fill
from bty_media.stick.device import as_device, mounted
from tests.conftest import MIB, MakeLoop
from tests.core.stick.test_prepare import forget_partitions
from tests.fakes.images import disk_image, zstd
from tests.media.running import STICK, bty_media, make_build, make_stick_build, make_stick_image

SIZE = 256 * MIB


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder of builds with one stick."""
    make_stick_build(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def stick(make_loop: MakeLoop) -> Iterator[Path]:
    """A disk that will be a stick, full of 0xFF."""
    disk = make_loop(SIZE)
    yield disk
    forget_partitions(disk)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two images: one with description and digest beside it, one with neither."""
    folder = tmp_path / "images"
    folder.mkdir()
    raw = disk_image(folder / "alpha.img", 24 * MIB)
    packed = folder / "beta.img.zst"
    packed.write_bytes(zstd(raw.read_bytes()))
    packed.with_name("beta.img.zst.yaml").write_text("description: the second one\n")
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    packed.with_name("beta.img.zst.sha256").write_text(f"{digest}  beta.img.zst\n")
    return [raw, packed]


@contextmanager
def looked_into(disk: Path, folder: Path) -> Iterator[Path]:
    """The images of a stick."""
    folder.mkdir()
    with mounted(Path(f"{disk}p4"), folder, read_only=True):
        yield folder


def empty_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.root
@pytest.mark.loop
@pytest.mark.exfat
class TestOnADisk:
    def test_a_stick_with_images(
        self, stick: Path, media: Path, images: list[Path], tmp_path: Path
    ) -> None:
        ran = bty_media("write", stick, "--output", media, "--yes", "--add", *images)
        assert (ran.code, ran.out) == (Exit.DONE, ""), ran.err
        image = next(media.glob("usb-*/*.img")).read_bytes()
        with stick.open("rb") as disk:
            written = disk.read(len(image))
        # But for the table, which has one partition more and its backup elsewhere.
        assert written[10 * MIB : -MIB] == image[10 * MIB : -MIB]
        assert "No problems found" in run(["sgdisk", "--verify", stick], timeout=60)
        with looked_into(stick, tmp_path / "stick") as found:
            assert sorted(one.name for one in found.iterdir()) == [
                "alpha.img",
                "alpha.img.sha256",
                "beta.img.zst",
                "beta.img.zst.sha256",
                "beta.img.zst.yaml",
            ]
            for one in images:
                assert (found / one.name).read_bytes() == one.read_bytes()
            subprocess.run(
                ["sha256sum", "--check", "--strict", "--quiet", "alpha.img.sha256"],
                cwd=found,
                check=True,
            )
        assert "clean" in run(["fsck.exfat", "-n", f"{stick}p4"], timeout=60)
        digest = hashlib.sha256(images[0].read_bytes()).hexdigest()
        assert ran.said[-4:-2] == [
            "bty-media: alpha.img is on the stick, read back and equal",
            f"      sha256:{digest}",
        ]

    def test_what_an_earlier_life_left_goes(
        self, stick: Path, media: Path, images: list[Path], tmp_path: Path
    ) -> None:
        first = bty_media("write", stick, "--output", media, "--yes", "--add", images[0])
        assert first.code == Exit.DONE
        ran = bty_media("write", stick, "--output", media, "--yes", "--add", images[1])
        assert ran.code == Exit.DONE, ran.err
        assert f"warning  the images that are in {IMAGES_NAME} on it now go as well" in ran.said
        with looked_into(stick, tmp_path / "stick") as found:
            assert not (found / "alpha.img").exists()
            assert (found / "beta.img.zst").exists()

    def test_without_images_the_partition_is_there_and_empty(
        self, stick: Path, media: Path, tmp_path: Path
    ) -> None:
        assert bty_media("write", stick, "--output", media, "--yes").code == Exit.DONE
        with looked_into(stick, tmp_path / "stick") as found:
            assert list(found.iterdir()) == []

    def test_a_stick_that_loses_data_is_found_out(
        self,
        stick: Path,
        media: Path,
        images: list[Path],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        copy = fill.copy_onto

        def lose(partition: Path, *more: object) -> dict[str, str]:
            digests = copy(partition, *more)  # type: ignore[arg-type]
            data = partition.read_bytes()
            at = data.index(images[0].read_bytes()[:4096])
            with partition.open("r+b") as file:
                file.seek(at + 100)
                file.write(b"\x00\x01\x02")
            return digests

        monkeypatch.setattr(writing, "copy_onto", lose)
        ran = bty_media("write", stick, "--output", media, "--yes", "--add", images[0])
        assert ran.code == Exit.INTEGRITY
        assert ran.said[-3:] == [
            f"bty-media: {stick}p4 does not hold alpha.img as it was copied",
            "     hint: take another stick: this one loses data",
            "     the stick boots; its images are not whole: write it again, or copy them",
        ]

    def test_a_wrong_digest_leaves_no_image_under_its_name(
        self, stick: Path, media: Path, images: list[Path], tmp_path: Path
    ) -> None:
        beside = images[1].with_name("beta.img.zst.sha256")
        beside.write_text(f"{'a' * 64}  beta.img.zst\n")
        ran = bty_media("write", stick, "--output", media, "--yes", "--add", *images)
        assert ran.code == Exit.INTEGRITY
        assert ran.said[-3].startswith("bty-media: beta.img.zst has the digest sha256:")
        with looked_into(stick, tmp_path / "stick") as found:
            assert sorted(one.name for one in found.iterdir()) == ["alpha.img", "alpha.img.sha256"]

    def test_an_interrupt_while_copying_unmounts_and_leaves_no_part(
        self,
        stick: Path,
        media: Path,
        images: list[Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        chunks = fill._chunks

        def stop(path: Path) -> Iterator[bytes]:
            for data in chunks(path):
                yield data
                raise KeyboardInterrupt

        monkeypatch.setattr(fill, "_chunks", stop)
        ran = bty_media("write", stick, "--output", media, "--yes", "--add", *images)
        assert ran.code == Exit.INTERRUPTED
        assert ran.said[-2:] == [
            "bty-media: interrupted",
            "     the stick boots; its images are not whole: write it again, or copy them",
        ]
        assert str(stick) not in Path("/proc/mounts").read_text()
        with looked_into(stick, tmp_path / "stick") as found:
            assert list(found.iterdir()) == []

    def test_a_mounted_disk_is_refused(self, stick: Path, media: Path, tmp_path: Path) -> None:
        run(["mkfs.exfat", stick], timeout=60)
        before = stick.read_bytes()
        (tmp_path / "in-use").mkdir()
        with mounted(stick, tmp_path / "in-use", read_only=True):
            ran = bty_media("write", stick, "--output", media, "--yes")
        assert ran.code == Exit.REFUSED
        assert f"bty-media: {stick} is in use: mounted on {tmp_path}/in-use" in ran.said
        assert ran.said[-1] == f"     nothing was written to {stick}"
        assert stick.read_bytes() == before

    def test_large_sectors_are_refused(self, make_loop: MakeLoop, media: Path) -> None:
        disk = make_loop(SIZE, sector=4096)
        ran = bty_media("write", disk, "--output", media, "--yes")
        assert ran.code == Exit.REFUSED
        assert any("is made for sectors of 512 bytes" in one for one in ran.said)

    def test_a_regular_file_gets_its_images_too(
        self, media: Path, images: list[Path], tmp_path: Path
    ) -> None:
        stick = empty_file(tmp_path / "stick.img", SIZE)
        attached = run(["losetup", "--list", "--noheadings", "--output", "NAME"], timeout=60)
        ran = bty_media("write", f"file:{stick}", "--output", media, "--yes", "--add", images[1])
        assert ran.code == Exit.DONE, ran.err
        assert "beta.img.zst is on the stick" in ran.err
        assert stick.stat().st_size == SIZE
        assert "No problems found" in run(["sgdisk", "--verify", stick], timeout=60)
        # Nothing of it stays attached.
        assert str(stick) not in run(["losetup", "--list", "--output", "BACK-FILE"], timeout=60)
        assert attached == run(
            ["losetup", "--list", "--noheadings", "--output", "NAME"], timeout=60
        )


class TestBeforeTheFirstWrite:
    def test_a_dry_run_shows_the_plan_and_writes_nothing(
        self, media: Path, images: list[Path], tmp_path: Path
    ) -> None:
        stick = empty_file(tmp_path / "stick.img", SIZE)
        words: list[str | Path] = ["write", f"file:{stick}", "--output", media, "--dry-run"]
        ran = bty_media(*words, "--add", *images)
        assert (ran.code, ran.err) == (Exit.DONE, "")
        lines = ran.out.splitlines()
        assert lines[0] == f"image    {media}/usb-1.0/bty-usb-1.0.img"
        assert lines[3] == "         from SHA256SUMS"
        assert lines[-3:] == [
            "then     BTY_IMAGES, 226 MB for images",
            *(f"         {one.name}, {size_text(one.stat().st_size)}" for one in images),
        ]
        assert stick.read_bytes() == bytes(SIZE)

    def test_without_a_terminal_somebody_has_to_say_yes(self, media: Path, tmp_path: Path) -> None:
        ran = bty_media("write", f"file:{tmp_path}/stick.img", "--output", media)
        assert (ran.code, ran.out) == (Exit.USAGE, "")
        assert ran.said == [
            "bty-media: nobody is there to confirm that the disk is erased",
            "     hint: look at the plan with --dry-run, then say --yes",
        ]

    @pytest.mark.parametrize("answer", ["\n", "y\n", "no\n", ""])
    def test_only_yes_means_yes(self, media: Path, tmp_path: Path, answer: str) -> None:
        stick = tmp_path / "stick.img"
        ran = bty_media("write", f"file:{stick}", "--output", media, answer=answer)
        assert ran.code == Exit.USAGE
        assert f"bty-media: nothing was written to {stick}" in ran.err
        assert not stick.exists()

    def test_a_file_that_grows_has_no_room_and_says_so(self, media: Path, tmp_path: Path) -> None:
        stick = tmp_path / "stick.img"
        ran = bty_media("write", f"file:{stick}", "--output", media, answer="yes\n")
        assert ran.code == Exit.DONE
        assert (
            f"warning  {stick} has no room for images behind the live environment:"
            " there will be no BTY_IMAGES" in ran.err
        )
        assert stick.stat().st_size == STICK

    def test_images_that_do_not_fit_are_refused(
        self, media: Path, images: list[Path], tmp_path: Path
    ) -> None:
        small = empty_file(tmp_path / "small.img", STICK + 70 * MIB)
        huge = empty_file(tmp_path / "huge.img", 67 * MIB)
        with huge.open("r+b") as file:
            file.write(images[0].read_bytes()[:MIB])
        ran = bty_media("write", f"file:{small}", "--output", media, "--yes", "--add", huge)
        assert ran.code == Exit.REFUSED
        assert ran.said[-3:] == [
            f"bty-media: the images take 70.3 MB, and BTY_IMAGES on {small} has room for 69.1 MB",
            "     hint: leave one away, or take a larger stick",
            f"     nothing was written to {small}",
        ]
        none = tmp_path / "none.img"
        ran = bty_media("write", f"file:{none}", "--output", media, "--yes", "--add", images[0])
        assert ran.code == Exit.REFUSED
        assert "has no room for images behind the live environment" in ran.said[-3]
        assert not none.exists()

    def test_without_root_images_cannot_be_put_on_it(
        self,
        media: Path,
        images: list[Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        stick = empty_file(tmp_path / "stick.img", SIZE)
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        words: list[str | Path] = ["write", f"file:{stick}", "--output", media, "--yes"]
        ran = bty_media(*words, "--add", images[0])
        assert ran.code == Exit.NEEDS_ROOT
        assert ran.said[-2:] == [
            f"bty-media: putting images into {stick} needs root",
            "     hint: run it again with sudo",
        ]
        assert stick.read_bytes() == bytes(SIZE)
        assert bty_media(*words).said[-1] == (
            "bty-media: BTY_IMAGES will be made when the stick starts a machine"
        )

    def test_an_image_that_is_no_stick_is_refused(self, images: list[Path], tmp_path: Path) -> None:
        target = tmp_path / "stick.img"
        ran = bty_media("write", f"file:{target}", "--image", images[0], "--yes")
        assert (ran.code, ran.out) == (Exit.REFUSED, "")
        assert ran.said == [
            "bty-media: alpha.img is no image of a stick: it has no partition 'bty-live'",
            "     hint: bty-media build usb makes one; bty flash writes any other image",
        ]
        assert not target.exists()

    def test_a_packed_stick_in_a_file_of_its_own(self, tmp_path: Path) -> None:
        image = tmp_path / "stick.img.zst"
        content = make_stick_image(tmp_path / "made.img").read_bytes()
        image.write_bytes(zstd(content, f"--stream-size={len(content)}"))
        target = tmp_path / "target.img"
        ran = bty_media("write", f"file:{target}", "--image", image, "--yes")
        assert ran.code == Exit.DONE, ran.err
        assert target.stat().st_size == STICK
        image.write_bytes(zstd(content))
        ran = bty_media("write", f"file:{target}", "--image", image, "--yes")
        assert (ran.code, ran.said) == (
            Exit.REFUSED,
            [
                "bty-media: stick.img.zst does not say how large the stick in it is",
                "     hint: unpack it first: zstd -d stick.img.zst",
            ],
        )

    def test_a_build_that_is_no_stick(self, tmp_path: Path) -> None:
        folder = make_build(tmp_path / "media", Kind.PXE, "1.0", {"vmlinuz": b"k"})
        ran = bty_media("write", "/dev/null", "--image", folder, "--yes")
        assert ran.code == Exit.USAGE
        assert ran.said[0] == f"bty-media: {folder} holds a build of pxe, not of a stick"
        ran = bty_media("write", "/dev/null", "--output", tmp_path / "media", "--yes")
        assert ran.code == Exit.UNREACHABLE
        assert ran.said[0] == f"bty-media: there is no build of usb in {tmp_path}/media"

    def test_a_damaged_build_leaves_a_disk_that_does_not_boot(
        self, media: Path, tmp_path: Path
    ) -> None:
        image = next(media.glob("usb-*/*.img"))
        with image.open("r+b") as file:
            file.seek(12 * MIB)
            file.write(b"damaged")
        target = tmp_path / "target.img"
        ran = bty_media("write", f"file:{target}", "--output", media, "--yes")
        assert ran.code == Exit.INTEGRITY
        assert ran.said[-1] == f"     {target} does not boot now; flash it again"
        assert target.read_bytes()[:MIB] == bytes(MIB)

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda folder: folder / "none.img", "there is no file {}/none.img"),
            (lambda folder: folder, "{} is a folder, not an image file"),
            (lambda folder: _named(folder, "notes.txt"), "'notes.txt' is no name that bty offers"),
            (lambda folder: _named(folder, "what?.img"), "'what?.img' cannot be the name of a file"),
            (lambda folder: _named(folder, "a.tar", b"x" * 257 + b"ustar"), "a.tar is a tar"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_on_a_stick_is_refused_before(
        self, media: Path, tmp_path: Path, make: Callable[[Path], Path], said: str
    ) -> None:
        folder = tmp_path / "here"
        folder.mkdir()
        target = tmp_path / "target.img"
        words: list[str | Path] = ["write", f"file:{target}", "--output", media, "--yes"]
        ran = bty_media(*words, "--add", make(folder))
        assert ran.code in (Exit.REFUSED, Exit.UNREACHABLE)
        assert said.format(folder) in ran.said[0]
        assert not target.exists()

    def test_two_images_of_one_name(self, media: Path, images: list[Path], tmp_path: Path) -> None:
        other = tmp_path / "ALPHA.img"
        other.write_bytes(images[0].read_bytes())
        words: list[str | Path] = ["write", f"file:{tmp_path}/x", "--output", media, "--yes"]
        ran = bty_media(*words, "--add", images[0], other)
        assert ran.code == Exit.REFUSED
        assert ran.said[0] == (f"bty-media: {images[0]} and {other} have the same name on a stick")


def _named(folder: Path, name: str, content: bytes = b"content" * 1000) -> Path:
    (folder / name).write_bytes(content.ljust(2048))
    return folder / name


@pytest.mark.root
@pytest.mark.loop
def test_a_loop_device_of_a_file_goes_also_after_a_failure(tmp_path: Path) -> None:
    backing = empty_file(tmp_path / "disk.img", 4 * MIB)

    def fail() -> None:
        with as_device(file_disk(backing)) as loop:
            assert loop.is_block_device()
            raise CommandFailed("odd")

    with pytest.raises(CommandFailed, match="odd"):
        fail()
    assert str(backing) not in run(["losetup", "--list", "--output", "BACK-FILE"], timeout=60)


def test_a_terminal_shows_a_line_that_is_drawn_again(tmp_path: Path, media: Path) -> None:
    words = ["-m", "bty_media", "write", f"file:{tmp_path}/x.img", "--output", str(media)]
    env = {**os.environ, "TERM": "xterm"}
    with pexpect.spawn(sys.executable, words, timeout=60, env=env, encoding="utf-8") as terminal:
        terminal.expect_exact(f"Erase {tmp_path}/x.img and make it a stick of bty? [yes/NO] ")
        terminal.sendline("yes")
        terminal.expect_exact("\r\x1b[K")
        terminal.expect_exact("bty-media: done: bty-usb-1.0.img is on ")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 0
