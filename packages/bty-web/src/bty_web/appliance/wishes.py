"""Reading what bty-web has written: its folders are its own, so any file in them may be a trap."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

from bty_core.errors import InvalidValue, NeedsRoot
from bty_web.services.appliance import MOST_BYTES

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without waiting for the other end of a pipe.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read(state_dir: Path, below: tuple[str, ...]) -> bytes | None:
    """Return the content of the file `below` the state folder; None where there is none.

    Raises `InvalidValue` for what is not a plain file of the folder's owner, is too long, or is behind a link.
    """
    shown = state_dir.joinpath(*below)
    try:
        folder = os.open(state_dir, _FOLDER)
        for name in below[:-1]:
            with closing(_Handle(folder)):
                folder = os.open(name, _FOLDER, dir_fd=folder)
        with closing(_Handle(folder)):
            owner = os.fstat(folder).st_uid
            file = os.open(below[-1], _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise NeedsRoot(f"{shown} may not be read", hint="run this as root") from None
    except OSError as error:
        raise _refused(shown, (error.strerror or str(error)).lower()) from None
    with os.fdopen(file, "rb") as content:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(shown, "it is not a plain file")
        # A second name for somebody else's file is as good as a link to it.
        if found.st_uid != owner or found.st_nlink != 1:
            raise _refused(shown, "it is not the file of who owns the folder alone")
        text = content.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise _refused(shown, f"it is larger than {MOST_BYTES} bytes")
    return text


class _Handle:
    """A descriptor that `closing` takes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        os.close(self.number)


def _refused(path: Path, why: str) -> InvalidValue:
    return InvalidValue(
        f"{path} cannot be used: {why}", hint="save it again on the page that wrote it"
    )
