"""What a machine is: facts as its collector prints them, and what is different between two of them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bty_core.errors import BtyError
from bty_core.values import MIB

MOST = 8 * MIB  # characters that a machine may print
_LONGEST = 4000  # characters of one value
_MANY = 50_000  # packages, at most
_SECTION = re.compile(r"^== ([a-z-]+)$", re.MULTILINE)
_DISK_KINDS = ("disk", "part", "lvm", "crypt", "raid0", "raid1", "raid5", "raid6", "raid10")
Facts = dict[str, Any]


class FactsBroken(BtyError):
    """What a machine printed about itself cannot be understood."""

    code = "facts-broken"


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is different. None: it was not there."""

    fact: str  # where it stands: packages / htop
    before: str | None
    after: str | None


def parse(printed: str) -> Facts:
    """Return the facts in what the collector printed; raise `FactsBroken` where its end is missing.

    The sections: ``os``, ``kernel``, ``packages``, ``disks``, ``firmware`` and ``network``, each a mapping of
    texts, or of mappings of texts for disks. What the machine cannot say is left out.
    """
    found = _sections(printed[:MOST])
    if "end" not in found:
        raise FactsBroken(
            "the machine did not say all of its facts",
            hint="look whether its disk is full, and whether it runs /bin/sh",
        )
    facts: Facts = {
        "os": _os_release(found.get("os-release", "")),
        "kernel": _kept(
            {
                "version": found.get("kernel", "").strip(),
                "command line": found.get("cmdline", "").strip(),
            }
        ),
        "packages": _packages(found),
        "disks": _disks(found.get("lsblk", "")),
        "firmware": _firmware(found),
        "network": _network(found),
    }
    return {name: value for name, value in facts.items() if value}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return what is different, ordered by the name of the fact."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [
        Change(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        path = f"{above} / {name}" if above else name
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        else:
            yield path, str(value)


def _sections(printed: str) -> dict[str, str]:
    words = _SECTION.split(printed)
    return {name: text.strip("\n") for name, text in zip(words[1::2], words[2::2], strict=True)}


def _kept(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said, cut to a length that can be shown."""
    said = {name: _text(value).strip() for name, value in values.items() if value is not None}
    return {_text(name)[:_LONGEST]: value[:_LONGEST] for name, value in said.items() if value}


def _text(value: object) -> str:
    """Return what can be kept and shown: no half of a character, which JSON may have, and no zero byte."""
    return str(value).encode(errors="replace").decode().replace("\0", " ")


def _os_release(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name in ("ID", "VERSION_ID", "PRETTY_NAME", "BUILD_ID", "IMAGE_VERSION"):
            try:
                found[name.lower().replace("_", " ")] = " ".join(shlex.split(value))
            except ValueError:
                found[name.lower().replace("_", " ")] = value
    return _kept(found)


def _packages(found: Mapping[str, str]) -> dict[str, str]:
    packages: dict[str, str] = {}
    for line in found.get("dpkg", "").splitlines():
        words = line.split()
        if len(words) == 3 and words[0].endswith("i"):
            packages[words[1]] = words[2]
    for name in ("rpm", "pacman"):
        for line in found.get(name, "").splitlines():
            words = line.split()
            if len(words) == 2:
                packages[words[0]] = words[1]
    for line in found.get("apk", "").splitlines():
        cut = re.fullmatch(r"(\S+)-(\d\S*-r\d+)", line.strip())
        if cut:
            packages[cut[1]] = cut[2]
    return _kept(dict(sorted(packages.items())[:_MANY]))


def _disks(text: str) -> dict[str, dict[str, str]]:
    try:
        listed = json.loads(text)["blockdevices"]
        return dict(_blocks(listed, 0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _blocks(listed: list[dict[str, Any]], depth: int) -> Iterator[tuple[str, dict[str, str]]]:
    for one in listed if depth < 8 else []:
        if one.get("type") in _DISK_KINDS:
            said = {name: value for name, value in one.items() if name not in ("children", "name")}
            yield _text(one["name"])[:80], _kept(said)
        yield from _blocks(one.get("children") or [], depth + 1)


def _firmware(found: Mapping[str, str]) -> dict[str, str]:
    lines = (line.partition(" ") for line in found.get("firmware", "").splitlines())
    said: dict[str, Any] = {name.replace("_", " "): value for name, _, value in lines}
    for name in ("microcode", "cpu"):
        said[name] = found.get(name, "").partition(":")[2]
    return _kept(said)


def _network(found: Mapping[str, str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for line in found.get("network", "").splitlines():
        words = line.split(" ")
        if len(words) == 3 and words[2]:  # a card, and nothing that somebody has set up
            said[f"{words[0]} address"] = words[1]
            said[f"{words[0]} driver"] = words[2].rpartition("/")[2]
    for line in found.get("addresses", "").splitlines():
        words = line.split()
        # What a machine takes for a day is no drift.
        if len(words) > 3 and "temporary" not in words:
            said[f"{words[1]} {words[3]}"] = "yes"
    return _kept(said)
