"""Provisioning for cloud-init: a seed in the root filesystem that has cloud-init, or else in a CIDATA partition.

cloud-init takes user-data from CIDATA rather than from the folder, and the folder nocloud rather than
nocloud-net. So there must be one seed: a CIDATA of the image is made ours, and seeds in its root are removed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bty_core.disks.model import Kind
from bty_core.errors import Refused
from bty_core.flash.plan import FlashPlan
from bty_core.images.table import ImageTable, TableKind
from bty_core.provisioning.cidata import LABEL, add, fill, is_cidata, room_behind, room_needed
from bty_core.provisioning.cloud_config import CloudConfig, read_cloud_config
from bty_core.provisioning.devices import settle
from bty_core.provisioning.errors import (
    NoPlaceForSeed,
    SeedNotPlaced,
    SeedWouldBeIgnored,
    UnsafePath,
)
from bty_core.provisioning.job import Job
from bty_core.provisioning.namespace import with_private_mounts
from bty_core.provisioning.partitions import Volume, read_contents
from bty_core.provisioning.root_filesystem import Root, find_roots, may_have_root
from bty_core.provisioning.safely import Tree
from bty_core.provisioning.seed import Seed
from bty_core.values import size_text
from bty_core.wire.plan import ProvisioningMode

_STATE = "var/lib/cloud"
_SEEDS = "var/lib/cloud/seed"
_FOLDER = "nocloud-net"
_OLD_SEEDS = ("nocloud", _FOLDER)
_VAR = "4d21b016-b534-45c2-a9fb-5c16e091fd2d"  # systemd mounts it at /var without being told


@dataclass(frozen=True, slots=True)
class CloudInit:
    """Seeds NoCloud. The seed gets a new instance-id at each flash."""

    seed: Seed

    @property
    def mode(self) -> ProvisioningMode:
        return ProvisioningMode.CLOUD_INIT

    @property
    def steps(self) -> tuple[str, ...]:
        parts = ["user-data", "meta-data with a new instance-id"]
        if self.seed.network_config is not None:
            parts.append("network-config")
        return (
            f"seed cloud-init with {', '.join(parts)}",
            f"in /{_SEEDS}/{_FOLDER} of its root, or else in a partition {LABEL} at the end",
        )

    def warnings(self, plan: FlashPlan, /) -> list[str]:
        found = list(self.seed.warnings)
        if plan.image.table is None:
            found.append(f"the image has no partition table, so no partition {LABEL} can be added")
        elif not _has_room(plan, plan.image.table):
            found.append(
                f"there is no room for a partition {LABEL}:"
                " the seed has to go into the image's root filesystem"
            )
        return found

    def refusals(self, plan: FlashPlan, /) -> list[Refused]:
        table = plan.image.table
        if table is None or may_have_root(table) or _has_room(plan, table):
            return []
        return [
            NoPlaceForSeed(
                f"{plan.image.name} has no partition for a Linux root filesystem,"
                f" and {plan.disk.path} no room for a partition {LABEL} behind it",
                hint=f"choose a disk of at least {size_text(room_needed(table))}"
                if table.kind is TableKind.GPT or len(table.partitions) < 4
                else "choose an image with a GPT, or with a free primary partition",
            )
        ]

    def run(self, job: Job) -> str:
        said = with_private_mounts(lambda: _Placing(job, self.seed).run(), job.cancel)
        settle(job.disk.path)
        return said


def _has_room(plan: FlashPlan, table: ImageTable) -> bool:
    # A regular file grows.
    size = room_needed(table) if plan.disk.kind is Kind.FILE else plan.disk.size
    return room_behind(table, size) is not None


class _Placing:
    """One seed on its way to one disk, in a thread with mounts of its own."""

    def __init__(self, job: Job, seed: Seed) -> None:
        self._job = job
        self._files = seed.files()
        self._found = read_contents(job.disk.path)
        self._reasons: list[str] = []  # why the seed is not in a root filesystem

    def run(self) -> str:
        """Place it; return where it is."""
        self._job.tell("looking for the filesystem that has cloud-init")
        roots = self._roots("etc/cloud", "has no /etc/cloud")
        takes_cidata = True
        places = []
        for root in roots:
            settings = self._settings(root)
            self._refuse_deaf(settings)
            takes_cidata = takes_cidata and settings.takes_label(LABEL)
            if settings.var_elsewhere:
                apart = settings.var_elsewhere
                self._reasons.append(f"{root} has {apart} on a filesystem of its own")
            else:
                places.append(root)
        old = [volume for volume in self._found.volumes if is_cidata(volume)]
        if places and not (old and takes_cidata) and self._into(places):
            return f"the seed for cloud-init is in /{_SEEDS}/{_FOLDER} of {_all(places)}"
        if not takes_cidata:
            raise SeedNotPlaced(f"the seed for cloud-init has no place: {'; '.join(self._reasons)}")
        self._remove_old(places, _STATE)
        self._remove_old(self._roots("lib/cloud/seed", ""), "lib/cloud")
        self._job.go_on()
        return self._into_cidata(old)

    def _into(self, places: Sequence[Root]) -> bool:
        """Write the seed into each root; return False, with the reason, where one does not take it."""
        for root in places:
            self._job.go_on()
            self._job.tell(f"writing the seed for cloud-init into {root}")
            try:
                with root.opened(writable=True) as (_, inside):
                    _write(inside, self._files)
            except (OSError, UnsafePath) as error:
                self._reasons.append(f"{root} does not take it: {_said(error)}")
                return False
        return True

    def _into_cidata(self, old: Sequence[Volume]) -> str:
        for volume in old:
            self._job.tell(f"replacing the {LABEL} of the image, {volume}")
            fill(volume, self._files, self._found.sector)
        if old:
            return f"the seed for cloud-init is in {_all(old)}, the {LABEL} of the image"
        self._job.tell(f"adding a partition {LABEL}")
        try:
            name = add(self._job.disk.path, self._found.size, self._files)
        except SeedNotPlaced as error:
            why = "; ".join([*self._reasons, error.message])
            raise SeedNotPlaced(
                f"the seed for cloud-init has no place: {why}", hint=error.hint
            ) from error
        return f"the seed for cloud-init is in {name}, a new {LABEL}"

    def _roots(self, folder: str, what: str) -> tuple[Root, ...]:
        search = find_roots(
            self._found.volumes, self._found.sector, lambda root: root.has_folder(folder), what
        )
        if what:
            self._reasons += search.passed_over
        return search.roots

    def _settings(self, root: Root) -> CloudConfig:
        with root.opened() as (_, inside):
            settings = read_cloud_config(inside)
        if _VAR in self._found.types:
            settings.var_elsewhere = "/var"
        return settings

    def _refuse_deaf(self, settings: CloudConfig) -> None:
        """Raise `SeedWouldBeIgnored` where cloud-init in the image would listen to something else."""
        why = settings.why_ignored(with_network="network-config" in self._files)
        if why is None and not settings.takes_label(LABEL) and settings.label:
            file, label = settings.label
            if any(volume.label == label for volume in self._found.volumes):
                why = f"the image has a seed of its own on '{label}', by /{file}"
        if why is not None:
            raise SeedWouldBeIgnored(
                f"the seed would have no effect: {why}",
                hint="choose an image made for NoCloud (generic, not of one cloud), or change that file in it",
            )

    def _remove_old(self, places: Sequence[Root], state: str) -> None:
        """Remove seeds that would be mixed with the one in CIDATA."""
        for root in places:
            with suppress(OSError, UnsafePath), root.opened(writable=True) as (_, inside):
                _remove_old(inside, state)


def _write(inside: Tree, files: Mapping[str, bytes]) -> None:
    with inside.folder(_SEEDS):
        pass
    _remove_old(inside, _STATE)
    with inside.folder(_SEEDS) as seeds, seeds.new_folder(_FOLDER, 0o700) as folder:
        for name, data in files.items():
            folder.new_file(name, data, 0o600)


def _remove_old(inside: Tree, state: str) -> None:
    if not inside.has_folder(state):
        return
    with inside.folder(state) as folder:
        # What an earlier life of the image remembers of its seed; cloud-init may be set to trust it.
        folder.remove("instance")
    if inside.has_folder(f"{state}/seed"):
        with inside.folder(f"{state}/seed") as seeds:
            for name in _OLD_SEEDS:
                seeds.remove(name)


def _all(places: Sequence[Root | Volume]) -> str:
    return " and ".join(map(str, places))


def _said(error: OSError | UnsafePath) -> str:
    if isinstance(error, UnsafePath):
        return error.message
    return os.strerror(error.errno) if error.errno else str(error)
