"""How fast bty flashes, against what people use now: one table on the screen, all figures as JSON.

    sudo .venv/bin/python benchmarks/bench_flash.py [--rounds 3] [--only zstd] [--output FILE]

Everything happens on a loop device over a file in memory (tmpfs), so that the disk is never the limit. With
`--disk fresh` the file holds nothing before each run, like a disk that was discarded: who writes zeros pays for their
memory. With `--disk full` it is filled with old data: who discards zeros pays for giving the memory back. The
contenders take turns, round after round, and the medians count: compare ratios, not seconds, with other machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

GIB = 2**30
MIB = 2**20
SHM = Path("/dev/shm")


@dataclass
class Contender:
    """One way to get one image onto the disk."""

    group: str  # the contenders of a group do the same work
    name: str
    command: str  # for the shell
    writes: bool = True
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MiB, of the largest single process


def contenders(images: dict[str, Path], disk: str, bty: str) -> list[Contender]:
    """Return everything that is compared; `images` maps a format to a file."""

    def flash(form: str, options: str = "") -> str:
        return f"{bty} flash --image {images[form]} --target {disk} --yes --progress none {options}"

    found = []
    for form, program in (("zstd", "zstd"), ("gzip", "gzip"), ("xz", "xz")):
        image = images[form]
        found += [
            Contender(form, "decode only", f"{program} -dc {image} >/dev/null", writes=False),
            Contender(form, "bty", flash(form)),
            Contender(form, "bty --no-verify", flash(form, "--no-verify")),
            Contender(
                form,
                f"{program} | dd conv=fsync",
                f"{program} -dc {image} | dd of={disk} bs=4M conv=fsync",
            ),
            Contender(
                form,
                f"{program} | dd oflag=direct",
                f"{program} -dc {image} | dd of={disk} bs=4M iflag=fullblock oflag=direct",
            ),
            Contender(
                form, "bmaptool + bmap", f"bmaptool copy --bmap {images['bmap']} {image} {disk}"
            ),
        ]
    found += [
        Contender("qcow2", "bty", flash("qcow2")),
        Contender("qcow2", "bty --no-verify", flash("qcow2", "--no-verify")),
        Contender(
            "qcow2",
            "qemu-img convert",
            f"qemu-img convert -n -t none -O raw {images['qcow2']} {disk}",
        ),
        Contender("random raw", "bty", flash("random")),
        Contender("random raw", "bty --no-verify", flash("random", "--no-verify")),
        Contender(
            "random raw",
            "dd oflag=direct",
            f"dd if={images['random']} of={disk} bs=4M oflag=direct",
        ),
        Contender(
            "random raw", "dd conv=fsync", f"dd if={images['random']} of={disk} bs=4M conv=fsync"
        ),
    ]
    return found


def make_images(folder: Path, size: int, random_size: int) -> dict[str, Path]:
    """Make an ext4 of `size` bytes with about 1 GiB of real files, in each format, and random bytes."""
    raw = folder / "image.raw"
    files = folder / "files"
    say(f"making an image of {size / GIB:.0f} GiB with real files ...")
    _collect(files, GIB)
    with raw.open("wb") as file:
        file.truncate(size)
    run(f"mkfs.ext4 -q -F -d {files} {raw}")
    shutil.rmtree(files)
    images = {"raw": raw, "random": folder / "random.raw"}
    for form, command in (
        ("zstd", "zstd -q -T0 {raw} -o {out}"),
        ("gzip", "gzip -c {raw} >{out}"),
        ("xz", "xz -c -T0 -1 {raw} >{out}"),
        ("qcow2", "qemu-img convert -c -O qcow2 {raw} {out}"),
        ("bmap", "bmaptool create -o {out} {raw}"),
    ):
        say(f"making {form} ...")
        suffix = {"zstd": "raw.zst", "gzip": "raw.gz", "xz": "raw.xz"}.get(form, form)
        images[form] = folder / f"image.{suffix}"
        run(command.format(raw=raw, out=images[form]))
    with images["random"].open("wb") as file:
        for _ in range(random_size // (4 * MIB)):
            file.write(os.urandom(4 * MIB))
    return images


def _collect(files: Path, enough: int) -> None:
    """Copy files of the running system until there are `enough` bytes of them."""
    copied = 0
    for root in ("/usr/lib", "/usr/share", "/usr/bin"):
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                source = Path(folder, name)
                if source.is_symlink() or not source.is_file() or source.stat().st_size > 256 * MIB:
                    continue
                target = files / source.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                copied += source.stat().st_size
                if copied >= enough:
                    return


@contextmanager
def loop_disk(folder: Path, size: int) -> Iterator[tuple[str, Path]]:
    """Yield a loop device and the file behind it."""
    backing = folder / "disk"
    with backing.open("wb") as file:
        file.truncate(size)
    device = run(f"losetup --find --show {backing}").strip()
    try:
        yield device, backing
    finally:
        run(f"losetup --detach {device}")


def fill(backing: Path, old: bytes) -> None:
    """Put old data everywhere onto the disk."""
    with backing.open("r+b", buffering=0) as file:
        for _ in range(backing.stat().st_size // len(old)):
            file.write(old)


def empty(backing: Path) -> None:
    """Leave a disk that holds nothing and takes no memory."""
    size = backing.stat().st_size
    os.truncate(backing, 0)
    os.truncate(backing, size)


def measure(contender: Contender, backing: Path, old: bytes | None) -> None:
    """Run it once, on a disk that is empty or full of `old`, and note wall time and peak memory."""
    if contender.writes:
        empty(backing)
        if old is not None:
            fill(backing, old)
    process = subprocess.Popen(
        ["bash", "-c", f"set -o pipefail; {contender.command}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    began = time.perf_counter()
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    contender.seconds.append(time.perf_counter() - began)
    contender.memory.append(usage.ru_maxrss / 1024)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{contender.command} failed: {said.decode(errors='replace')}")


def check(contender: Contender, images: dict[str, Path], disk: str) -> None:
    """Compare what is on the disk now with the image."""
    raw = images["random" if contender.group == "random raw" else "raw"]
    # bmaptool does not write the gaps of the map, so old data stays in them.
    if contender.writes and "bmap" not in contender.name:
        run(f"cmp -n {raw.stat().st_size} {raw} {disk}")


def table(found: list[Contender]) -> str:
    """Return the medians, and each contender's time as a multiple of bty's in its group."""
    lines = [
        f"{'image':<11} {'way':<24} {'seconds':>8} {'min':>7} {'max':>7} {'MiB':>6} {'x bty':>7} {'x bty -n':>8}"
    ]
    for one in found:
        base = {
            name: statistics.median(other.seconds)
            for other in found
            for name in [other.name]
            if other.group == one.group and name.startswith("bty")
        }
        median = statistics.median(one.seconds)
        times = [
            f"{median / base[name]:.2f}" if name in base else "-"
            for name in ("bty", "bty --no-verify")
        ]
        lines.append(
            f"{one.group:<11} {one.name:<24} {median:>8.2f} {min(one.seconds):>7.2f} {max(one.seconds):>7.2f}"
            f" {max(one.memory):>6.0f} {times[0]:>7} {times[1]:>8}"
        )
    return "\n".join(lines)


def run(command: str) -> str:
    """Run a shell command that must succeed, and return its output."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed: {done.stderr}")
    return done.stdout


def say(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Make the images, let the contenders take turns, print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often each contender runs (default: 3)"
    )
    parser.add_argument(
        "--only",
        default="",
        help="only groups whose name contains this: zstd, gzip, xz, qcow2, random",
    )
    parser.add_argument(
        "--gib", type=int, default=6, help="size of the image with files (default: 6)"
    )
    parser.add_argument(
        "--disk", choices=("fresh", "full"), default="fresh", help="see above (default: fresh)"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/flash.json"))
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("loop devices need root: run it with sudo")
    bty = shutil.which("bty", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    missing = [
        name
        for name in ("zstd", "gzip", "xz", "bmaptool", "qemu-img", "mkfs.ext4")
        if not shutil.which(name)
    ]
    if bty is None or missing:
        raise SystemExit(f"not installed: {', '.join([*missing, *([] if bty else ['bty'])])}")

    # A loop device and gigabytes of memory must not stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bty-bench-", dir=SHM) as name:
        folder = Path(name)
        images = make_images(folder, options.gib * GIB, 4 * GIB)
        old = os.urandom(16 * MIB) if options.disk == "full" else None
        with loop_disk(folder, options.gib * GIB) as (disk, backing):
            found = [one for one in contenders(images, disk, bty) if options.only in one.group]
            for turn in range(options.rounds):
                for one in found:
                    measure(one, backing, old)
                    if turn == 0:
                        check(one, images, disk)
                    say(
                        f"round {turn + 1}: {one.group:<11} {one.name:<24} {one.seconds[-1]:7.2f} s"
                    )
    print(table(found))
    facts = {
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        "rounds": options.rounds,
        "disk": options.disk,
        "results": [
            {"image": one.group, "way": one.name, "seconds": one.seconds, "peak_mib": one.memory}
            for one in found
        ],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(facts, indent=2) + "\n")
    say(f"all figures are in {options.output}")


if __name__ == "__main__":
    main()
