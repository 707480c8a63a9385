"""The appliance's root helper: ``python -m bty_web.dhcp.apply VALUES.json TARGET.conf``.

A directive of dnsmasq can run programs as root, so no text that bty-web wrote is used here. Only the values file is
read; they are checked, the configuration is rendered again by the same code, tested, and written at once or not at
all. No values file means off.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from bty_core.errors import BtyError, InvalidValue, NeedsRoot, Refused, WriteFailed
from bty_web.dhcp.dnsmasq import check, render
from bty_web.dhcp.durable import sync_folder, unwritable, write_durably
from bty_web.dhcp.values import ProxyDhcp

_MOST = 64 * 1024  # bytes of values


def apply(values: Path, target: Path) -> str:
    """Make `target` what `values` says, and return a sentence; on raise nothing was written."""
    _guard(target.parent)
    text = _read(values)
    if text is None:
        return _off(target)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidValue(f"{values} is not JSON", hint="save the settings again") from None
    proxy = ProxyDhcp.from_wire(message)
    configuration = render(proxy)
    check(configuration)
    write_durably(target, configuration.encode())
    return f"proxy-DHCP on {proxy.interface} for {proxy.subnet}: {target} is written"


def _guard(folder: Path) -> None:
    # Who may write to the folder could put any text at the target's name after it was checked.
    try:
        found = folder.stat()
    except OSError as error:
        raise unwritable(folder / "", error) from None
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise Refused(
            f"{folder} belongs to somebody else, or others may write to it",
            hint=f"make it root's own: chown root: {folder}; chmod 755 {folder}",
        )


def _read(path: Path) -> bytes | None:
    try:
        # Not through a symlink, and not waiting for a pipe: the file is bty-web's to replace.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise NeedsRoot(f"{path} may not be read", hint="run this as root") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InvalidValue(f"{path} cannot be read: {why}", hint="give a plain file") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InvalidValue(f"{path} is not a plain file", hint="save the settings again")
        text = file.read(_MOST + 1)
    if len(text) > _MOST:
        raise InvalidValue(f"{path} is larger than {_MOST} bytes", hint="save the settings again")
    return text


def _off(target: Path) -> str:
    try:
        target.unlink()
        sync_folder(target.parent)
    except FileNotFoundError:
        return "proxy-DHCP is off"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise WriteFailed(f"{target} cannot be removed: {why}", hint="run this as root") from None
    return f"proxy-DHCP is off: {target} is removed"


def main(argv: Sequence[str]) -> int:
    """Do it and say so; 0 done, 1 refused or failed and nothing written, 2 wrong call."""
    if len(argv) != 2:
        sys.stderr.write("usage: python -m bty_web.dhcp.apply VALUES.json TARGET.conf\n")
        return 2
    try:
        said = apply(Path(argv[0]), Path(argv[1]))
    except BtyError as error:
        sys.stderr.write(f"bty: {error}\n")
        if error.hint:
            sys.stderr.write(f"     hint: {error.hint}\n")
        return 1
    sys.stdout.write(f"bty: {said}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
