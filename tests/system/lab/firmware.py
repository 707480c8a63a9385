"""What machines start with: SeaBIOS comes with QEMU, OVMF and iPXE from Debian 13's packages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Where `nox` unpacks the packages `ovmf` and `ipxe`; another folder can be named.
FOLDER = Path(os.environ.get("BTY_LAB_FIRMWARE", ROOT / ".nox" / "lab" / "firmware"))
OVMF = FOLDER / "usr/share/OVMF"
IPXE = FOLDER / "usr/lib/ipxe"


class Firmware(StrEnum):
    """How a machine starts."""

    BIOS = "bios"
    UEFI = "uefi"
    SECURE = "secure"  # UEFI with Microsoft's keys, and Secure Boot on

    @property
    def asks_again(self) -> int:
        """Within how many seconds it asks once more, on its way to its own disk: after PXE comes HTTP boot."""
        return 0 if self is Firmware.BIOS else 20


@dataclass(frozen=True, slots=True)
class Flash:
    """The two halves of a UEFI firmware: its code, and the variables that each machine copies."""

    code: Path
    variables: Path


FLASHES = {
    Firmware.UEFI: Flash(OVMF / "OVMF_CODE_4M.fd", OVMF / "OVMF_VARS_4M.fd"),
    Firmware.SECURE: Flash(OVMF / "OVMF_CODE_4M.secboot.fd", OVMF / "OVMF_VARS_4M.ms.fd"),
}
# What policies and faults are tried on: one firmware, or both with `nox -s lab -- full`.
TRIED = (Firmware.BIOS, Firmware.UEFI) if os.environ.get("BTY_LAB_FULL") else (Firmware.BIOS,)
PROGRAMS = ("undionly.kpxe", "snponly.efi", "ipxe.efi")  # what a server hands out


def missing() -> str | None:
    """Return what is not there, or None."""
    wanted = [half for one in FLASHES.values() for half in (one.code, one.variables)]
    wanted += [IPXE / name for name in PROGRAMS]
    lost = [str(path) for path in wanted if not path.is_file()]
    return f"not there: {', '.join(lost)}; ./dev test vm fetches it" if lost else None
