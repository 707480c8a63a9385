"""The completion scripts, loaded by the shells that they are for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.agent.running import bty

COMPLETE = r"""
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
how=$(complete -p bty) || exit 1
function=$(sed 's/.*-F \([^ ]*\).*/\1/' <<< "$how")
"$function" bty "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def completed(folder: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of `words` when TAB is pressed."""
    script = folder / "bty.bash"
    script.write_text(bty("completion", "bash").out)
    argv = ["bash", "--norc", "-c", COMPLETE, "bash", str(script), *words]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=folder)
    assert ran.stderr == ""
    return sorted(ran.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["bty", "fl"], ["flash"]),
        (["bty", "in"], ["inspect", "inventory"]),
        (["bty", "flash", "--ta"], ["--target"]),
        (["bty", "flash", "--progress", "n"], ["ndjson", "none"]),
        (["bty", "flash", "--provision", ""], ["cijoe", "cloud-init", "none"]),
        (["bty", "disks", "--"], ["--all", "--help", "--json", "--pretend", "--scratch"]),
        (["bty", "completion", ""], ["bash", "zsh"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], offered: list[str]) -> None:
    assert completed(tmp_path, *words) == offered


def test_bash_completes_files(tmp_path: Path) -> None:
    (tmp_path / "debian.img").touch()
    assert completed(tmp_path, "bty", "flash", "--image", "deb") == ["debian.img"]
    assert completed(tmp_path, "bty", "inspect", "deb") == ["debian.img"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh: not installed")
def test_zsh_takes_the_script(tmp_path: Path) -> None:
    script = tmp_path / "_bty"
    script.write_text(bty("completion", "zsh").out)
    subprocess.run(["zsh", "-n", str(script)], check=True)


def test_the_script_for_zsh_is_one() -> None:
    assert bty("completion", "zsh").out.startswith("#compdef bty\n")
