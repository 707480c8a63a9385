"""The calls of the Linux kernel about mounts, paths and loop devices that Python's library lacks."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from pathlib import Path

# linux/sched.h, linux/mount.h
_NEW_MOUNTS = 0x00020000
READ_ONLY, NO_SUID, NO_DEV, NO_EXEC = 1, 2, 4, 8
_RECURSIVE, _PRIVATE = 16384, 1 << 18
# linux/openat2.h: the system call has this number on each architecture.
_OPENAT2 = 437
_NO_XDEV, _NO_MAGICLINKS, _IN_ROOT = 0x01, 0x02, 0x10
# linux/loop.h
_LOOP_GET_FREE, _LOOP_CONFIGURE = 0x4C82, 0x4C0A
_LOOP_READ_ONLY, _LOOP_AUTOCLEAR = 1, 4
_LOOP_INFO = struct.Struct("<5Q4I64s64s32s2Q")
_TRIES = 64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_text = ctypes.c_char_p
_libc.mount.argtypes = [_text, _text, _text, ctypes.c_ulong, _text]
_libc.umount2.argtypes = [_text, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]


def leave_mounts() -> None:
    """Give the calling thread mounts of its own, which nobody else sees, and which end with it. Needs root."""
    _check(_libc.unshare(_NEW_MOUNTS))
    _check(_libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None))


def mount(device: Path, point: Path, filesystem: str, flags: int, options: str) -> None:
    """Mount `device` at `point`; raise `OSError`."""
    words = (bytes(device), bytes(point), filesystem.encode())
    _check(_libc.mount(*words, flags, options.encode()))


def unmount(point: Path) -> None:
    """Unmount what is at `point`, with all that is to be written; raise `OSError`, with ``EBUSY`` where it is used."""
    _check(_libc.umount2(bytes(point), 0))


def open_below(root: int, path: str, flags: int) -> int:
    """Open `path` as a process would whose root is the folder `root`; return the descriptor.

    Links lead where they would lead there: absolute ones start at `root`, none leads out of it, and none onto
    another filesystem. Raises `OSError`.
    """
    how = struct.pack("<3Q", flags | os.O_CLOEXEC, 0, _IN_ROOT | _NO_XDEV | _NO_MAGICLINKS)
    got = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(root),
        _text(os.fsencode(path)),
        ctypes.create_string_buffer(how, len(how)),
        ctypes.c_size_t(len(how)),
    )
    return int(_check(got))


def attach_loop(
    backing: int, offset: int, length: int, *, sector: int, read_only: bool
) -> tuple[Path, int]:
    """Make a loop device of `length` bytes from `offset` of the open file or disk `backing`.

    Returns its path and a descriptor of it. The device goes by itself when nothing has it open or mounted any more,
    however that came. Raises `OSError`.
    """
    flags = _LOOP_AUTOCLEAR | (_LOOP_READ_ONLY if read_only else 0)
    info = _LOOP_INFO.pack(0, 0, 0, offset, length, 0, 0, 0, flags, b"", b"", b"", 0, 0)
    wanted = struct.pack("<II", backing, sector) + info + bytes(64)
    with open("/dev/loop-control", "rb", buffering=0) as control:
        for _ in range(_TRIES):
            number = fcntl.ioctl(control, _LOOP_GET_FREE)
            node = Path(f"/dev/loop{number}")
            if not node.exists():  # in a container, where nobody makes it
                device = Path(f"/sys/block/{node.name}/dev").read_text().split(":")
                os.mknod(node, 0o60600, os.makedev(int(device[0]), int(device[1])))
            handle = os.open(node, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
            try:
                fcntl.ioctl(handle, _LOOP_CONFIGURE, wanted)
            except OSError as error:
                os.close(handle)
                if error.errno != errno.EBUSY:  # somebody else was faster
                    raise
            else:
                return node, handle
    raise OSError(errno.EBUSY, "no loop device is free")


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
