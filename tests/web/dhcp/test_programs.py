"""The programs that firmware loads: copied from Debian's package, uploaded, and looked at first."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path

import pytest

from bty_web.dhcp import programs
from bty_web.dhcp.programs import ProgramRefused

UNDI = b"\xea\x05\x00\xc0\x07" + b"UNDI" + bytes(1000)


def efi(machine: int = 0x8664, subsystem: int = 10, more: bytes = b"") -> bytes:
    """Return what looks like an EFI program."""
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<H", machine) + bytes(18)
    return head + coff + bytes(68) + struct.pack("<H", subsystem) + more


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A system with the ipxe package of Debian 13."""
    root = tmp_path / "system"
    (root / "usr/lib/ipxe").mkdir(parents=True)
    for name, content in {
        "undionly.kpxe": UNDI,
        "snponly.efi": efi(more=b"snponly"),
        "ipxe-amd64.efi": efi(more=b"ipxe"),
        "ipxe-arm64.efi": efi(0xAA64),
    }.items():
        (root / "usr/lib/ipxe" / name).write_bytes(content)
    return root


def test_what_is_missing_is_copied_and_what_is_there_stays(tmp_path: Path, package: Path) -> None:
    tftp = tmp_path / "tftp"
    assert [program.name for program in programs.missing(tftp)] == [
        "undionly.kpxe",
        "snponly.efi",
        "ipxe.efi",
    ]
    programs.place(tftp, "snponly.efi", io.BytesIO(efi(more=b"mine")))
    assert programs.install(tftp, root=package) == ["undionly.kpxe", "ipxe.efi", "ipxe-arm64.efi"]
    assert programs.install(tftp, root=package) == []
    assert programs.missing(tftp) == []
    told = [(one.name, one.size, one.origin) for one in programs.present(tftp, root=package)]
    assert told == [
        ("undionly.kpxe", len(UNDI), "Debian's package ipxe"),
        ("snponly.efi", len(efi(more=b"mine")), "upload"),
        ("ipxe.efi", len(efi(more=b"ipxe")), "Debian's package ipxe"),
        ("ipxe-arm64.efi", len(efi()), "Debian's package ipxe"),
    ]
    assert {path.stat().st_mode & 0o777 for path in tftp.iterdir()} == {0o644}
    assert tftp.stat().st_mode & 0o777 == 0o755


def test_without_the_package_nothing_is_copied(tmp_path: Path) -> None:
    assert programs.install(tmp_path / "tftp", root=tmp_path) == []
    assert programs.present(tmp_path / "tftp", root=tmp_path) == []


@pytest.mark.skipif(
    not Path("/usr/lib/ipxe/undionly.kpxe").exists(), reason="Debian's package ipxe is missing"
)
def test_the_programs_of_the_real_package_are_taken(tmp_path: Path) -> None:
    copied = programs.install(tmp_path / "tftp")
    assert copied[:3] == ["undionly.kpxe", "snponly.efi", "ipxe.efi"]


def test_an_upload_is_put_at_its_name(tmp_path: Path) -> None:
    content = efi(more=b"new")
    placed = programs.place(tmp_path, "ipxe.efi", io.BytesIO(content))
    assert placed.wire() == {
        "name": "ipxe.efi",
        "purpose": "UEFI machines, with iPXE's own network drivers",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "origin": "upload",
    }
    assert (tmp_path / "ipxe.efi").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../x", UNDI, "no firmware asks for a boot program called '../x'"),
        ("grub.efi", efi(), "no firmware asks for a boot program called 'grub.efi'"),
        ("ipxe.efi", b"", "ipxe.efi is empty"),
        ("ipxe.efi", b"\n<!doctype html>", "ipxe.efi is a page of text, not a program"),
        ("undionly.kpxe", b"<html>", "undionly.kpxe is a page of text, not a program"),
        ("ipxe.efi", b"MZ" + bytes(30), "ipxe.efi is not an EFI program"),
        ("ipxe.efi", b"MZ" + b"\xff" * 300, "ipxe.efi is not an EFI program"),
        ("undionly.kpxe", efi(), "undionly.kpxe is not an iPXE program for BIOS"),
        (
            "ipxe.efi",
            efi(0xAA64),
            "ipxe.efi is not for UEFI machines, with iPXE's own network drivers:"
            " its header says machine 0xaa64, subsystem 10",
        ),
        (
            "ipxe.efi",
            efi() + bytes(4 * 1024 * 1024),
            "ipxe.efi is larger than 4194304 bytes, and no iPXE is",
        ),
    ],
)
def test_what_firmware_cannot_run_is_refused_and_the_old_one_stays(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / "ipxe.efi").write_bytes(b"old")
    with pytest.raises(ProgramRefused) as failure:
        programs.place(tmp_path, name, io.BytesIO(content))
    assert failure.value.message == message
    assert failure.value.hint
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("ipxe.efi", b"old")]


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError("gone")

    with pytest.raises(ProgramRefused, match=r"^the upload of ipxe\.efi broke off: gone$"):
        programs.place(tmp_path, "ipxe.efi", Broken())
    assert list(tmp_path.iterdir()) == []
