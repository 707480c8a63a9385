"""`bty flash` on a real terminal of 80 columns: the question, the bar, and the terminal afterwards."""

from __future__ import annotations

import os
import re
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from bty_core.values import MIB
from tests.agent.running import lines, small_image
from tests.fakes.server import Fault, ImageServer

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
WAIT = 90
QUESTION = r"\[y/N\] "


@contextmanager
def started(
    *argv: str | Path, term: str = "xterm", columns: int = 80, **env: str
) -> Iterator[pexpect.spawn[str]]:
    """Start `bty argv` on a pseudo terminal; it is gone when the block is left."""
    # What would say more than the terminal itself.
    said = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if name not in said}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "bty_agent", *map(str, argv)],
        env={**kept, "LC_ALL": "C.UTF-8", "TERM": term, **env},
        dimensions=(24, columns),
        encoding="utf-8",
        codec_errors="replace",
        timeout=WAIT,
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: pexpect.spawn[str]) -> tuple[int | None, str]:
    """Return the exit code and what was printed since the last look."""
    child.expect(pexpect.EOF)
    text = child.before or ""
    child.wait()
    return child.exitstatus, text


def plain(said: str) -> str:
    """Return the text without what moves the cursor and colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)


def settings(child: pexpect.spawn[str]) -> list[Any]:
    return list(termios.tcgetattr(child.child_fd))


def words(image: Path | str, disk: Path) -> list[str | Path]:
    return ["flash", "--image", image, "--target", f"file:{disk}"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return small_image(tmp_path)


@pytest.mark.parametrize("term", ["xterm", "linux", "vt220", "dumb"])
def test_yes(image: Path, tmp_path: Path, term: str) -> None:
    disk = tmp_path / "disk"
    with started(*words(image, disk), term=term) as child:
        child.expect(QUESTION)
        before = settings(child)
        child.sendline("y")
        code, said = ended(child)
        assert settings(child) == before
    assert code == 0
    assert disk.read_bytes() == image.read_bytes()
    if term == "dumb":
        assert "\x1b" not in said
        assert "bty: writing 100 %" in said
    else:
        assert said.count(HIDE) == 1
        assert said.rindex(SHOW) > said.rindex(HIDE)
        assert re.search(r"writing   (━+|#+) 100% 12\.6 MB", plain(said))
        assert re.search(r"verifying (━+|#+) 100% 12\.6 MB", plain(said))
        assert ("━" in said) == (term == "xterm")
    assert "done: small.img is on" in said.rpartition("verifying")[2]


@pytest.mark.parametrize("answer", ["n\r", "\r", "\x04"], ids=["n", "empty", "ctrl-d"])
def test_no(image: Path, tmp_path: Path, answer: str) -> None:
    disk = tmp_path / "disk"
    with started(*words(image, disk)) as child:
        child.expect(QUESTION)
        before = settings(child)
        child.send(answer)
        code, said = ended(child)
        assert settings(child) == before
    assert code == 2
    assert said.split() == [
        *(["n"] if "n" in answer else []),
        *f"bty: nothing was written to {disk}".split(),
    ]
    assert said.lstrip("n").startswith("\r\n")
    assert not disk.exists()


def test_ctrl_c_at_the_question(image: Path, tmp_path: Path) -> None:
    with started(*words(image, tmp_path / "disk")) as child:
        child.expect(QUESTION)
        child.sendintr()
        code, said = ended(child)
    assert (code, lines(said.replace("^C", ""))) == (
        130,
        ["", "bty: interrupted", "     nothing was written"],
    )
    assert not (tmp_path / "disk").exists()


@contextmanager
def slow(image: Path) -> Iterator[str]:
    """Serve `image` in about six seconds."""
    with ImageServer(image.read_bytes(), name=image.name, then=Fault(pause=0.12)) as server:
        yield server.url


@pytest.mark.parametrize("term", ["xterm", "linux"])
def test_ctrl_c_in_the_middle(image: Path, tmp_path: Path, term: str) -> None:
    disk = tmp_path / "disk"
    with slow(image) as url, started(*words(url, disk), "--yes", term=term) as child:
        before = settings(child)
        child.expect(re.escape(HIDE))
        child.expect("network-bound")
        assert not settings(child)[3] & termios.ECHO
        child.send("typed meanwhile")
        child.sendintr()
        code, said = ended(child)
        assert settings(child) == before
    assert code == 130
    assert "typed" not in said
    assert "^C" not in said
    assert said.rindex(SHOW) < said.index("bty: interrupted")
    last = f"bty: interrupted\r\n     {disk} does not boot now; flash it again"
    assert " ".join(said.split()).endswith(" ".join(last.split()))
    assert not any(disk.read_bytes()[:MIB])


def test_the_bar_moves_and_never_wraps(image: Path, tmp_path: Path) -> None:
    for columns in (80, 40):
        disk = tmp_path / f"disk-{columns}"
        with slow(image) as url, started(*words(url, disk), "--yes", columns=columns) as child:
            code, said = ended(child)
        assert code == 0
        drawn = [line for line in re.split(r"[\r\n]+", plain(said)) if "━" in line or "─" in line]
        assert {len(line) for line in drawn} == {columns - 1}
        percents = [
            int(found[1]) for line in drawn if (found := re.search(r"writing .* (\d+)%", line))
        ]
        assert percents == sorted(percents)
        assert len(set(percents)) > 3  # of this image, the disk gets a third at a time
        assert ("network-bound" in said) == (columns == 80)
        assert re.search(r"\d:\d\d left", said)


def test_no_colour_where_none_is_wanted(image: Path, tmp_path: Path) -> None:
    with started(*words(image, tmp_path / "disk"), "--yes", NO_COLOR="1") as child:
        code, said = ended(child)
    assert code == 0
    assert "━" in said
    assert not re.search(r"\x1b\[[0-9;]*m", said.replace("\x1b[0m", ""))
    with started(*words(image, tmp_path / "disk"), "--yes") as child:
        assert re.search(r"\x1b\[36m━", ended(child)[1])


def test_a_dropped_connection_is_told_above_the_bar(image: Path, tmp_path: Path) -> None:
    data = image.read_bytes()
    faults = [Fault(), Fault(pause=0.05, drop_after=6 * MIB)]
    with (
        ImageServer(data, name="small.img", faults=faults, then=Fault(pause=0.05)) as server,
        started(*words(server.url, tmp_path / "disk"), "--yes") as child,
    ):
        code, said = ended(child)
    assert code == 0
    assert re.search(r"bty: .*; going on in [\d.]+ s", said)
    assert (tmp_path / "disk").read_bytes() == data
