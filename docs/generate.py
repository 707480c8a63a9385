"""Reference pages from declarations: a page cannot disagree with the code that it was made from."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import bty_agent
import bty_core
import bty_media
import bty_web
from bty_agent.pretend.machine import DISK, MACHINE, NIC, PARTITION, USE
from bty_core.errors import BtyError
from bty_core.events import Event
from docs.commands import (
    appliance_commands,
    commands,
    flash_on_boot,
    images_partition,
    media_commands,
    web_commands,
    wizard,
)
from docs.programs import api

PACKAGES = (bty_core, bty_agent, bty_media, bty_web)
Kind = TypeVar("Kind")


def errors() -> str:
    """Return the page of failures: code, and what it means."""
    rows = [
        f"| `{kind.code}` | {_first_line(kind)} |"
        for kind in sorted(_below(BtyError), key=lambda kind: kind.code)
        if "code" in kind.__dict__
    ]
    head = [
        "# Failures",
        "",
        "Each failure that has a name has a code for programs. The message and the hint beside it",
        "are for people.",
        "",
        "| code | meaning |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def events() -> str:
    """Return the page of events: kind, meaning, fields."""
    parts = [
        "# Events",
        "",
        "What a flash tells, one JSON object a line with `--progress ndjson`.",
        "",
    ]
    for kind in _below(Event):
        parts += [f"## `{kind.event}`", "", _first_line(kind), ""]
        parts += ["| field | type |", "|---|---|"]
        fields = dataclasses.fields(kind)
        parts += [f"| `{field.name}` | `{_json_type(str(field.type))}` |" for field in fields]
        parts += [""]
    return "\n".join(parts)


_PRETENDED = """\
# Pretended machines

What `--pretend FILE` reads, and `bty inventory --for-pretend` writes: one JSON object, in UTF-8. A field may be left
away, or be `null`, unless it is required; one that is not listed here is refused, so that a slip of the pen has an
effect. Sizes are bytes.
"""
_SMALLEST = """\
## The smallest one

```json
{"disks": [{"path": "/dev/sda", "size_bytes": 500107862016}]}
```

The fields of a disk are those of `bty disks --json`, so that what it prints can be put into `disks`.

What is written to `/dev/sda` is in `sda.img` in the folder that `--scratch` names. The file is as long as what was
written; runs of zeros take no room. A later run with the same folder finds its partitions on the disk.

A look, in `gone_after`, is a list of the disks, a search for the target, or the look before the first write.
"""


def pretended_machines() -> str:
    """Return the page of the files that pretend a machine."""
    parts = [_PRETENDED]
    for heading, fields in (
        ("A machine", MACHINE),
        ("An entry of `nics`", NIC),
        ("An entry of `disks`", DISK),
        ("An entry of `partitions`", PARTITION),
        ("An entry of `uses`", USE),
    ):
        rows = [f"| `{name}` | {told} |" for name, told in fields.items()]
        parts += [f"## {heading}", "", "| field | meaning |", "|---|---|", *rows, ""]
    return "\n".join([*parts, _SMALLEST])


PAGES: dict[str, Callable[[], str]] = {
    "api.md": api,
    "bty-appliance.md": appliance_commands,
    "bty-flash-on-boot.md": flash_on_boot,
    "bty-images-partition.md": images_partition,
    "bty-media.md": media_commands,
    "bty-tui.md": wizard,
    "bty-web.md": web_commands,
    "commands.md": commands,
    "errors.md": errors,
    "events.md": events,
    "pretended-machines.md": pretended_machines,
}


def write_pages(folder: Path) -> None:
    """Write each page that differs from what is there, and remove those that nobody makes."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for stale in {file.name for file in folder.iterdir()} - {*PAGES}:
        (folder / stale).unlink()
    for name, page in PAGES.items():
        text = page()
        file = folder / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def _below(kind: type[Kind]) -> list[type[Kind]]:
    found = [kind]
    for one in found:  # grows while it is walked
        found += [below for below in one.__subclasses__() if below not in found]
    ours = tuple(f"{package.__name__}." for package in PACKAGES)
    return [one for one in found[1:] if one.__module__.startswith(ours)]


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _json_type(annotation: str) -> str:
    names = {
        "str": "string",
        "int": "integer",
        "float": "number",
        "bool": "true or false",
        "None": "null",
    }
    return " or ".join(names.get(word.strip(), word.strip()) for word in annotation.split("|"))
