"""What workflows of CIJOE left: one archive for each attempt, kept as it came, and one for each run of the server."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy.orm import Session

from bty_core.errors import BtyError
from bty_core.values import MIB
from bty_core.wire.fields import InvalidField
from bty_web.dhcp import durable
from bty_web.errors import NotFound
from bty_web.models import Attempt, Machine
from bty_web.services.history import Actor, record
from bty_web.services.machines import touch

MOST = 32 * MIB
_FOLDER = "reports"
_PAGE = "report.html"
_LARGEST_PAGE = 16 * MIB
_LARGEST_HEAD = MIB
_UNPACKED = 128 * MIB  # as far as the page is looked for
_MEMBERS = 10_000
_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error)


def checked(data: bytes) -> bytes:
    """Return a report as it came; raise `InvalidField` for what is no tar.gz."""
    try:
        with _opened(io.BytesIO(data), _LARGEST_HEAD) as tar:
            tar.next()
    except _BROKEN as error:
        raise InvalidField("", "this is no tar.gz") from error
    return data


def keep(
    session: Session,
    state_dir: Path,
    machine: Machine,
    attempt: Attempt,
    data: bytes,
    now: datetime,
) -> None:
    """Keep the report of an attempt, which was `checked`, in place of an earlier one."""
    try:
        _write(of_attempt(state_dir, attempt.id), data)
    except OSError as error:
        raise BtyError(f"the report cannot be kept: {error.strerror}") from error
    known, attempt.report_at = attempt.report_at, now
    touch(machine)
    if known is None:
        record(
            session,
            "attempt.report",
            f"the report of the workflow of attempt {attempt.id} came",
            by=Actor("machine", attempt.client),
            now=now,
            machine=machine,
            attempt=attempt,
        )


def pack(output: Path, path: Path) -> bool:
    """Keep what cijoe left in `output` as the report `path`; False where it is too large."""
    made = _Limited()
    try:
        with tarfile.open(fileobj=made, mode="w:gz") as tar:
            tar.add(output, arcname="report", filter=_plain)
    except _TooLargeError:
        return False
    _write(path, made.getvalue())
    return True


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what is no file or folder, and whose it was."""
    if not (member.isreg() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


class _Limited(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MOST:
            raise _TooLargeError
        return super().write(data)


class _TooLargeError(Exception):
    """More than a report may have."""


def page(path: Path) -> bytes:
    """Return the page that cijoe made, out of the report `path`; raise `NotFound`."""
    with suppress(*_BROKEN), path.open("rb") as file, _opened(file, _UNPACKED) as tar:
        for number, member in enumerate(tar):
            if member.isreg() and member.name.rpartition("/")[2] == _PAGE:
                content = tar.extractfile(member)
                assert content is not None
                return content.read(_LARGEST_PAGE)
            if number > _MEMBERS:
                break
    raise NotFound("there is no report that can be shown")


def _opened(file: IO[bytes], most: int) -> tarfile.TarFile:
    """Open a tar.gz that a machine has sent: gzip makes very much of very little."""
    return tarfile.open(fileobj=_Unpacked(file, most), mode="r|")


class _Unpacked(io.BufferedIOBase):
    """What is in a gzip file, as far as `most` bytes."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = gzip.GzipFile(fileobj=file, mode="rb")
        self._left = most

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        piece = self._file.read(wanted)
        self._left -= len(piece)
        return piece


def of_attempt(state_dir: Path, attempt: int) -> Path:
    """Return where the report of an attempt is kept."""
    return state_dir / _FOLDER / f"{attempt}.tar.gz"


def of_run(state_dir: Path, run: int) -> Path:
    """Return where the report of a run is kept."""
    return state_dir / _FOLDER / f"run-{run}.tar.gz"


def sweep(state_dir: Path, attempts: set[int], runs: set[int]) -> None:
    """Remove the reports of attempts and runs that are not known any more."""
    for path in (state_dir / _FOLDER).glob("*.tar.gz"):
        number = path.name.partition(".")[0]
        known = runs if number.startswith("run-") else attempts
        number = number.removeprefix("run-")
        if number.isdecimal() and int(number) not in known:
            path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    durable.put(path, data)
