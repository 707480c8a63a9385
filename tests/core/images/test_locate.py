"""From what a person wrote to a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_core.errors import ImageUnavailable, InvalidValue
from bty_core.images.address import HttpSettings
from bty_core.images.file import FileSource
from bty_core.images.http import HttpSource
from bty_core.images.locate import locate
from tests.fakes.server import ImageServer


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "debian 13:x.img"
    path.write_bytes(b"image")
    return path


def test_paths(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(image.parent)

    for text in (image, str(image), image.name, f"./{image.name}"):
        source = locate(text)
        assert isinstance(source, FileSource)
        assert source.read_at(0, 5) == b"image"
        assert str(source) == str(Path(text))


@pytest.mark.parametrize("start", ["file://", "file://localhost", "FILE://"])
def test_file_addresses(image: Path, start: str) -> None:
    source = locate(start + str(image).replace(" ", "%20"))

    assert isinstance(source, FileSource)
    assert source.path == image


def test_web_addresses_are_not_asked_yet() -> None:
    settings = HttpSettings(tries=1)
    source = locate("https://user:secret@images.invalid/debian.img#top", settings=settings)

    assert isinstance(source, HttpSource)
    assert (source.name, str(source)) == ("debian.img", "https://images.invalid/debian.img")


def test_what_is_located_can_be_read() -> None:
    with ImageServer(b"image") as server:
        source = locate(server.url.replace("http", "HTTP"))

        assert (source.remote, source.read_at(0, 9)) == (True, b"image")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailable) as caught:
        locate(f"file://{tmp_path}/no.img")
    assert str(caught.value) == f"there is no file {tmp_path}/no.img"


ALLOWED = "give a path, or an address that starts with http://, https:// or file://"
THREE = "write it like file:///srv/debian.img, with three slashes"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ftp://u:p@host/a.img", "bty cannot read images from ftp:// addresses", ALLOWED),
        ("OCI://host/a.img", "bty cannot read images from oci:// addresses", ALLOWED),
        ("s3+x://host/a.img", "bty cannot read images from s3+x:// addresses", ALLOWED),
        ("file://host/a.img", "'file://host/a.img' is not the address of a local file", THREE),
        ("file://u:p@host/a", "'file://host/a' is not the address of a local file", THREE),
        ("file://localhost", "'file://localhost' is not the address of a local file", THREE),
        ("file:///", "'file:///' is not the address of a local file", THREE),
        ("file:///a%00b", "'file:///a%00b' is not the address of a local file", THREE),
        ("file://[x/a", "an address cannot be understood", "write it like file:///srv/debian.img"),
        (
            "http://host/images/",
            "'http://host/images/' names a folder, not an image",
            "write the address of the file itself",
        ),
        (
            "",
            "no image was named",
            "give a path, or an address that starts with http:// or https://",
        ),
        (
            "a\0b",
            "no image was named",
            "give a path, or an address that starts with http:// or https://",
        ),
    ],
)
def test_text_that_leads_nowhere(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        locate(text)
    assert (str(caught.value), caught.value.hint) == (message, hint)
