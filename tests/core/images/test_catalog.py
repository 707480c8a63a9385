"""The images in a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bty_core.errors import ImageUnavailable
from bty_core.images.catalog import CatalogEntry, can_be_image, read_catalog
from bty_core.images.digest import KnownDigest
from bty_core.values import Digest

HEX = hashlib.sha256(b"debian").hexdigest()


def names(root: Path) -> list[str]:
    return [entry.name for entry in read_catalog(root)]


def only(root: Path) -> CatalogEntry:
    (entry,) = read_catalog(root)
    return entry


def test_a_whole_catalog(tmp_path: Path) -> None:
    (tmp_path / "Ubuntu.qcow2").write_bytes(b"ubuntu!")
    (tmp_path / "debian.img.zst").write_bytes(b"debian")
    (tmp_path / "debian.img.zst.yaml").write_text("description: Debian 13,\n  with our keys\n")
    (tmp_path / "SHA256SUMS").write_text(f"{HEX}  debian.img.zst\n")

    assert read_catalog(tmp_path) == [
        CatalogEntry(
            name="debian.img.zst",
            path=tmp_path / "debian.img.zst",
            size=6,
            description="Debian 13, with our keys",
            digest=KnownDigest(Digest(HEX), "SHA256SUMS"),
            warnings=(),
        ),
        CatalogEntry(
            name="Ubuntu.qcow2",
            path=tmp_path / "Ubuntu.qcow2",
            size=7,
            description=None,
            digest=None,
            warnings=(),
        ),
    ]


def test_a_missing_or_empty_folder_holds_no_images(tmp_path: Path) -> None:
    assert read_catalog(tmp_path) == []
    assert read_catalog(tmp_path / "none") == []


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageUnavailable) as caught:
        read_catalog(tmp_path / "file")
    assert str(caught.value) == f"the folder {tmp_path / 'file'} cannot be read: Not a directory"


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the refusal of the kernel is played.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageUnavailable) as caught:
        read_catalog(tmp_path)
    assert str(caught.value) == f"the folder {tmp_path} cannot be read: Permission denied"


@pytest.mark.parametrize(
    "name",
    [
        "a.img",
        "a.img.zst",
        "A.ISO",
        "disk",
        "a.qcow2",
        "a.raw.gz",
        "a.wim",
        "sha256sums-of-squares.img",
        "a.part.img",
    ],
)
def test_what_can_be_an_image(name: str) -> None:
    assert can_be_image(name)


@pytest.mark.parametrize(
    "name",
    [
        ".a.img",
        "._a.img",
        "a.img~",
        "a.img.part",
        "a.img.TMP",
        "a.img.sha256",
        "a.img.yaml",
        "SHA256SUMS",
        "SHA256SUMS.gpg",
        "md5sum.txt",
        "README",
        "user-data",
        "flow.yaml",
    ],
)
def test_what_cannot_be_an_image(name: str) -> None:
    assert not can_be_image(name)


def test_other_things_than_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "folder.img").mkdir()
    os.mkfifo(tmp_path / "pipe.img")
    (tmp_path / "real.img").write_bytes(b"1")

    assert names(tmp_path) == ["real.img"]


def test_links_stay_in_the_catalog(tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"1")
    (root / "real.img").write_bytes(b"12")
    (root / "latest.img").symlink_to("real.img")
    (root / "outside.img").symlink_to(tmp_path / "secret")
    (root / "up.img").symlink_to("../secret")
    (root / "gone.img").symlink_to("nothing")
    (root / "loop.img").symlink_to("loop.img")
    (tmp_path / "link").symlink_to(root)

    assert names(root) == ["latest.img", "real.img"]
    assert names(tmp_path / "link") == ["latest.img", "real.img"]


def test_an_empty_file_is_shown_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.img").touch()

    assert only(tmp_path).warnings == ("a.img is empty",)


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (b"description: plain\n", "plain"),
        (b"description: |\n  two\n  lines\n", "two lines"),
        (b'description: "\\e[31mred\\a"\n', "[31mred"),
        ("description: größe\n".encode(), "größe"),
        (b"name: other\n", None),
        (b"description:\n", None),
        (b"description: ''\n", None),
        (b"", None),
    ],
)
def test_descriptions(tmp_path: Path, text: bytes, description: str | None) -> None:
    (tmp_path / "a.img").write_bytes(b"1")
    (tmp_path / "a.img.yaml").write_bytes(text)

    assert (only(tmp_path).description, only(tmp_path).warnings) == (description, ())


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (b"description: [1\n", "a.img.yaml is no valid YAML in line 2"),
        (b"description: \xff\n", "a.img.yaml is no valid YAML"),
        (b"description: !!python/object:os.system x\n", "a.img.yaml is no valid YAML in line 1"),
        (b"when: 2024-99-99\n", "a.img.yaml is no valid YAML"),
        (b"[" * 5000, "a.img.yaml is no valid YAML"),
        (b"- description\n", "a.img.yaml holds no keys and values"),
        (b"just text\n", "a.img.yaml holds no keys and values"),
        (b"description: 13\n", "description in a.img.yaml is no text"),
    ],
)
def test_a_description_that_cannot_be_read(tmp_path: Path, text: bytes, warning: str) -> None:
    (tmp_path / "a.img").write_bytes(b"1")
    (tmp_path / "a.img.yaml").write_bytes(text)

    assert (only(tmp_path).description, only(tmp_path).warnings) == (None, (warning,))


def test_a_useless_digest_does_not_hide_the_image(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(b"1")
    (tmp_path / "a.img.sha256").write_text("later")

    assert only(tmp_path).digest is None
    assert only(tmp_path).warnings == ("a.img.sha256 gives no SHA-256 digest for a.img",)
