"""Fetch the firmware of the lab's machines: ``python -m tools.lab_firmware FOLDER``.

Debian 13's, whatever this machine is: the UEFI of Debian 12 waits for minutes before it starts a disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bty_core.errors import BtyError
from bty_media.host.debian import fetch_packages, mirror_of

PACKAGES = ("ovmf", "ipxe")


def main(folder: Path) -> str | None:
    """Fetch it where it is not there; return what went wrong, or None."""
    if folder.is_dir():
        return None
    try:
        fetch_packages(PACKAGES, folder, mirror_of(None))
    except BtyError as error:
        return f"lab: {error.message}; {error.hint}"
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
