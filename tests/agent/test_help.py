"""Help: in 80 columns, with exit codes; and one sentence for each mistake."""

from __future__ import annotations

import pytest

from bty_agent.cli import build_parser
from bty_agent.exits import Exit
from bty_core.program.parser import commands_of
from tests.agent.running import bty, lines

COMMANDS = list(commands_of(build_parser()))


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_fits_and_lists_exit_codes(words: list[str]) -> None:
    ran = bty(*words, "--help")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert max(map(len, lines(ran.out))) <= 80
    assert "\nexit codes:\n    0  done\n" in ran.out


def test_all_of_the_help() -> None:
    assert lines(bty("--help").out) == [
        "usage: bty [-h] [--version] COMMAND ...",
        "",
        "Put an OS image onto a disk, verified.",
        "",
        "options:",
        "  -h, --help    show this help message and exit",
        "  --version     show the version and exit",
        "",
        "commands:",
        "  COMMAND",
        "    disks       list the disks and say which may be written",
        "    images      list the images of a folder",
        "    inspect     show what an image is and what is in it",
        "    flash       write an image onto a disk",
        "    verify      compare an image with a disk, writing nothing",
        "    inventory   show what this machine is and has",
        "    completion  print the completion script for a shell",
        "",
        "exit codes:",
        "    0  done",
        "    1  a bug in bty, or something unforeseen",
        "    2  the command was not understood, or nobody confirmed it",
        "    3  root is needed",
        "    4  a program is missing; the message names it and its package",
        "    5  refused, and nothing was written; the reasons are listed",
        "    6  wrong digest, truncated or damaged image, or the disk does not hold what",
        "       was written",
        "    7  the image or the server cannot be reached",
        "    8  writing failed; the disk does not boot",
        "    9  provisioning, or the boot entry, failed; the image is on the disk",
        "  130  interrupted; if writing had begun, the disk does not boot",
        "",
        "'bty COMMAND --help' tells more of a command.",
    ]


def test_without_words_the_help_and_2() -> None:
    ran = bty()
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.err == bty("--help").out


def test_the_version() -> None:
    ran = bty("--version")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert ran.out.startswith("bty 0.")


@pytest.mark.parametrize(
    ("words", "sentence", "asked"),
    [
        ("--bogus", "unknown option '--bogus'", "bty"),
        ("flash --imag x", "unknown option '--imag': is --image meant?", "bty flash"),
        ("flash --bogus=1", "unknown option '--bogus'", "bty flash"),
        ("disks -x", "unknown option '-x'", "bty disks"),
        ("disks more", "unknown argument 'more'", "bty disks"),
        ("flash", "--image and --target are missing", "bty flash"),
        ("inspect", "IMAGE is missing", "bty inspect"),
        ("flash --image", "--image needs a value", "bty flash"),
        (
            "flash --image x --target only --yes --dry-run",
            "--yes and --dry-run exclude each other",
            "bty flash",
        ),
        (
            "flash --image x --target only --progress bar",
            "--progress cannot be 'bar': choose one of auto, text, ndjson, none",
            "bty flash",
        ),
        ("completion fish", "shell cannot be 'fish': choose one of bash, zsh", "bty completion"),
    ],
)
def test_a_mistake_is_one_sentence(words: str, sentence: str, asked: str) -> None:
    ran = bty(*words.split())
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert lines(ran.err) == [f"bty: {sentence}", f"     hint: {asked} --help lists what there is"]
