"""A walk through the wizard, with what each step shows: for the golden files, and for the pictures of the manual.

`python -m tests.agent.wizard.tour` writes the golden files again.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bty_agent.unattended.failure import Failure, write_failure
from tests.agent.server.fleet import Fleet, fleet
from tests.agent.unattended.link import Link, link
from tests.agent.wizard.person import CTRL_C, ENTER, ESC, PRETENDED, Person, wizard
from tests.fakes.images import MIB, disk_image

SCREENS = Path(__file__).with_name("screens")
COLUMNS, ROWS = 80, 24
MAC = "52:54:00:12:34:56"
# As long as the address of a server on a port of the tests, so that no line is wrapped elsewhere.
SERVER = "http://192.168.10.2:80"
Keep = Callable[[str, Person], None]


@dataclass
class Place:
    """Where the walk takes place."""

    folder: Path
    fleet: Fleet
    link: Link

    def start(
        self, *argv: str, how: str = "", term: str = "xterm"
    ) -> AbstractContextManager[Person]:
        """Start the wizard there."""
        local = ["--root", "images", "--cmdline", "cmdline", "--run-dir", "run"]
        words = [*filter(None, [how]), *local, *argv]
        return wizard(*words, module=PRETENDED, cwd=self.folder, term=term, BTY_TEST_PACE="0.05")


def walk(keep: Keep) -> None:
    """Go through all steps; `keep` is given the name of each and who looks at it."""
    with tempfile.TemporaryDirectory(prefix="bty-") as name:
        folder = Path(name)
        furnish(folder)
        with fleet(folder / "server") as server, link(server.url) as way:
            data = (folder / "images" / "debian-13.img").read_bytes()
            server.add_image("debian-13.img", data, description="Debian 13 with cloud-init")
            place = Place(folder, server, way)
            for part in (locally, looking, from_a_server, without_a_server):
                part(place, keep)


def furnish(folder: Path) -> None:
    """Make images whose sizes are the same each time."""
    images = folder / "images"
    for made in (images, folder / "empty", folder / "run"):
        made.mkdir()
    (folder / "cmdline").write_text("quiet")
    data = disk_image(images / "debian-13.img", 12 * MIB).read_bytes()
    (images / "debian-13.img.yaml").write_text("description: Debian 13 with cloud-init\n")
    (images / "debian-13.img.sha256").write_text("ab" * 32)
    (images / "rescue.img.gz").write_bytes(gzip.compress(data[: 8 * MIB], 0, mtime=0))
    (images / "notes.img").write_bytes(b"PK\x03\x04" + bytes(2000))
    (images / "cut.img").write_bytes(data[: 3 * MIB])


def locally(place: Place, keep: Keep) -> None:
    """From a stick, without a server."""
    why = Failure(
        code="disk-not-found",
        message="no disk matches serial:S5GX",
        hint="look at the disks of the machine's page",
        aftermath="nothing was written",
        attempt=12,
    )
    write_failure(why, place.folder / "run")
    digest = place.folder / "images" / "debian-13.img.sha256"
    seed = place.folder / "images" / "seeds" / "lab"
    seed.mkdir(parents=True)
    (seed / "user-data").write_text("#cloud-config\nhostname: box\n")
    with place.start() as person:
        keep_when(person, keep, "notice", "What now?")
        person.take("Go on")
        person.sees("Which image?")
        person.point_at("debian-13.img")
        keep_when(person, keep, "images", "Debian 13 with")
        person.take("debian-13.img")
        keep_when(person, keep, "disks", "Onto which disk?")
        person.take("Allow removable disks")
        keep_when(person, keep, "disks-removable", "Keep removable disks out")
        person.take("Keep removable")
        person.sees("removable: allow it below first")
        person.take("nvme0n1 ")
        keep_when(person, keep, "set-up", "What to set up on it?")
        person.press(ENTER)
        keep_when(person, keep, "summary", "Erase all of")
        person.press("y")
        person.sees("Yes")
        person.press(ENTER)
        keep_when(person, keep, "name", "Type nvme0n1")
        person.press(*"sda", ENTER)
        keep_when(person, keep, "wrong-name", "That was not")
        person.press("y", ENTER)
        person.sees("Type nvme0n1")
        person.press(*"nvme0n1", ENTER)
        keep_when(person, keep, "failed", "The image is not on the disk.", "What now?")
        digest.unlink()
        person.take("Choose another image")
        person.sees("Which image?")
        person.take("debian-13.img")
        person.sees("Onto which disk?")
        person.take("sda ")
        person.sees("What to set up")
        person.press(ENTER)
        person.sees("Erase all of sda")
        person.press("y", ENTER)
        keep_when(person, keep, "result", "done: ", "What now?")
        person.press(CTRL_C)
        keep_when(person, keep, "leave", "Leave the wizard?")
        person.press(CTRL_C)
        person.ended()
        keep("left", person)


def looking(place: Place, keep: Keep) -> None:
    """Without root, without images, and with many."""
    shutil.rmtree(place.folder / "images" / "seeds", ignore_errors=True)
    with place.start(how="user") as person:
        keep_when(person, keep, "images-without-root", "Which image?")
        person.take("debian-13.img")
        person.sees("Onto which disk?")
        person.press(ENTER)
        keep_when(person, keep, "summary-without-root", "Writing needs root")
    with place.start("--root", "empty") as person:
        keep_when(person, keep, "images-none", "What now?")
    for number in range(1, 31):
        (place.folder / "empty" / f"node-{number:02}.img").write_bytes(b"\x01" * 4096)
    with place.start("--root", "empty") as person:
        keep_when(person, keep, "images-many", "type to search")
        person.press(*"e-2")
        keep_when(person, keep, "images-searched", "/ e-2...")
    with place.start(term="vt220") as person:
        keep_when(person, keep, "images-vt220", "Which image?")
    with place.start(term="dumb") as person:
        keep_when(person, keep, "images-dumb", "Number, b for back")


def from_a_server(place: Place, keep: Keep) -> None:
    """The images of a server, which hears of all."""
    way = place.link
    way.image_bytes = 10 * MIB
    with place.start("--server", way.url, "--mac", MAC) as person:
        keep_when(person, keep, "server-images", "Which image?")
        person.press(ENTER)
        person.sees("Onto which disk?")
        person.take("sda ")
        keep_when(person, keep, "server-summary", "Erase all of sda")
        person.press("y", ENTER)
        half_written(person)
        keep_when(person, keep, "writing", "bound")
        person.press(CTRL_C)
        keep_when(person, keep, "stop", "Stop writing?")
        person.press(ENTER)
        way.deaf_to = b"/done"
        way.image_bytes = None
        keep_when(person, keep, "server-untold", "does not know yet", "What now?")
        person.take("Reboot")
        keep_when(person, keep, "server-untold-reboot", "The server does not know it yet.")
        way.deaf_to = None
        person.take("Tell the server now")
        keep_when(person, keep, "server-policy", "start from its own disk?")
        person.press(ENTER)
        keep_when(person, keep, "server-result", "What now?")


def without_a_server(place: Place, keep: Keep) -> None:
    """A server that is away."""
    way = place.link
    with place.start("--server", way.url, "--mac", MAC) as person:
        person.sees("Which image?")
        way.down = True
        person.take("Take an image of this computer")
        person.sees("cut.img")
        person.take("debian-13.img")
        person.sees("Onto which disk?")
        person.take("sda ")
        person.sees("Erase all of sda")
        person.press("y", ENTER)
        keep_when(person, keep, "server-no-turn", "What now?")
        person.press(ESC)
        person.sees("Nothing was written.")
    with place.start("--server", way.url, "--mac", MAC) as person:
        keep_when(person, keep, "server-away", "What now?")


def half_written(person: Person) -> None:
    """Wait until the bar shows that something is on the disk."""
    person.until(lambda: re.search(r"writing .* [1-9]\d%", person.shown), "a bar that has moved")


def keep_when(person: Person, keep: Keep, name: str, *texts: str) -> None:
    """Keep the screen when it shows `texts`."""
    person.sees(*texts)
    keep(name, person)


def settled(screen: str) -> str:
    """Return a screen without what differs from run to run: seconds, rates, addresses, digests."""
    screen = re.sub(r"http://127\.0\.0\.1:\d{5}", SERVER, screen)
    screen = re.sub(r"[\d.]+ s, [\d.]+ [kMG]?B/s", "1.0 s, 12.6 MB/s", screen)
    screen = re.sub(r"(writing|waiting|verifying) +[━─#.]+.*", r"\1 (a bar)", screen)
    screen = re.sub(r"\b[0-9a-f]{64}\b", "ab" * 32, screen)
    screen = re.sub(r"\b[0-9a-f]{16}\.\.\.", "ab" * 8 + "...", screen)
    root = r"(images (?:of|in)) (?:images|empty)$"
    return re.sub(root, r"\1 /var/lib/bty/images", screen, flags=re.MULTILINE)


def main() -> int:
    """Write the golden files."""
    SCREENS.mkdir(exist_ok=True)
    for old in SCREENS.iterdir():
        old.unlink()
    walk(lambda name, person: _write(name, settled(person.shown)))
    return 0


def _write(name: str, screen: str) -> None:
    (SCREENS / f"{name}.txt").write_text(screen)


if __name__ == "__main__":
    raise SystemExit(main())
