"""What the firmware says this machine is, from SMBIOS by way of sysfs."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

from bty_core.disks.sysfs import read_text
from bty_core.machine.model import Identity

# What makers leave in the fields that they should have filled, in lower case without punctuation.
_PLACEHOLDERS = frozenset(
    {
        "to be filled by oem",
        "tobefilledbyoem",
        "default string",
        "system manufacturer",
        "system product name",
        "system serial number",
        "system version",
        "system name",
        "serial number",
        "product name",
        "not specified",
        "not applicable",
        "not available",
        "not present",
        "not defined",
        "none",
        "null",
        "na",
        "n a",
        "oem",
        "oem string",
        "o e m",
        "unknown",
        "undefined",
        "invalid",
        "empty",
        "sernum",
        "chassis serial number",
        "123456789",
        "0123456789",
        "01234567890123456789ab",
        "1234567890",
    }
)
# Written into whole series of boards.
_SHARED_UUIDS = frozenset(
    {"03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"}
)


def read_identity(root: Path = Path("/")) -> Identity:
    """Read what the machine whose file tree starts at `root` is called by its firmware."""
    folder = root / "sys/class/dmi/id"
    return Identity(
        vendor=meaningful(read_text(folder / "sys_vendor")),
        product=meaningful(read_text(folder / "product_name")),
        serial=meaningful(read_text(folder / "product_serial")),
        uuid=plausible_uuid(read_text(folder / "product_uuid")),
    )


def meaningful(text: str | None) -> str | None:
    """Return `text`, or None where it is a maker's placeholder or one sign repeated."""
    if text is None:
        return None
    plain = re.sub(r"[^a-z0-9]+", " ", text.lower().replace(".", "")).strip()
    if plain in _PLACEHOLDERS or len(set(plain.replace(" ", ""))) < 2:
        return None
    return text


def plausible_uuid(text: str | None) -> str | None:
    """Return the SMBIOS UUID in lower case, or None where it tells nothing apart."""
    if text is None:
        return None
    try:
        found = str(UUID(text))
    except ValueError:
        return None
    if found in _SHARED_UUIDS or len(set(found.replace("-", ""))) < 2:
        return None
    return found
