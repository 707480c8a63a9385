"""Which disk is meant: selectors, the same on the command line, in the wizard and in the API."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self, TypeVar

from bty_core.disks.model import Transport
from bty_core.errors import DiskAmbiguous, DiskNotFound, InvalidValue
from bty_core.values import parse_size, size_text

ALLOWED = (
    "a path, serial:TEXT, wwn:TEXT, by-path:NAME, model:TEXT, size>=SIZE, size<=SIZE, "
    f"transport:{'|'.join(one for one in Transport if one is not Transport.OTHER)}, "
    "smallest, largest, only, or file:PATH alone"
)
_PREFIXES = ("0x", "eui.", "naa.")
_BY_PATH = "/dev/disk/by-path/"


class Candidate(Protocol):
    """What a selector looks at: a `Disk`, or a disk in the inventory of another machine."""

    @property
    def path(self) -> Path:
        """The device."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def model(self) -> str | None:
        """The maker's name for it."""

    @property
    def serial(self) -> str | None:
        """The serial number."""

    @property
    def wwn(self) -> str | None:
        """The world wide name."""

    @property
    def transport(self) -> Transport:
        """How it is attached."""

    @property
    def by_path(self) -> tuple[str, ...]:
        """Its names in /dev/disk/by-path."""

    @property
    def named_only(self) -> bool:
        """Whether only a selector that names it may match it."""


C = TypeVar("C", bound=Candidate)


class Key(StrEnum):
    """What a condition looks at; the value is how it is written."""

    PATH = "/"
    SERIAL = "serial:"
    WWN = "wwn:"
    BY_PATH = "by-path:"
    MODEL = "model:"
    AT_LEAST = "size>="
    AT_MOST = "size<="
    TRANSPORT = "transport:"


class Pick(StrEnum):
    """What decides between the disks that meet all conditions."""

    SMALLEST = "smallest"
    LARGEST = "largest"
    ONLY = "only"


_NAMING = frozenset({Key.PATH, Key.SERIAL, Key.WWN, Key.BY_PATH})


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a disk has to be."""

    key: Key
    value: str  # as it was written, without padding

    def __str__(self) -> str:
        written = self.value.replace("\\", "\\\\").replace(",", "\\,")
        return written if self.key is Key.PATH else f"{self.key}{written}"

    def names(self, disk: Candidate) -> bool:
        """Whether this may match `disk` although it is one that is only taken when named."""
        usb = self.key is Key.TRANSPORT and disk.transport is Transport.USB
        return self.key in _NAMING or usb

    def matches(self, disk: Candidate) -> bool:
        """Whether `disk` is what this condition asks for."""
        return _MATCH[self.key](self.value, disk)


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions that a disk has to meet, and what decides where several do.

    Written with commas between: ``model:samsung,size>=500G,smallest``. In a value ``\\,`` is a
    comma and ``\\\\`` a backslash; a backslash before anything else is itself. ``file:PATH`` stands
    alone and means a regular file.
    """

    conditions: tuple[Condition, ...] = ()
    pick: Pick | None = None
    file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a selector; raise `InvalidValue`, which says what is allowed."""
        words = [word.strip() for word in _split(text)]
        if words == [""]:
            raise _invalid("the disk selector is empty")
        if "\0" in text:
            raise _invalid(f"{text!r} has a zero byte")
        if "" in words:
            raise _invalid(f"'{text}' has an empty condition")
        if any(word.startswith("file:") for word in words):
            return cls(file=_file(text, words))
        picks = [Pick(word) for word in words if word in set(Pick)]
        if len(picks) > 1:
            raise _invalid(f"'{text}' has {' and '.join(picks)}, and only one can decide")
        conditions = tuple(_condition(word) for word in words if word not in set(Pick))
        return cls(conditions, picks[0] if picks else None)

    @property
    def path(self) -> Path | None:
        """The path of the block device that is meant, None where the selector has none."""
        return next((Path(one.value) for one in self.conditions if one.key is Key.PATH), None)

    def __str__(self) -> str:
        if self.file is not None:
            return "file:" + str(self.file).replace("\\", "\\\\").replace(",", "\\,")
        return ",".join([*map(str, self.conditions), *([self.pick] if self.pick else [])])

    def filter(self, disks: Sequence[C]) -> list[C]:
        """Return the disks that meet all conditions, before anything decides between them."""
        return [disk for disk in disks if self._may_match(disk) and self._meets(disk)]

    def _meets(self, disk: Candidate) -> bool:
        return all(condition.matches(disk) for condition in self.conditions)

    def _may_match(self, disk: Candidate) -> bool:
        return not disk.named_only or any(condition.names(disk) for condition in self.conditions)

    def passed_by(self, disks: Sequence[C]) -> list[C]:
        """Return the disks that meet all conditions, but are only taken when named."""
        return [disk for disk in disks if not self._may_match(disk) and self._meets(disk)]


def choose(disks: Sequence[C], selector: Selector) -> C:
    """Return the one disk of `disks` that `selector` means.

    Raises `DiskNotFound` or `DiskAmbiguous`, which list the candidates. Whether a disk is in use
    plays no part: what a selector means must not change with a mount.
    """
    if selector.file is not None:
        raise InvalidValue(f"'{selector}' names a regular file, not one of the disks")
    matching = selector.filter(disks)
    if not matching:
        raise _not_found(disks, selector)
    if selector.pick in (Pick.SMALLEST, Pick.LARGEST):
        best = (min if selector.pick is Pick.SMALLEST else max)(disk.size for disk in matching)
        matching = [disk for disk in matching if disk.size == best]
    if len(matching) > 1:
        raise DiskAmbiguous(
            f"'{selector}' matches {len(matching)} disks: {_listed(matching)}",
            hint=f"name one of them, for example {_naming(matching, disks)}",
        )
    return matching[0]


def describe(disk: Candidate) -> str:
    """Return what a person needs to tell `disk` from others: path, model, serial, size."""
    return (
        f"{disk.path} ({disk.model or 'no model'}, "
        f"{f'serial {disk.serial}' if disk.serial else 'no serial'}, {size_text(disk.size)})"
    )


def _not_found(disks: Sequence[C], selector: Selector) -> DiskNotFound:
    if not disks:
        return DiskNotFound(
            f"no disk matches '{selector}': this machine shows no disks",
            hint="check the cables, and the storage controller in the firmware's settings",
        )
    passed = selector.passed_by(disks)
    if passed:
        return DiskNotFound(
            f"no disk matches '{selector}', which does not name {_listed(passed)}",
            hint="USB, removable, loop and virtual disks are only taken when named: "
            + _naming(passed, disks),
        )
    return DiskNotFound(
        f"no disk matches '{selector}'; there are: {_listed(disks)}",
        hint="choose one of them, for example " + _naming(disks, disks),
    )


def _listed(disks: Sequence[Candidate]) -> str:
    return ", ".join(map(describe, disks))


def _naming(wanted: Sequence[Candidate], disks: Sequence[Candidate]) -> str:
    """Return a selector that means one of `wanted`, a free one if there is any, and nothing else in `disks`."""
    wanted = [disk for disk in wanted if not getattr(disk, "uses", ())] or wanted
    # An empty card reader has a serial number too, and is no advice.
    usable = [disk for disk in wanted if not (disk.named_only or getattr(disk, "read_only", False))]
    wanted = usable or wanted
    for disk in wanted:
        serials = [other for other in disks if disk.serial and _same(disk.serial, other.serial)]
        if disk.serial and len(serials) == 1:
            return str(Condition(Key.SERIAL, disk.serial))
    for disk in wanted:
        wwns = [other for other in disks if disk.wwn and _same(disk.wwn, other.wwn)]
        if disk.wwn and len(wwns) == 1:
            return str(Condition(Key.WWN, disk.wwn))
    return next(
        (str(Condition(Key.BY_PATH, disk.by_path[0])) for disk in wanted if disk.by_path),
        str(wanted[0].path),
    )


def _condition(word: str) -> Condition:
    for key in Key:
        if key is Key.PATH and word.startswith("/"):
            return Condition(key, word)
        if key is not Key.PATH and word.startswith(key):
            return _checked(Condition(key, word[len(key) :].strip()), word)
    raise _invalid(f"'{word}' is not a condition for a disk")


def _checked(condition: Condition, word: str) -> Condition:
    if not condition.value:
        raise _invalid(f"'{word}' has no value")
    if condition.key in (Key.SERIAL, Key.WWN) and not _bare(condition.value):
        raise _invalid(f"'{word}' has no value")
    if condition.key is Key.MODEL and not _words(condition.value):
        raise _invalid(f"'{word}' has no value")
    if condition.key in (Key.AT_LEAST, Key.AT_MOST):
        parse_size(condition.value)
    if condition.key is Key.TRANSPORT:
        if condition.value.lower() not in set(Transport):
            raise _invalid(f"'{condition.value}' is not a transport")
        return Condition(condition.key, condition.value.lower())
    return condition


def _file(text: str, words: list[str]) -> Path:
    if len(words) > 1:
        raise InvalidValue(
            f"'{text}' combines file: with something else",
            hint="write file:PATH alone; a comma in the path is written \\,",
        )
    path = words[0].removeprefix("file:")
    if not path:
        raise _invalid(f"'{text}' has no path")
    return Path(path)


def _split(text: str) -> list[str]:
    """Split at commas that have no backslash before them."""
    words = [""]
    for token in re.findall(r"\\[\\,]|.", text, re.DOTALL):
        if token == ",":
            words.append("")
        else:
            words[-1] += token[1] if len(token) == 2 else token
    return words


def _invalid(message: str) -> InvalidValue:
    return InvalidValue(message, hint=f"allowed: {ALLOWED}; a comma joins them")


def _bare(text: str) -> str:
    """Return a serial or WWN as it is compared: lower case, without what tools put before it.

    The prefixes are spellings of the same number; ``nvme.`` and ``uuid.`` belong to the name.
    """
    bare = text.strip().lower()
    for prefix in _PREFIXES:
        bare = bare.removeprefix(prefix)
    return bare.strip()


def _same(wanted: str, found: str | None) -> bool:
    bare = _bare(found or "")
    return bool(bare) and bare == _bare(wanted)


def _words(text: str) -> str:
    # udev writes "_" where the disk says a blank, and disks pad in the middle too.
    return " ".join(text.replace("_", " ").lower().split())


_MATCH: dict[Key, Callable[[str, Candidate], bool]] = {
    Key.PATH: lambda value, disk: os.path.realpath(value) == os.path.realpath(disk.path),
    Key.SERIAL: lambda value, disk: _same(value, disk.serial),
    Key.WWN: lambda value, disk: _same(value, disk.wwn),
    Key.BY_PATH: lambda value, disk: value.removeprefix(_BY_PATH) in disk.by_path,
    Key.MODEL: lambda value, disk: _words(value) in _words(disk.model or ""),
    Key.AT_LEAST: lambda value, disk: disk.size >= parse_size(value),
    Key.AT_MOST: lambda value, disk: disk.size <= parse_size(value),
    Key.TRANSPORT: lambda value, disk: disk.transport.value == value,
}
