"""`bty-media` in this process, and builds for it to find."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bty_core.proc import run
from bty_core.program.console import Console
from bty_media.exits import Exit
from bty_media.main import main
from bty_media.manifest import File, Kind, Manifest, write
from tests.conftest import MIB

STICK = 39 * MIB
# What the image of a stick holds, as the builder makes it.
TABLE = """\
label: gpt
start=2048, size=2048, name="bty-bios"
start=4096, size=16384, name="BTY_BOOT", type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start=20480, size=57344, name="bty-live"
"""
BOOT = {"kernel": "vmlinuz", "initrd": "initrd.img", "cmdline": "console=ttyS0 quiet"}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it printed."""

    code: Exit
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        return self.err.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Typed(io.StringIO):
    """Standard input or error as a terminal."""

    def isatty(self) -> bool:
        return True


def bty_media(*argv: str | Path, answer: str | None = None) -> Ran:
    """Run `bty-media argv` without a terminal, or with one on which a person types `answer`."""
    out = io.StringIO()
    err = io.StringIO() if answer is None else Typed()
    stdin = io.StringIO() if answer is None else Typed(answer)
    code = main(list(map(str, argv)), Console(stdin=stdin, stdout=out, stderr=err))
    return Ran(code, out.getvalue(), err.getvalue())


def make_build(
    output: Path,
    kind: Kind,
    version: str,
    files: Mapping[str, bytes] | None = None,
    *,
    day: int = 1,
) -> Path:
    """Put a build into `output` and return its folder, as the builder leaves it."""
    folder = output / f"{kind}-{version}"
    folder.mkdir(parents=True)
    for name, content in (files or live_files()).items():
        (folder / name).write_bytes(content)
    names = sorted(one.name for one in folder.iterdir())
    manifest = Manifest(
        kind=kind,
        version=version,
        bty_version="0.1.0",
        created=datetime(2026, 11, day, tzinfo=UTC),
        arch="amd64",
        kernel_version="6.12.107-1",
        files={name: File.of(folder / name) for name in names},
        packages=[("bash", "5.2.37-2+b7")],
        python_packages=[("bty-core", "0.1.0")],
        boot=BOOT if kind is Kind.PXE else {},
    )
    write(folder, manifest)
    return folder


def live_files() -> dict[str, bytes]:
    """Return the files of a network environment; one has a length that is no multiple of a block."""
    return {"vmlinuz": os.urandom(3 * MIB + 17), "initrd.img": os.urandom(2 * MIB)}


def make_stick_image(path: Path) -> Path:
    """Write the image of a stick, without anything that would boot."""
    with path.open("wb") as file:
        file.truncate(STICK)
    run(["sfdisk", "--quiet", path], timeout=60, stdin=TABLE.encode())
    with path.open("r+b") as file:
        file.seek(10 * MIB)
        file.write(os.urandom(4 * MIB))
    return path


def make_stick_build(output: Path) -> Path:
    """Put a build of a stick into `output` and return its folder."""
    output.mkdir(parents=True, exist_ok=True)
    image = make_stick_image(output / "made.img")
    content = image.read_bytes()
    image.unlink()
    return make_build(output, Kind.USB, "1.0", {"bty-usb-1.0.img": content})
