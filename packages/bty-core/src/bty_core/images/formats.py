"""What a file is, by its first bytes: mirrors rename files and servers lie about types."""

from __future__ import annotations

import re
from enum import StrEnum

from bty_core.errors import ImageCorrupt, ImageRefused

# Enough for every magic number below; the farthest one ends a tar header.
SNIFF_BYTES = 512


class Format(StrEnum):
    """How the bytes of an image are stored."""

    RAW = "raw"
    GZIP = "gzip"
    XZ = "xz"
    BZIP2 = "bzip2"
    ZSTD = "zstd"
    QCOW2 = "qcow2"

    @property
    def compressed(self) -> bool:
        """Whether a decoder stands between the file and the disk."""
        return self is not Format.RAW


_MAGIC = (
    (re.compile(rb"\x1f\x8b"), Format.GZIP),
    (re.compile(rb"\xfd7zXZ\x00"), Format.XZ),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"), Format.BZIP2),
    (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), Format.ZSTD),
    (re.compile(rb"QFI\xfb"), Format.QCOW2),
)

_UNPACK = "unpack it and flash the disk image that is inside"
_CONVERT = "convert it first: qemu-img convert -O qcow2 {name} {name}.qcow2"
_DECOMPRESS = "decompress it, and compress it with zstd if it should stay small"
_FETCH = "open the address in a browser: the server answered with a page instead of the image"

# What is never the start of a disk: pattern at the first byte -> what it is, and what to do.
_REFUSED = (
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip archive", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (rb"!<arch>\n", "an ar archive or Debian package", _UNPACK),
    (rb"07070[127]", "a cpio archive", _UNPACK),
    (rb"\xed\xab\xee\xdb", "an RPM package", _UNPACK),
    (
        rb"MSWIM\x00\x00\x00",
        "a Windows WIM archive",
        "apply it with wimlib or DISM; flash a disk image instead",
    ),
    (rb"KDMV|COWD|# Disk DescriptorFile", "a VMware VMDK disk", _CONVERT),
    (rb"vhdxfile", "a Hyper-V VHDX disk", _CONVERT),
    (rb"conectix", "a Hyper-V VHD disk", _CONVERT),
    (rb"(?s:.{64})\x7f\x10\xda\xbe", "a VirtualBox VDI disk", _CONVERT),
    (rb"\x3a\xff\x26\xed", "an Android sparse image", "turn it into a plain image with simg2img"),
    (
        rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18",
        "compressed with LZ4, which bty does not read",
        _DECOMPRESS,
    ),
    (rb"LZIP\x01", "compressed with lzip, which bty does not read", _DECOMPRESS),
    (rb"\x1f[\x9d\xa0]", "compressed with compress, which bty does not read", _DECOMPRESS),
    (
        rb"\x5d\x00\x00(?s:.)(?s:.)(\xff{8}|(?s:.){5}\x00{3})",
        "an LZMA file of the old kind",
        _DECOMPRESS,
    ),
    (
        rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|\?xml)",
        "an HTML or XML page",
        _FETCH,
    ),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
)
_REFUSED_PATTERNS = tuple((re.compile(pattern), what, hint) for pattern, what, hint in _REFUSED)


def sniff(head: bytes, name: str) -> Format:
    """Return the format of the file that starts with `head` (its first `SNIFF_BYTES`, or all of a shorter one).

    Raises `ImageRefused` for what is known to be no disk image, and `ImageCorrupt` for an empty file.
    """
    if not head:
        raise ImageCorrupt(f"{name} is empty", hint="fetch or copy it again")
    refuse_non_disk(head, name)
    return next((form for pattern, form in _MAGIC if pattern.match(head)), Format.RAW)


def refuse_decoded(head: bytes, name: str, outer: Format) -> None:
    """Raise `ImageRefused` where the decoded bytes, of which `head` is the start, are no disk either."""
    where = f"the {outer} stream in {name}"
    refuse_non_disk(head, where)
    inner = next((form for pattern, form in _MAGIC if pattern.match(head)), None)
    if inner is not None:
        raise ImageRefused(
            f"{where} holds {inner} data, not a disk", hint=f"take off one layer: decompress {name}"
        )


def refuse_non_disk(head: bytes, what: str) -> None:
    """Raise `ImageRefused` where `head` is the start of something known that is no disk."""
    for pattern, kind, hint in _REFUSED_PATTERNS:
        if pattern.match(head):
            raise ImageRefused(f"{what} is {kind}, not a disk image", hint=hint.format(name=what))
    if _is_tar(head):
        raise ImageRefused(f"{what} is a tar archive, not a disk image", hint=_UNPACK)


def _is_tar(head: bytes) -> bool:
    if head[257:262] == b"ustar":
        return True
    header = head[:512]
    field = header[148:156].strip(b" \x00")
    # The oldest tars have no magic, but every tar header carries the sum of its own bytes in octal.
    if len(header) < 512 or not re.fullmatch(rb"[0-7]{4,7}", field) or not header[0]:
        return False
    return sum(header) - sum(header[148:156]) + 8 * 0x20 == int(field, 8)
