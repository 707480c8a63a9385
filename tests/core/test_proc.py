"""Other programs, asked: what goes in, what comes out, and what they may not do."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Timer

import pytest

from bty_core.errors import Cancelled, CommandFailed
from bty_core.proc import Answer, ask

MOST = 1 << 20


def test_what_it_says_and_how_it_ends() -> None:
    found = ask(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=20, most=MOST)
    assert found == Answer(7, "out\n", "err\n")


def test_more_than_a_pipe_holds_goes_through() -> None:
    found = ask(["cat"], timeout=20, most=MOST, stdin=b"x" * 900_000)
    assert found == Answer(0, "x" * 900_000, "")


def test_a_program_need_not_listen() -> None:
    found = ask(["true"], timeout=20, most=MOST, stdin=b"x" * 900_000)
    assert found == Answer(0, "", "")


def test_who_says_too_much_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    words = f"echo $$ >{tmp_path}/number; yes >&2"
    with pytest.raises(CommandFailed, match="sh says more than 1048576 bytes"):
        ask(["sh", "-c", words], timeout=60, most=MOST)
    assert time.monotonic() - began < 30
    assert not Path("/proc", (tmp_path / "number").read_text().strip()).exists()


def test_who_closes_its_mouth_and_stays_is_ended_in_time() -> None:
    assert ask(["sh", "-c", "exec >&- 2>&-; sleep 60"], timeout=1, most=MOST) is None


def test_it_is_stopped() -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    with pytest.raises(Cancelled):
        ask(["sleep", "60"], timeout=60, most=MOST, stop=stop)
