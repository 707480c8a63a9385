"""What stands on what: block devices as a graph, and what keeps each of them busy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bty_core.disks.model import Use
from bty_core.disks.sysfs import KernelFacts, Mount

_SYSTEM_POINTS = frozenset({"/", "/usr", "/boot", "/boot/efi", "/efi", "/boot/firmware", "/var"})
_LIVE_FOLDERS = ("/run/live", "/run/initramfs", "/lib/live", "/run/bty", "/cdrom")
_SWAP = "[SWAP]"
_WORDS = {
    "lvm": "lvm volume",
    "crypt": "encrypted volume",
    "mpath": "multipath device",
    "md": "md array",
}


@dataclass(slots=True)
class Node:
    """One block device, and which others are made of it."""

    name: str  # the kernel's
    path: Path
    type: str  # lsblk's word
    number: str  # "major:minor"
    mountpoints: tuple[str, ...]  # as lsblk shows them
    children: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)

    @property
    def partition(self) -> bool:
        """Whether this is a piece of one device that the kernel found in its partition table."""
        return self.type == "part" and not self.name.startswith("dm-")

    @property
    def stacked(self) -> bool:
        """Whether this is made of other devices."""
        return not self.partition and (bool(self.parents) or self.name.startswith(("dm-", "md")))

    @property
    def words(self) -> str:
        """What a person calls a device that is stacked on others."""
        kind = "md" if self.name.startswith("md") else self.type
        default = "device-mapper device" if self.name.startswith("dm-") else "block device"
        return f"{_WORDS.get(kind, default)} {self.path.name}"


class Tree:
    """All block devices of a machine, with the loop devices below which a device lies again."""

    def __init__(self, nodes: Mapping[str, Node], facts: KernelFacts) -> None:
        self.nodes = nodes
        self._facts = facts
        self._loops: dict[str, list[str]] = {}
        for node in nodes.values():
            if below := self.below_loop(node):
                self._loops.setdefault(below, []).append(node.name)
        self._mounts = {node.name: tuple(self._mounts_of(node)) for node in nodes.values()}
        self._system = self._carrying_system()

    def below_loop(self, node: Node) -> str | None:
        """Return the name of the block device that the loop device `node` shows again."""
        facts = self._facts.of(node.name)
        if facts.backing_file is None:
            return None
        return next(
            (
                other.name
                for other in self.nodes.values()
                if facts.backing_device == other.number or facts.backing_file == str(other.path)
            ),
            None,
        )

    def uses(self, name: str) -> tuple[Use, ...]:
        """Return what keeps the device `name` busy, itself or by what stands on it."""
        found: list[Use] = []
        for node in self._above(name):
            system = node.name in self._system
            if node.name != name and self.below_loop(node):
                found.append(Use(device=node.path, what="loop device", running_system=system))
            elif node.name != name and node.stacked:
                found.append(Use(device=node.path, what=node.words))
            found.extend(
                Use(
                    device=node.path,
                    what=_mount_words(point),
                    running_system=system and point != _SWAP,
                )
                for point in self._mounts[node.name]
            )
        return tuple(found)

    def _above(self, name: str) -> Iterator[Node]:
        waiting, seen = [name], {name}
        while waiting:
            node = self.nodes[waiting.pop(0)]
            yield node
            above = [*node.children, *self._loops.get(node.name, ())]
            fresh = [child for child in dict.fromkeys(above) if child not in seen]
            seen.update(fresh)
            waiting = fresh + waiting

    def _mounts_of(self, node: Node) -> Iterator[str]:
        # lsblk breaks a mount point with a line break in two; the kernel's own list is exact.
        # A filesystem over several devices (btrfs) has no device number there: lsblk finds it.
        exact = [mount.point for mount in self._facts.mounts if mount.device == node.number]
        points = [point for point in node.mountpoints if point != _SWAP]
        yield from dict.fromkeys(exact or points)
        if _SWAP in node.mountpoints:
            yield _SWAP

    def _carrying_system(self) -> frozenset[str]:
        found = {name for name, points in self._mounts.items() if any(map(_is_system, points))}
        found |= {lower for path in self._lower_folders() if (lower := self._carrier(path))}
        waiting = list(found)
        while waiting:
            name = waiting.pop()
            backing = self._facts.of(name).backing_file
            below = self.below_loop(self.nodes[name]) or (
                self._carrier(backing) if backing else None
            )
            if below and below not in found:
                found.add(below)
                waiting.append(below)
        return frozenset(found)

    def _lower_folders(self) -> Iterator[str]:
        root = self._facts.mount_of("/")
        if root and root.filesystem == "overlay":
            for option in root.options.split(","):
                key, _, value = option.partition("=")
                if key in ("lowerdir", "lowerdir+"):
                    yield from filter(None, value.split(":"))

    def _carrier(self, path: str) -> str | None:
        mount = self._facts.mount_of(path)
        return self._device_of(mount) if mount else None

    def _device_of(self, mount: Mount) -> str | None:
        return next(
            (
                node.name
                for node in self.nodes.values()
                if mount.device == node.number or mount.source == str(node.path)
            ),
            None,
        )


def _is_system(point: str) -> bool:
    return point in _SYSTEM_POINTS or any(
        point == folder or point.startswith(folder + "/") for folder in _LIVE_FOLDERS
    )


def _mount_words(point: str) -> str:
    if point == _SWAP:
        return "swap"
    return "mounted on " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in point)
