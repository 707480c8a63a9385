"""What `bty-media` understands: help in 80 columns, one sentence for each mistake, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bty_core.program.parser import commands_of
from bty_media import __version__
from bty_media.builder.request import KERNELS as BUILT_KERNELS
from bty_media.cli import KERNELS, KINDS, build_parser
from bty_media.commands import command
from bty_media.exits import Exit, exit_for
from bty_media.manifest import Kind
from tests.media.running import bty_media
from tests.style.test_errors import failures

COMMANDS = list(commands_of(build_parser()))
# By hand; a new failure has to be added here.
TABLE = {
    "build-failed": 1,
    "build-damaged": 6,
    "cannot-build": 5,
    "no-mirror": 7,
    "not-installed": 5,
    "server-away": 7,
    "stick-too-small": 5,
}


def test_the_commands_of_the_contract_are_there() -> None:
    assert COMMANDS == ["build", "list", "verify", "doctor", "write", "install"]
    assert all(map(command, COMMANDS))


def test_the_choices_are_those_of_the_builder() -> None:
    assert list(KINDS) == [*Kind]
    assert list(KERNELS) == [*BUILT_KERNELS]


def test_every_failure_has_the_exit_code_of_the_table() -> None:
    ours = [kind for kind in failures() if kind.__module__.startswith("bty_media.")]
    assert {kind.code: int(exit_for(kind("odd"))) for kind in ours} == TABLE


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_fits_and_lists_exit_codes(words: list[str]) -> None:
    ran = bty_media(*words, "--help")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\nexit codes:\n    0  done\n" in ran.out


def test_without_words_the_help_and_2() -> None:
    ran = bty_media()
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.said[0] == "usage: bty-media [-h] [--version] COMMAND ..."


def test_the_version_comes_without_loading_a_network_library() -> None:
    code = (
        "import sys, runpy; sys.argv = ['bty-media', '--version']\n"
        "try: runpy.run_module('bty_media', run_name='__main__')\n"
        "except SystemExit: print(sorted({'requests', 'rich', 'flask', 'zstandard'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == (f"bty-media {__version__}\n[]\n", "")


def test_a_closed_standard_output_is_no_failure(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bty_media", "list", "--output", str(tmp_path), "--json"]
    ran = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *words], stderr=subprocess.PIPE, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["make"], "there is no command 'make': choose one of " + ", ".join(COMMANDS)),
        (["build"], "kind is missing"),
        (["build", "iso"], "kind cannot be 'iso': choose one of usb, pxe, server"),
        (["build", "usb", "--kernel", "rt"], "--kernel cannot be 'rt': choose one of generic, cloud"),
        (["build", "usb", "--extra-packages", "x"], "unknown option '--extra-packages': is --extra-package meant?"),
        (["verify"], "DIR is missing"),
        (["write", "/dev/sdx", "--add"], "--add needs a value"),
        (["write", "/dev/sdx", "--yes", "--dry-run"], "--yes and --dry-run exclude each other"),
        (["write", "color:red"], "'color:red' is not a condition for a disk"),
        (["install"], "URL is missing"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_one_sentence(words: list[str], said: str) -> None:
    ran = bty_media(*words)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.said[0] == f"bty-media: {said}"


def test_building_without_root_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ran = bty_media("build", "usb", "--output", tmp_path / "media", "--cache", tmp_path / "cache")
    assert (ran.code, ran.out) == (Exit.NEEDS_ROOT, "")
    assert ran.said == [
        "bty-media: building needs root: an image holds files of many owners",
        "     hint: run it with sudo",
    ]
    assert os.listdir(tmp_path) == []
