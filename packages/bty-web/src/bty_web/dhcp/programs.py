"""The iPXE programs that firmware loads: which there are, where they come from, and what one must look like."""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from bty_core.errors import BtyError, InvalidValue
from bty_web.dhcp.durable import settle, sync_folder, unwritable, write_durably

LARGEST = (
    4 * 1024 * 1024
)  # bytes; iPXE itself is below 1.2 MB, and old UNDI firmware chokes on more
PACKAGE = "ipxe"  # Debian's

_CHUNK = 64 * 1024
_EFI_APPLICATION = 10
_X86_64 = 0x8664
_ARM64 = 0xAA64


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that firmware loads by name."""

    name: str
    purpose: str
    sources: tuple[str, ...]  # where Debian's package has it; newer releases first
    machine: int | None = None  # what its PE header must say; None for BIOS
    needed: bool = True


PROGRAMS = (
    Program(name="undionly.kpxe", purpose="BIOS machines", sources=("usr/lib/ipxe/undionly.kpxe",)),
    Program(
        name="snponly.efi",
        purpose="UEFI machines, with the network driver of their firmware",
        sources=("usr/lib/ipxe/snponly.efi",),
        machine=_X86_64,
    ),
    Program(
        name="ipxe.efi",
        purpose="UEFI machines, with iPXE's own network drivers",
        sources=("usr/lib/ipxe/ipxe-amd64.efi", "usr/lib/ipxe/ipxe.efi", "boot/ipxe.efi"),
        machine=_X86_64,
    ),
    Program(
        name="ipxe-arm64.efi",
        purpose="ARM machines with UEFI",
        sources=("usr/lib/ipxe/ipxe-arm64.efi", "boot/ipxe-arm64.efi"),
        machine=_ARM64,
        needed=False,  # Debian 12's package has none
    ),
)


class ProgramRefused(InvalidValue):
    """The file is not the boot program that its name promises."""

    code = "boot-program-refused"


class Readable(Protocol):
    """Something that gives its bytes in pieces, such as an upload."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A program that is in the TFTP folder."""

    name: str
    purpose: str
    size: int
    sha256: str
    origin: str  # Debian's package, or an upload

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "purpose": self.purpose,
            "size": self.size,
            "sha256": self.sha256,
            "origin": self.origin,
        }


def find(name: str) -> Program:
    """Return the program called `name`; raise `ProgramRefused` with the names that firmware asks for."""
    for program in PROGRAMS:
        if program.name == name:
            return program
    known = ", ".join(program.name for program in PROGRAMS)
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:60])
    raise ProgramRefused(
        f"no firmware asks for a boot program called '{shown}'", hint=f"name it one of {known}"
    )


def present(tftp_root: Path, *, root: Path = Path("/")) -> list[Present]:
    """Return the programs that are in `tftp_root`. `root` is where Debian's package is installed."""
    found: list[Present] = []
    for program in PROGRAMS:
        content = _content(tftp_root / program.name)
        if content is None:
            continue
        packaged = _packaged(program, root)
        found.append(
            Present(
                name=program.name,
                purpose=program.purpose,
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                origin=f"Debian's package {PACKAGE}" if content == packaged else "upload",
            )
        )
    return found


def missing(tftp_root: Path) -> list[Program]:
    """Return the programs that are needed and not in `tftp_root`."""
    return [
        program
        for program in PROGRAMS
        if program.needed and not (tftp_root / program.name).is_file()
    ]


def install(tftp_root: Path, *, root: Path = Path("/")) -> list[str]:
    """Copy from Debian's package what `tftp_root` lacks, and return the names. What is there stays."""
    copied: list[str] = []
    for program in PROGRAMS:
        if (tftp_root / program.name).exists():
            continue
        if content := _packaged(program, root):
            _make(tftp_root)
            write_durably(tftp_root / program.name, content)
            copied.append(program.name)
    return copied


def refresh(
    tftp_root: Path, placed: Mapping[str, str], *, root: Path = Path("/")
) -> dict[str, str]:
    """Bring what `tftp_root` has from Debian's package up to the package; return what it has from there now.

    `placed` and the answer are digests by name. What is not what was placed is an upload, and stays.
    """
    made: dict[str, str] = {}
    for program in PROGRAMS:
        packaged = _packaged(program, root)
        if packaged is None:
            continue
        fresh = hashlib.sha256(packaged).hexdigest()
        content = _content(tftp_root / program.name)
        there = None if content is None else hashlib.sha256(content).hexdigest()
        if there not in (None, fresh, placed.get(program.name)):
            continue
        if there != fresh:
            _make(tftp_root)
            write_durably(tftp_root / program.name, packaged)
        made[program.name] = fresh
    return made


def place(tftp_root: Path, name: str, stream: Readable) -> Present:
    """Put an uploaded program at its name; raise `ProgramRefused` and leave the old one otherwise."""
    program = find(name)
    path = tftp_root / name
    _make(tftp_root)
    try:
        handle, fresh = tempfile.mkstemp(prefix=f".{name}.", dir=tftp_root)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        with os.fdopen(handle, "w+b") as file:
            size, digest = _receive(stream, file, name)
            file.seek(0)
            _inspect(program, file.read())
            settle(file.fileno())
        Path(fresh).replace(path)
        sync_folder(tftp_root)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):
            Path(fresh).unlink()
    return Present(name=name, purpose=program.purpose, size=size, sha256=digest, origin="upload")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder / "", error) from None


def _receive(stream: Readable, file: IO[bytes], name: str) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while piece := _piece(stream, name):
        size += len(piece)
        if size > LARGEST:
            raise ProgramRefused(
                f"{name} is larger than {LARGEST} bytes, and no iPXE is",
                hint="upload the iPXE program itself, not an ISO or an archive",
            )
        digest.update(piece)
        file.write(piece)
    file.flush()
    return size, digest.hexdigest()


def _piece(stream: Readable, name: str) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ProgramRefused(
            f"the upload of {name} broke off: {why}", hint="upload the file again"
        ) from None


def _inspect(program: Program, content: bytes) -> None:
    """Raise `ProgramRefused` unless `content` looks like what firmware will run under this name."""
    if not content:
        raise ProgramRefused(f"{program.name} is empty", hint="upload the file again")
    if content.lstrip()[:1] == b"<":
        raise ProgramRefused(
            f"{program.name} is a page of text, not a program",
            hint="the download was answered with a web page; fetch it again",
        )
    if program.machine is None:
        # Its own loader begins with a far jump, that of a boot sector or a Linux kernel does not.
        if content[:1] != b"\xea" or b"UNDI" not in content:
            raise ProgramRefused(
                f"{program.name} is not an iPXE program for BIOS",
                hint="upload the undionly.kpxe of iPXE",
            )
        return
    kind = _pe(content)
    if kind is None:
        raise ProgramRefused(
            f"{program.name} is not an EFI program", hint=f"upload the {program.name} of iPXE"
        )
    machine, subsystem = kind
    if machine != program.machine or subsystem != _EFI_APPLICATION:
        raise ProgramRefused(
            f"{program.name} is not for {program.purpose}: its header says machine {machine:#06x},"
            f" subsystem {subsystem}",
            hint=f"machine {program.machine:#06x} and subsystem {_EFI_APPLICATION} are expected",
        )


def _pe(content: bytes) -> tuple[int, int] | None:
    """Return machine and subsystem of a PE program, or None."""
    try:
        (at,) = struct.unpack_from("<I", content, 60)
        machine, subsystem = (
            struct.unpack_from("<H", content, at + place)[0] for place in (4, 24 + 68)
        )
    except (struct.error, OverflowError):
        return None
    if content[:2] != b"MZ" or content[at : at + 4] != b"PE\0\0":
        return None
    return machine, subsystem


def _packaged(program: Program, root: Path) -> bytes | None:
    for source in program.sources:
        content = _content(root / source)
        if content is None:
            continue
        with suppress(BtyError):  # a file that is not what it should be is not offered
            _inspect(program, content)
            return content
    return None


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError:
        return None
