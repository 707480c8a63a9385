"""What cloud-init in an image is set to: whether it would find and take a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bty_core.provisioning.safely import Tree
from bty_core.values import MIB

_FOLDER = "etc/cloud/cloud.cfg.d"
_BELOW_VAR = frozenset({"/var", "/var/lib", "/var/lib/cloud", "/var/lib/cloud/seed"})


@dataclass(slots=True, kw_only=True)
class CloudConfig:
    """cloud-init's own settings; each with the file that says so last, and has the last word."""

    disabled: bool = False
    datasources: tuple[str, tuple[str, ...]] | None = None  # file, names
    nocloud: dict[str, str] = field(default_factory=dict)  # setting of NoCloud -> file
    label: tuple[str, str] | None = None  # file, label of the filesystem that it takes for a seed
    network: str | None = None  # the file that configures the network
    var_elsewhere: str | None = None  # what is mounted over the place of the seed

    def why_ignored(self, *, with_network: bool) -> str | None:
        """Return why cloud-init would not use a seed, as a sentence; None where it would."""
        if self.disabled:
            return "cloud-init is switched off in the image, by /etc/cloud/cloud-init.disabled"
        if self.datasources is not None:
            file, names = self.datasources
            if not {"nocloud", "nocloudnet"} & {name.lower() for name in names}:
                listed = ", ".join(names) or "nothing"
                return f"cloud-init in the image takes its data from {listed} alone, by /{file}"
        for name in ("seedfrom", "user-data"):
            if name in self.nocloud:
                return f"the image sets {name} of NoCloud itself, in /{self.nocloud[name]}"
        if with_network and self.network is not None:
            return f"the image configures the network itself, in /{self.network}, before any seed"
        return None

    def takes_label(self, label: str) -> bool:
        """Whether cloud-init takes a seed from a filesystem with this label."""
        return self.label is None or self.label[1].upper() == label


def read_cloud_config(inside: Tree) -> CloudConfig:
    """Return the settings in a root filesystem; what cannot be read says nothing."""
    found = CloudConfig(disabled=inside.has_file("etc/cloud/cloud-init.disabled"))
    names = [name for name in inside.names(_FOLDER) if name.endswith(".cfg")]
    for file in ("etc/cloud/cloud.cfg", *(f"{_FOLDER}/{name}" for name in names)):
        _take(found, file, _mapping(_parsed(inside.read(file, MIB))))
    found.var_elsewhere = _mounted_over_var(inside.read("etc/fstab", MIB) or "")
    return found


def _take(found: CloudConfig, file: str, settings: Mapping[str, Any]) -> None:
    listed = settings.get("datasource_list")
    if isinstance(listed, list):
        found.datasources = (file, tuple(str(one) for one in listed))
    nocloud = _mapping(_mapping(settings.get("datasource")).get("NoCloud"))
    for name in ("seedfrom", "user-data"):
        if nocloud.get(name):
            found.nocloud[name] = file
    if "fs_label" in nocloud:
        found.label = (file, str(nocloud["fs_label"] or ""))
    if "network" in settings:
        found.network = file


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _parsed(text: str | None) -> object:
    import yaml

    try:
        return yaml.safe_load(text) if text else None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return None


def _mounted_over_var(fstab: str) -> str | None:
    for line in fstab.splitlines():
        words = line.split()
        if len(words) > 1 and not words[0].startswith("#"):
            point = words[1].rstrip("/")
            if point in _BELOW_VAR and "noauto" not in (words[3:4] or [""])[0].split(","):
                return point
    return None
