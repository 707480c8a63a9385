"""How long a person waits for the wizard: for its first screen, and from the last Enter to the first byte on the disk.

    sudo .venv/bin/python benchmarks/bench_wizard.py [--rounds 7]

The real `bty-tui` on a pseudo terminal, with a folder of images and a loop device that holds nothing. The first screen
counts when its last line is there, the first byte when the kernel has written to the loop device. What goes over the
line is counted too: at 115200 baud a character takes 87 microseconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.agent.wizard.person import DOWN, ENTER, Person, wizard
from tests.fakes.images import MIB, disk_image
from tests.loops import attach, detach

FIRST_SCREEN, FIRST_BYTE = 0.7, 1.0  # seconds that are promised
PER_BYTE = 10 / 115200  # seconds on a serial line


def main() -> int:
    """Measure, and say whether the promises hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bty-") as name:
        folder = Path(name)
        (folder / "images").mkdir()
        disk_image(folder / "images" / "debian.img", 256 * MIB)
        (folder / "cmdline").write_text("quiet")
        measured = [once(folder) for _ in range(rounds)]
    screen, sent, key, byte = (statistics.median(column) for column in zip(*measured, strict=True))
    serial = sent * PER_BYTE
    print(f"first screen    {screen:.2f} s, {sent:.0f} bytes: {serial:.2f} s more at 115200 baud")
    print(f"one step down   {key:.0f} bytes")
    print(f"first byte      {byte:.2f} s after Enter")
    return 0 if screen < FIRST_SCREEN and byte < FIRST_BYTE else 1


def once(folder: Path) -> tuple[float, int, int, float]:
    """Return seconds to the first screen, its bytes, the bytes of one step, seconds to the first byte."""
    backing = folder / "disk"
    backing.write_bytes(b"")
    with backing.open("r+b") as file:
        file.truncate(512 * MIB)
    disk = attach(backing)
    words: list[str | Path] = ["--root", folder / "images", "--cmdline", folder / "cmdline"]
    try:
        began = time.perf_counter()
        with wizard(*words, "--run-dir", folder) as person:
            person.until(lambda: "Ctrl-C leave" in person.shown, "the first screen")
            screen = time.perf_counter() - began
            rest(person)
            sent = len(person.received)
            person.press(DOWN)
            rest(person)
            key = len(person.received) - sent
            person.take("debian.img")
            person.sees("Onto which disk?")
            person.take("Allow removable disks")
            person.sees("Keep removable disks out")
            person.take(f"{disk.name} ")
            person.sees("Erase all of")
            person.press("y")
            person.sees("Yes")
            before = written(disk)
            began = time.perf_counter()
            person.press(ENTER)
            while written(disk) == before:
                person.look(0.001)
            return screen, sent, key, time.perf_counter() - began
    finally:
        detach(disk)


def rest(person: Person) -> None:
    """Wait until nothing more is drawn."""
    while person.look(0.3):
        pass


def written(disk: Path) -> int:
    """Return how often the kernel has written to `disk`."""
    return int(Path("/sys/block", disk.name, "stat").read_text().split()[4])


if __name__ == "__main__":
    raise SystemExit(main())
