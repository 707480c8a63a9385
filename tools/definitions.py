"""Whether an installed bty-media brought its definitions along, with programs that can be started.

Started by the Python of an environment that wheels were installed into.
"""

from __future__ import annotations

import os

from bty_media.builder.request import DEFINITIONS

STARTED = {"mkosi.build", "mkosi.finalize", "mkosi.postinst", "mkosi.prepare"}


def main() -> None:
    """Raise where something is missing."""
    files = [one for one in DEFINITIONS.rglob("*") if one.is_file()]
    assert DEFINITIONS / "mkosi.conf" in files, f"{DEFINITIONS} holds no mkosi.conf"
    programs = [one for one in files if one.name.removesuffix(".chroot") in STARTED]
    assert programs, f"{DEFINITIONS} holds no programs"
    for program in programs:
        assert os.access(program, os.X_OK), f"{program} cannot be started"
    print(f"{len(files)} files of definitions, {len(programs)} of them are started by mkosi")


if __name__ == "__main__":
    main()
