"""What bty-web wrote is read only where it is a plain file of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bty_core.errors import InvalidValue
from bty_web.appliance import wishes
from bty_web.services.appliance import MOST_BYTES

BELOW = ("probe", "request.json")


@pytest.fixture
def wish(tmp_path: Path) -> Path:
    (tmp_path / "state/probe").mkdir(parents=True)
    path = tmp_path / "state/probe/request.json"
    path.write_text("{}")
    return path


def read(wish: Path) -> bytes | None:
    return wishes.read(wish.parents[1], BELOW)


def test_a_plain_file_is_read(wish: Path) -> None:
    assert read(wish) == b"{}"


def test_no_file_and_no_folder_are_no_wish(wish: Path) -> None:
    wish.unlink()
    assert read(wish) is None
    wish.parent.rmdir()
    assert read(wish) is None


@pytest.mark.parametrize("where", ["file", "folder", "state folder"])
def test_a_link_is_not_followed_anywhere(wish: Path, where: str, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    (secret / "probe").mkdir(parents=True)
    (secret / "probe/request.json").write_text("secret")
    state = wish.parents[1]
    if where == "file":
        wish.unlink()
        wish.symlink_to(secret / "probe/request.json")
    elif where == "folder":
        wish.parent.rename(state / "old")
        wish.parent.symlink_to(secret / "probe")
    else:
        state.rename(tmp_path / "old")
        state.symlink_to(secret)
    with pytest.raises(
        InvalidValue, match=r"cannot be used: (too many levels of symbolic|not a dir)"
    ):
        read(wish)


def test_a_pipe_is_not_waited_for(wish: Path) -> None:
    wish.unlink()
    os.mkfifo(wish)
    with pytest.raises(InvalidValue, match="it is not a plain file"):
        read(wish)


def test_a_second_name_of_another_file_is_refused(wish: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("secret")
    wish.unlink()
    wish.hardlink_to(tmp_path / "other")
    with pytest.raises(InvalidValue, match="it is not the file of who owns the folder alone"):
        read(wish)


@pytest.mark.root
def test_somebody_elses_file_is_refused(wish: Path) -> None:
    os.chown(wish, 65534, 65534)
    with pytest.raises(InvalidValue, match="it is not the file of who owns the folder alone"):
        read(wish)


def test_a_long_file_is_refused(wish: Path) -> None:
    wish.write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(InvalidValue, match=f"it is larger than {MOST_BYTES} bytes"):
        read(wish)
