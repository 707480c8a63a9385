"""How long machines take from power-on to the wizard, the first byte and their own system, and what the media weigh.

    sudo nox -s lab -- bench            builds the media first, then runs this
    sudo .venv/bin/python benchmarks/bench_lab.py [--only sizes]

The flows themselves are run, as the tests have them, one machine at a time: nothing else should run beside it. Without
hardware virtualisation the emulator's seconds are many times those of real machines; what counts is how they compare.
The sizes are those of the newest builds, and of groups of files in them, each packed on its own with zstd.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bty_media.manifest import read
from tests.system.lab import timings
from tests.system.lab.firmware import ROOT
from tests.system.lab.media import medium

FLOWS = (
    "tests/system/test_interactive.py",
    "tests/system/test_fleet.py",
    "tests/system/test_stick.py::test_a_machine_without_network_is_flashed_from_the_stick",
)
SQUASHFS = b"hsqs"
MIB = 1 << 20
# The first group that fits a path has it.
GROUPS = {
    "kernel and its modules": ("boot", "usr/lib/modules"),
    "firmware and microcode of devices": ("usr/lib/firmware",),
    "bty and what it imports": ("opt/bty",),
    "Python": ("usr/lib/python3", "usr/lib/python3.13"),
    "the network environment": ("usr/share/bty/live",),
    "libraries": ("usr/lib/x86_64-linux-gnu", "usr/lib64"),
    "programs": ("usr/bin", "usr/sbin", "usr/libexec"),
}


def main() -> int:
    """Run the flows, and print what they took and what the media weigh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["flows", "sizes"])
    only = parser.parse_args().only
    status = 0
    if only != "sizes":
        words = [sys.executable, "-m", "pytest", "-q", "-m", "vm", "-p", "no:cacheprovider"]
        status = subprocess.run([*words, *FLOWS], cwd=ROOT, check=False).returncode
        for line in timings.table(json.loads(timings.FILE.read_text())["rows"]):
            print(line)
    if only != "flows":
        for kind in ("pxe", "usb", "server"):
            for name, file in read(medium(kind)).files.items():
                print(f"{kind:<7} {name:<55} {file.size / MIB:7.1f} MiB")
        for kind, tree in (("pxe", live_tree), ("server", server_tree)):
            with tree() as folder:
                weigh(kind, folder)
    return status


def weigh(kind: str, tree: Path) -> None:
    """Print how large each group of files in `tree` is, packed."""
    taken: list[str] = []
    for group, paths in GROUPS.items():
        there = [path for path in paths if (tree / path).exists()]
        if there:
            print(f"{kind:<7} {group:<55} {packed(tree, there) / MIB:7.1f} MiB")
            taken += there
    print(f"{kind:<7} {'everything else':<55} {packed(tree, ['.'], taken) / MIB:7.1f} MiB")


def packed(tree: Path, paths: list[str], without: list[str] | None = None) -> int:
    """Return the bytes of `paths` below `tree` in zstd."""
    words = ["tar", "--create", "--one-file-system", "--directory", str(tree)]
    words += [f"--exclude=./{path}" for path in without or []]
    with subprocess.Popen([*words, *paths], stdout=subprocess.PIPE) as tar:
        zstd = ["zstd", "--quiet", "-9", "-T0", "--stdout"]
        made = subprocess.run(zstd, stdin=tar.stdout, capture_output=True, check=True)
    return len(made.stdout)


@contextmanager
def live_tree() -> Iterator[Path]:
    """Show the root of the network environment."""
    initrd = (medium("pxe") / "initrd.img").read_bytes()
    with tempfile.TemporaryDirectory(prefix="bty-") as name:
        image = Path(name) / "root.squashfs"
        image.write_bytes(initrd[initrd.index(SQUASHFS) :])
        with mounted(image, Path(name) / "root", "-t", "squashfs") as root:
            yield root


@contextmanager
def server_tree() -> Iterator[Path]:
    """Show the root of the server."""
    (image,) = medium("server").glob("*.img.zst")
    with tempfile.TemporaryDirectory(prefix="bty-") as name:
        disk = Path(name) / "server.raw"
        words = ["zstd", "--decompress", "--quiet", str(image), "-o", str(disk)]
        subprocess.run(words, check=True)
        words = ["sfdisk", "--json", str(disk)]
        found = subprocess.run(words, check=True, capture_output=True).stdout
        (start,) = [
            one["start"] * 512
            for one in json.loads(found)["partitiontable"]["partitions"]
            if one["name"] == "bty-root"
        ]
        options = f"ro,noload,offset={start}"
        with mounted(disk, Path(name) / "root", "-t", "ext4", "-o", options) as root:
            yield root


@contextmanager
def mounted(image: Path, folder: Path, *words: str) -> Iterator[Path]:
    """Mount a file, and unmount it at the end."""
    folder.mkdir()
    subprocess.run(["mount", *words, str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main())
