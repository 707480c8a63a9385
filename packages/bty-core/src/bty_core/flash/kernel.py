"""The calls of the Linux kernel about block devices that Python's library lacks."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

# linux/fs.h and linux/falloc.h
_BLKROGET = 0x125E
_BLKRRPART = 0x125F
_BLKFLSBUF = 0x1261
_BLKSSZGET = 0x1268
_BLKPG = 0x1269
_BLKPG_ADD_PARTITION, _BLKPG_DEL_PARTITION = 1, 2
_BLKGETSIZE64 = 0x80081272
_BLKGETDISKSEQ = 0x80081280
_KEEP_SIZE, _PUNCH_HOLE = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def make_zero(fd: int, offset: int, length: int) -> None:
    """Have the device or file system make `length` bytes from `offset` read as zeros, without writing them.

    On a block device the kernel sends write-zeroes and never falls back to writing. Raises `OSError`, with
    ``EOPNOTSUPP`` where the device cannot do it.
    """
    if _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def device_size(fd: int) -> int:
    """Return the size of the block device in bytes."""
    return _number(fd, _BLKGETSIZE64, "Q")


def sector_size(fd: int) -> int:
    """Return the logical sector size in bytes."""
    return _number(fd, _BLKSSZGET, "I")


def is_read_only(fd: int) -> bool:
    """Return whether the kernel takes no writes for the device."""
    return _number(fd, _BLKROGET, "I") != 0


def disk_sequence(fd: int) -> int | None:
    """Return the number of this attachment of the device, which no other one gets; None before Linux 5.15."""
    try:
        return _number(fd, _BLKGETDISKSEQ, "Q")
    except OSError:
        return None


def read_partition_table_again(fd: int) -> None:
    """Have the kernel forget the partitions that it knows and read the table anew."""
    fcntl.ioctl(fd, _BLKRRPART)


def drop_cache(fd: int) -> None:
    """Have the kernel drop what it has cached of the block device."""
    fcntl.ioctl(fd, _BLKFLSBUF)


def add_partition(fd: int, number: int, offset: int, length: int) -> None:
    """Tell the kernel of one partition (its place in bytes) of a disk that is in use; the others stay as they are.

    Raises `OSError`, with ``EBUSY`` where it knows one of this number or at this place.
    """
    _partition(fd, _BLKPG_ADD_PARTITION, number, offset, length)


def forget_partition(fd: int, number: int) -> None:
    """Have the kernel know one partition no more; raise `OSError` where it knows none, or it is in use."""
    _partition(fd, _BLKPG_DEL_PARTITION, number, 0, 0)


def _partition(fd: int, order: int, number: int, offset: int, length: int) -> None:
    """Tell the kernel of a partition, as linux/blkpg.h has it."""
    names = bytes(128)
    partition = ctypes.create_string_buffer(
        struct.pack("qqi", offset, length, number) + names + bytes(4)
    )
    words = struct.pack("iiiP", order, 0, len(partition), ctypes.addressof(partition))
    fcntl.ioctl(fd, _BLKPG, words)


def _number(fd: int, request: int, kind: str) -> int:
    answer = fcntl.ioctl(fd, request, bytes(struct.calcsize(kind)))
    value: int = struct.unpack(kind, answer)[0]
    return value
