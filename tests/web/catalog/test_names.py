"""Names that an image can have, and files that are opened under them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.services.catalog import LONGEST_NAME, open_image, safe_name

HOSTILE = [
    *("", ".", "..", "../etc/passwd", "/etc/passwd", "a/b", ".hidden", "a\0b", "a\nb", "a\x1b[2J"),
    *("a\u202egmi.exe", "a\u2028b", "\ud800", " a", "a ", "x" * 256, "\u20ac" * 86, "a.part"),
    *("a.sha256", "SHA256SUMS", "a.yaml", "README", "meta-data"),
]


@pytest.mark.parametrize(
    "name", ["debian-13.img.zst", "Größe.img", "x" * 255, "€" * 85, "a b", "a%2f"]
)
def test_plain_names(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_other_names_are_refused_and_never_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidField) as caught:
        safe_name(name)
    assert caught.value.field == "name"
    with pytest.raises(NotFound):
        open_image(tmp_path, name)


@given(st.text(max_size=300))
def test_whatever_is_taken_stays_in_its_folder(name: str) -> None:
    try:
        safe_name(name)
    except InvalidField:
        return
    path = Path("/srv/images") / name
    assert path.parent == Path("/srv/images")
    assert os.path.normpath(path) == str(path)
    assert len(os.fsencode(name)) <= LONGEST_NAME
    assert name.isprintable()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(b"image")
    (tmp_path / "inside.img").symlink_to("a.img")
    (tmp_path / "outside.img").symlink_to("/etc/hostname")
    (tmp_path / "null.img").symlink_to("/dev/null")
    (tmp_path / "folder.img").mkdir()
    os.mkfifo(tmp_path / "fifo.img")  # to open it would wait for ever
    with open_image(tmp_path, "a.img") as file:
        assert file.read() == b"image"
    for name in ("inside.img", "outside.img", "null.img", "folder.img", "fifo.img", "none.img"):
        with pytest.raises(NotFound):
            open_image(tmp_path, name)
