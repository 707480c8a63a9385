"""What a file is, by its first bytes; and what is refused by name."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from bty_core.errors import ImageCorrupt, ImageRefused
from bty_core.images.formats import SNIFF_BYTES, Format, refuse_decoded, sniff
from tests.fakes.images import STREAMS, content


def tar(form: int) -> bytes:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w", format=form) as archive:
        entry = tarfile.TarInfo("disk.img")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"abcd"))
    return room.getvalue()


def old_tar() -> bytes:
    """A tar of the seventh edition of Unix, which has no magic number."""
    header = bytearray(tar(tarfile.USTAR_FORMAT)[:512])
    header[257:512] = bytes(255)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + bytes(1024)


def zipped() -> bytes:
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w") as archive:
        archive.writestr("disk.img", b"abcd")
    return room.getvalue()


REFUSED = {
    "a zip archive": zipped(),
    "a tar archive": tar(tarfile.GNU_FORMAT),
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "a RAR archive": b"Rar!\x1a\x07\x01\x00" + bytes(100),
    "an ar archive or Debian package": b"!<arch>\ndebian-binary" + bytes(100),
    "a cpio archive": b"070701" + bytes(100),
    "an RPM package": b"\xed\xab\xee\xdb" + bytes(100),
    "a Windows WIM archive": b"MSWIM\0\0\0" + bytes(100),
    "a VMware VMDK disk": b"KDMV\x01\0\0\0" + bytes(100),
    "a Hyper-V VHDX disk": b"vhdxfile" + bytes(100),
    "a Hyper-V VHD disk": b"conectix" + bytes(100),
    "a VirtualBox VDI disk": b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0")
    + b"\x7f\x10\xda\xbe",
    "an Android sparse image": b"\x3a\xff\x26\xed" + bytes(100),
    "compressed with LZ4, which bty does not read": b"\x04\x22\x4d\x18" + bytes(100),
    "compressed with lzip, which bty does not read": b"LZIP\x01" + bytes(100),
    "compressed with compress, which bty does not read": b"\x1f\x9d\x90" + bytes(100),
    "an LZMA file of the old kind": b"\x5d\x00\x00\x80\x00" + b"\xff" * 8 + bytes(100),
    "an HTML or XML page": b"\n <!DOCTYPE html><html><head><title>404</title>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:",
}


@pytest.mark.parametrize("kind", STREAMS)
def test_the_content_tells_the_format(kind: str) -> None:
    stored = STREAMS[kind][1](content(5000))
    assert sniff(stored[:SNIFF_BYTES], "misleading.txt") == kind.split(maxsplit=1)[0]


def test_qcow2_is_known() -> None:
    assert sniff(b"QFI\xfb\0\0\0\3" + bytes(100), "disk.img") is Format.QCOW2


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_disk_is_refused_by_name(what: str) -> None:
    with pytest.raises(ImageRefused) as caught:
        sniff(REFUSED[what][:SNIFF_BYTES], "my disk.img.zst")
    assert caught.value.message == f"my disk.img.zst is {what}, not a disk image"
    assert caught.value.hint


@pytest.mark.parametrize("archive", [tar(tarfile.USTAR_FORMAT), tar(tarfile.PAX_FORMAT), old_tar()])
def test_each_kind_of_tar_is_known(archive: bytes) -> None:
    with pytest.raises(ImageRefused, match="is a tar archive"):
        sniff(archive[:SNIFF_BYTES], "x")


def test_an_archive_inside_a_stream_is_refused() -> None:
    with pytest.raises(ImageRefused) as caught:
        refuse_decoded(tar(tarfile.USTAR_FORMAT)[:SNIFF_BYTES], "rootfs.tar.gz", Format.GZIP)
    assert (
        caught.value.message
        == "the gzip stream in rootfs.tar.gz is a tar archive, not a disk image"
    )


def test_a_stream_inside_a_stream_is_refused() -> None:
    with pytest.raises(ImageRefused) as caught:
        refuse_decoded(STREAMS["xz"][1](b"abc"), "disk.img.xz.zst", Format.ZSTD)
    assert caught.value.message == "the zstd stream in disk.img.xz.zst holds xz data, not a disk"
    assert caught.value.hint == "take off one layer: decompress disk.img.xz.zst"


def test_an_empty_file_is_an_error() -> None:
    with pytest.raises(ImageCorrupt) as caught:
        sniff(b"", "disk.img")
    assert caught.value.message == "disk.img is empty"


@pytest.mark.parametrize(
    "start", [b"\0" * 512, b"\xeb\x63\x90", b"BZh not quite", b"0" * 512, b"\x5d\x00\x00\x01"]
)
def test_what_is_not_known_is_raw(start: bytes) -> None:
    assert sniff(start, "disk.img") is Format.RAW
