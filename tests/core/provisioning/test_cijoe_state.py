"""How far a workflow is: read from a file that belongs to the workflow, which may put anything there."""

from __future__ import annotations

import os
from pathlib import Path

from bty_core.provisioning.cijoe_state import read_steps

STATE = """
steps:
- {name: first, id: 001_first, status: {started: 1, failed: 0}}
- {name: second, status: {started: 0, failed: 0}}
"""


def test_the_steps_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "task.state").write_text(STATE)
    first, second = read_steps(tmp_path)
    assert (str(first), first.started, second.started) == ("step 1 of 2, 'first'", True, False)


def test_what_is_no_file_of_steps_has_none(tmp_path: Path) -> None:
    file = tmp_path / "task.state"
    assert read_steps(tmp_path) == []
    for text in ("", "steps: 7", "[" * 100_000, "\x00"):
        file.write_text(text)
        assert read_steps(tmp_path) == []
    file.unlink()
    os.mkfifo(file)
    assert read_steps(tmp_path) == []
    file.unlink()
    (tmp_path / "elsewhere").write_text(STATE)
    file.symlink_to(tmp_path / "elsewhere")
    assert read_steps(tmp_path) == []
    file.unlink()
    file.symlink_to("/dev/zero")
    assert read_steps(tmp_path) == []
