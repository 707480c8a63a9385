"""The wizard on a terminal of 80x24, with the images of a folder and loop devices for disks."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agent.wizard.person import CTRL_C, DOWN, ENTER, ESC, Person, wizard
from tests.conftest import MIB
from tests.loops import attach, detach

pytestmark = [pytest.mark.root, pytest.mark.loop]


def settings(person: Person) -> list[Any]:
    return list(termios.tcgetattr(person.child.child_fd))


@contextmanager
def at_images(images: Path, *argv: str | Path, **options: Any) -> Iterator[Person]:
    """Start the wizard, and wait for the first screen."""
    nothing = images.parent / "cmdline"
    nothing.write_text("quiet")
    words: list[str | Path] = [
        "--root",
        images,
        "--cmdline",
        nothing,
        "--run-dir",
        images.parent / "run",
    ]
    with wizard(*words, *argv, **options) as person:
        yield person


def to_disks(person: Person, image: str = "small.img") -> None:
    person.sees("Which image?", "Ctrl-C leave")
    person.take(image)
    person.sees("Onto which disk?", "Allow removable disks")
    person.take("Allow removable disks")
    person.sees("Keep removable disks out")


def to_summary(person: Person, disk: Path, image: str = "small.img") -> None:
    to_disks(person, image)
    choose(person, disk)
    person.sees(f"Erase all of {disk.name}")


def choose(person: Person, disk: Path) -> None:
    """Choose a disk; while a test beside this one looks at all disks, it may be claimed for a moment."""
    for _ in range(5):
        if person.finds(f"{disk.name} "):
            break
        person.take("Look again")
        person.sees("Onto which disk?")
    person.take(f"{disk.name} ")


def say_yes(person: Person) -> None:
    person.press("y")
    person.sees("Yes")
    person.press(ENTER)


def start(disk: Path) -> bytes:
    """Return what is at the start of a disk."""
    with disk.open("rb") as file:
        return file.read(12 * MIB)


@pytest.mark.parametrize("term", ["xterm-256color", "linux", "vt220"])
@pytest.mark.parametrize("image", ["small.img", "packed.img.zst"])
def test_an_image_onto_a_disk(images: Path, used: Path, term: str, image: str) -> None:
    with at_images(images, term=term) as person:
        before = settings(person)
        to_summary(person, used, image)
        shown = person.shown
        assert 'ext4 "precious"' in shown
        assert f"disk     {used.name}: no model name, 33.6 MB (33554432 bytes)" in shown
        say_yes(person)
        person.sees(f"Type {used.name} to erase it")
        person.press(*used.name, ENTER)
        shown = person.sees("What now?", "Ctrl-C leave")
        assert f"done: {image} is on {used}, read back and equal" in shown
        assert [
            word
            for word in ("Reboot", "Power off", "Flash another disk", "Shell")
            if word not in shown
        ] == []
        person.take("Leave the wizard")
        person.sees("Leave the wizard?")
        say_yes(person)
        assert person.ended() == 0
        assert settings(person) == before
        assert person.shown == f"bty: {image} is on {used}\n"
        assert not person.screen.cursor.hidden
        assert b"\x1b[?1049" not in person.received  # no other screen
        assert (b"\xe2" in person.received) == (term == "xterm-256color")  # ASCII on a console
        assert b"\x1b[38;" not in person.received  # sixteen colours
    assert start(used) == (images / "small.img").read_bytes()


def test_without_drawing_questions_are_answered_by_numbers(images: Path, used: Path) -> None:
    with at_images(images, term="dumb") as person:
        person.sees("Which image?")
        assert "1  packed.img.zst" in person.shown
        person.press("9\r")
        person.sees("There is no '9' in this list.")
        person.press("2\r")
        person.sees("Onto which disk?")
        person.press("2\r")
        shown = person.sees("Keep removable disks out")
        number = next(line.split()[0] for line in shown.splitlines() if f" {used.name} " in line)
        person.press(f"{number}\r")
        person.sees("Erase all of")
        person.press("y\r")
        person.sees(f"Type {used.name}")
        person.press(f"{used.name}\r")
        shown = person.sees("Number, b for back", "Flash another disk")
        person.press("q\r")
        person.sees("Leave the wizard?")
        person.press("y\r")
        assert person.ended() == 0
        assert b"bty: writing 100 %" in person.received
        assert b"\x1b" not in person.received
    assert start(used) == (images / "small.img").read_bytes()


def test_back_and_forth(images: Path, blank: Path, used: Path) -> None:
    before = start(used)
    with at_images(images) as person:
        to_summary(person, used)
        person.press(ENTER)  # the answer to begin with is No
        person.sees("Onto which disk?")
        person.press(ESC)
        person.sees("Which image?")
        assert "small.img" in person.pointed
        person.take("packed.img.zst")
        person.sees("Onto which disk?", "packed.img.zst")
        choose(person, blank)
        person.sees(f"Erase all of {blank.name}")
        person.press(ESC)
        person.sees("Onto which disk?")
        person.take("Back")
        person.sees("Which image?")
        person.press(ESC)
        person.sees("Leave the wizard?")
        person.press(ENTER)
        person.sees("Which image?")
        person.press(CTRL_C)
        person.sees("Leave the wizard?")
        person.press(CTRL_C)
        assert person.ended() == 0
        assert person.shown == "bty: nothing was written\n"
    assert start(used) == before
    assert set(start(blank)) == {0xFF}


def test_cancel_in_each_step(images: Path, used: Path) -> None:
    before = start(used)

    def stays(person: Person, *seen: str) -> None:
        person.press(CTRL_C)
        person.sees("Leave the wizard?")
        person.press(ENTER)
        person.sees(*seen)

    with at_images(images) as person:
        terminal = settings(person)
        person.sees("Which image?", "Ctrl-C leave")
        stays(person, "Which image?", "Ctrl-C leave")
        to_disks(person)
        stays(person, "Onto which disk?", "Ctrl-C leave")
        choose(person, used)
        person.sees("Erase all of")
        stays(person, "Erase all of")
        say_yes(person)
        person.sees("Type ")
        stays(person, "Type ")
        person.press(ESC)
        person.sees("Nothing was written.", "Erase all of")
        person.press(CTRL_C)
        person.sees("Leave the wizard?")
        say_yes(person)
        assert person.ended() == 0
        assert settings(person) == terminal
    assert start(used) == before


@pytest.mark.parametrize("typed", ["loop", "LOOP0", "y", "/dev/loop999"])
def test_a_wrong_name_goes_back_without_harm(images: Path, used: Path, typed: str) -> None:
    before = start(used)
    with at_images(images) as person:
        to_summary(person, used)
        say_yes(person)
        person.sees("Type ")
        person.press(*typed, ENTER)
        person.sees(f"That was not {used.name}. Nothing was written.", "Erase all of")
    assert start(used) == before


def test_what_is_typed_before_the_last_question_is_no_answer(images: Path, blank: Path) -> None:
    with at_images(images) as person:
        to_disks(person)
        person.point_at(f"{blank.name} ")
        person.press(ENTER, "y", ENTER, ENTER)
        person.sees("Erase all of")
        assert "Yes" not in person.shown.rpartition("Erase all of")[2]
    assert set(start(blank)) == {0xFF}


def test_another_disk_in_its_place(images: Path, used: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"\xff" * 32 * MIB)
    with at_images(images) as person:
        to_summary(person, used)
        detach(used)
        again = attach(other)
        try:
            say_yes(person)
            person.sees("Type ")
            person.press(*used.name, ENTER)
            if again == used:
                person.sees("is not the disk of the plan", "Onto which disk?")
            else:
                person.sees("Onto which disk?")
        finally:
            detach(again)
    assert set(other.read_bytes()) == {0xFF}


def test_a_disk_that_was_pulled(images: Path, used: Path) -> None:
    with at_images(images) as person:
        to_summary(person, used)
        detach(used)
        say_yes(person)
        person.sees("Type ")
        person.press(*used.name, ENTER)
        shown = person.sees("Onto which disk?", "nothing was written")
        assert str(used) in shown


def test_the_catalog_is_empty(tmp_path: Path) -> None:
    empty = tmp_path / "images"
    empty.mkdir()
    with at_images(empty) as person:
        person.sees("There are no images in", "Copy disk images there", "BTY_IMAGES", "Look again")
        (empty / "new.img").write_bytes(b"\x01" * MIB)
        person.take("Look again")
        person.sees("Which image?", "new.img")


def test_a_long_list_is_searched_by_typing(images: Path) -> None:
    for number in range(30):
        (images / f"fedora-{number}.img").write_bytes(b"\x01" * 4096)
    with at_images(images) as person:
        person.sees("type to search", "fedora-0.img")
        assert len(person.shown.splitlines()) <= 24
        assert "[Image]" in person.shown  # nothing has scrolled away
        person.press(*"packed")
        person.sees("/ packed...")
        assert "fedora" not in person.shown
        person.press(ENTER)
        person.sees("Onto which disk?", "packed.img.zst")
        person.press(ESC)
        person.sees("Which image?", "IMAGE ", "fedora-9.img", "packed.img.zst")
        person.press(*"pack")
        person.sees("/ pack...")
        person.press(ESC)  # ends the search
        person.sees("IMAGE ", "fedora-0.img")
        person.press(ESC)
        person.sees("Leave the wizard?")


def test_another_size_of_the_terminal(images: Path) -> None:
    with at_images(images) as person:
        person.sees("Which image?", "Ctrl-C leave")
        person.press(DOWN)
        person.until(lambda: "small.img" in person.pointed, "small.img")
        person.screen.resize(30, 100)
        person.child.setwinsize(30, 100)
        person.sees("Which image?", "Ctrl-C leave")
        person.until(lambda: "small.img" in person.pointed, "small.img after the change")
        person.screen.resize(20, 60)
        person.child.setwinsize(20, 60)
        person.sees("Which image?", "Ctrl-C leave")
        person.press(ENTER)
        person.sees("Onto which disk?")


def test_a_failure_of_the_unattended_agent_is_shown_first(images: Path, tmp_path: Path) -> None:
    from bty_agent.unattended.failure import Failure, write_failure

    run = tmp_path / "run"
    run.mkdir()
    why = Failure(
        code="digest-mismatch",
        message="the image is not what the server says",
        hint="measure it again",
        aftermath="/dev/sda does not boot now",
        attempt=7,
    )
    write_failure(why, run)
    with at_images(images) as person:
        shown = person.sees("What now?", "attempt 7 failed: the image is not what the server says")
        assert "hint: measure it again" in shown
        assert "/dev/sda does not boot now" in shown
        person.take("Go on")
        person.sees("Which image?")
    assert list(run.iterdir()) == []


def test_a_name_cannot_move_the_cursor(images: Path, blank: Path) -> None:
    odd = "odd\x1b[2J\x07.img"
    (images / "small.img").rename(images / odd)
    (images / "small.img.yaml").unlink()
    with at_images(images) as person:
        to_summary(person, blank, "odd")
        say_yes(person)
        person.sees("done: odd", "What now?")
        person.take("Leave the wizard")
        person.sees("Leave the wizard?")
        say_yes(person)
        assert person.ended() == 0
        assert person.shown.startswith("bty: odd\N{REPLACEMENT CHARACTER}[2J")
        assert b"odd\x1b[2J" not in person.received


def test_a_shell_and_back(images: Path, tmp_path: Path) -> None:
    with at_images(images, SHELL="/bin/sh") as person:
        before = settings(person)
        person.sees("Which image?", "Ctrl-C leave")
        person.take("Shell")
        person.sees("Leave it with exit")
        person.press(f"echo $((6 * 7)) > {tmp_path}/answer\r")
        answer = tmp_path / "answer"
        person.until(lambda: answer.exists() and answer.read_text() == "42\n", "the answer 42")
        (images / "new.img").write_bytes(b"\x01" * MIB)
        person.press(CTRL_C)  # is the shell's
        person.press("stty -echo -icanon\r", "exit\r")
        person.sees("Which image?", "new.img", "Ctrl-C leave")
        person.press(CTRL_C, CTRL_C)
        assert person.ended() == 0
        assert settings(person) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_program_is_told_to_end(images: Path, number: signal.Signals) -> None:
    with at_images(images) as person:
        before = settings(person)
        person.sees("Which image?", "Ctrl-C leave")
        person.child.kill(number)
        assert person.ended() == 130
        assert settings(person) == before
        assert not person.screen.cursor.hidden


def test_little_goes_over_a_serial_line(images: Path) -> None:
    with at_images(images, term="vt220") as person:
        person.sees("Which image?", "Ctrl-C leave")
        first = len(person.received)
        assert first < 2000  # at 115200 baud a sixth of a second
        person.press(DOWN)
        person.sees("An image for tests")
        assert len(person.received) - first < 400


def test_no_colour_where_none_is_wanted(images: Path) -> None:
    with at_images(images, NO_COLOR="1") as person:
        person.sees("Which image?", "Ctrl-C leave")
        assert re.search(rb"\x1b\[[0-9;]*3[0-7]m", person.received) is None
    with at_images(images) as person:
        person.sees("Which image?", "Ctrl-C leave")
        assert re.search(rb"\x1b\[[0-9;]*36[;m]", person.received)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sever", "http://x"], "unknown option '--sever': is --server meant?"),
        (["--mac", "nonsense"], "'nonsense' is not a MAC address"),
        (["--server", "ftp://x", "--mac", "52:54:00:12:34:56"], "ftp"),
        (["--cmdline", "/nowhere"], "the kernel command line /nowhere cannot be read"),
    ],
)
def test_words_that_make_no_sense(words: list[str], said: str) -> None:
    with wizard(*words) as person:
        assert person.ended() == 2
        assert said in " ".join(person.shown.split())


def test_without_a_terminal_it_says_what_else_there_is() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bty_agent.wizard.main"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "the wizard needs a terminal" in ran.stderr
    assert "bty flash --yes" in ran.stderr
