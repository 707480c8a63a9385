"""Digests beside images, in each of the forms that people publish."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.errors import ImageRefused, ImageUnavailable
from bty_core.images.address import HttpSettings
from bty_core.images.digest import KnownDigest, Line, known_digest, parse_lines
from bty_core.images.file import FileSource
from bty_core.images.http import HttpSource
from bty_core.proc import run
from bty_core.values import Digest
from tests.fakes.server import Fault, ImageServer

DATA = b"an image"
HEX = hashlib.sha256(DATA).hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()
FAST = HttpSettings(tries=2, look_tries=2, waits=(0.01,))
HINT = "correct it, or take it away"

LISTS = {
    "bare": HEX,
    "bare with newline": f"{HEX}\n",
    "upper case": f"{HEX.upper()}  debian.img\n",
    "text": f"{HEX}  debian.img\n",
    "binary": f"{HEX} *debian.img\n",
    "one space": f"{HEX} debian.img\n",
    "tab": f"{HEX}\tdebian.img\n",
    "this folder": f"{HEX}  ./debian.img\n",
    "crlf": f"{OTHER}  a.img\r\n{HEX}  debian.img\r\n",
    "bsd": f"MD5 (debian.img) = 0123\nSHA256 (debian.img) = {HEX}\n",
    "openssl": f"SHA2-256(debian.img)= {HEX}\n",
    "byte order mark": f"\ufeff{HEX}  debian.img\n",
    "comment": f"# Add debian.img\n\n{HEX}  debian.img\n",
    "twice the same": f"{HEX}  debian.img\n{HEX} *debian.img\n",
    "with a weaker one": f"{'0' * 40}  debian.img\n{HEX}  debian.img\n",
    "signed": (
        f"{OTHER}  debian.img\n"
        "-----BEGIN PGP SIGNED MESSAGE-----\n"
        "Hash: SHA256\n\n"
        f"- {HEX}  debian.img\n"
        f"{OTHER}  a.img\n"
        "-----BEGIN PGP SIGNATURE-----\n\n"
        f"{OTHER}  debian.img\n"
        "-----END PGP SIGNATURE-----\n"
    ),
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "debian.img"
    path.write_bytes(DATA)
    return path


def beside(image: Path, name: str, text: str) -> None:
    image.with_name(name).write_bytes(text.encode())


def check_refusal(image: Path, message: str, hint: str = HINT) -> None:
    with pytest.raises(ImageRefused) as caught:
        known_digest(FileSource(image))
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_digest_of_its_own(image: Path, text: str) -> None:
    beside(image, "debian.img.sha256", text)

    assert known_digest(FileSource(image)) == KnownDigest(Digest(HEX), "debian.img.sha256")


@pytest.mark.parametrize(
    "text", [text for text in LISTS.values() if "debian.img" in text], ids=lambda text: text[64:80]
)
def test_a_digest_in_a_list(image: Path, text: str) -> None:
    beside(image, "SHA256SUMS", text)

    assert known_digest(FileSource(image)) == KnownDigest(Digest(HEX), "SHA256SUMS")


def test_nothing_beside(image: Path) -> None:
    assert known_digest(FileSource(image)) is None


def test_its_own_digest_comes_first(image: Path) -> None:
    beside(image, "debian.img.sha256", HEX)
    beside(image, "SHA256SUMS", f"{OTHER}  debian.img\n")

    assert known_digest(FileSource(image)) == KnownDigest(Digest(HEX), "debian.img.sha256")


def test_its_own_digest_may_keep_the_folder_it_was_made_in(image: Path) -> None:
    beside(image, "debian.img.sha256", f"{HEX}  build/out/debian.img\n")

    assert known_digest(FileSource(image)) == KnownDigest(Digest(HEX), "debian.img.sha256")


def test_a_list_of_other_images_says_nothing(image: Path) -> None:
    lines = f"{OTHER}  old/debian.img\n{OTHER}  debian.img.zst\n{OTHER}\nnonsense\n"
    beside(image, "SHA256SUMS", lines)

    assert known_digest(FileSource(image)) is None


@pytest.mark.parametrize("name", ["line\nbreak.img", "back\\slash.img", "cr\r.img", "ü \udcff.img"])
def test_names_as_coreutils_writes_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(DATA)
    script = 'cd "$1" && sha256sum -- "$2" > SHA256SUMS'
    run(["sh", "-c", script, "sh", tmp_path, name], timeout=10)

    assert known_digest(FileSource(tmp_path / name)) == KnownDigest(Digest(HEX), "SHA256SUMS")


@pytest.mark.parametrize("text", ["", "to be done", HEX[:-1], f"{HEX}0", "\x00\xff"])
def test_a_digest_file_without_a_digest(image: Path, text: str) -> None:
    beside(image, "debian.img.sha256", text)

    check_refusal(image, "debian.img.sha256 gives no SHA-256 digest for debian.img")


def test_a_digest_of_another_file(image: Path) -> None:
    beside(image, "debian.img.sha256", f"{HEX}  fedora.img\n")

    check_refusal(
        image, "debian.img.sha256 gives no SHA-256 digest for debian.img, only for fedora.img"
    )


def test_a_digest_of_another_kind(image: Path) -> None:
    beside(image, "SHA256SUMS", f"{'0' * 40}  debian.img\n{OTHER}  a.img\n")

    check_refusal(image, "SHA256SUMS gives no SHA-256 digest for debian.img")


@pytest.mark.parametrize("name", ["SHA256SUMS", "debian.img.sha256"])
def test_two_digests_for_one_image(image: Path, name: str) -> None:
    beside(image, name, f"{HEX}  debian.img\n{OTHER}  debian.img\n")

    check_refusal(
        image,
        f"{name} gives 2 different digests for debian.img",
        "leave only the right one in it",
    )


def test_utf_16_as_some_shells_redirect_it() -> None:
    text = f"{HEX}  debian.img\r\n".encode("utf-16")

    assert parse_lines(text) == [Line(Digest(HEX), "debian.img")]


@given(st.binary(max_size=300))
def test_no_text_breaks_the_reader(text: bytes) -> None:
    assert all(isinstance(line, Line) for line in parse_lines(text))


# Over HTTP


def test_a_digest_on_a_server() -> None:
    sums = {"SHA256SUMS": f"{HEX}  debian.img\n".encode()}
    with ImageServer(DATA, files=sums) as server:
        source = HttpSource(server.url, settings=FAST)

        assert known_digest(source) == KnownDigest(Digest(HEX), "SHA256SUMS")
        assert [one.path for one in server.seen] == [
            "/images/debian.img.sha256",
            "/images/SHA256SUMS",
        ]


@pytest.mark.parametrize("text", [b"", b"soon", f"{HEX}  fedora.img".encode(), b"<html>oops"])
def test_a_useless_digest_on_a_server_says_nothing(text: bytes) -> None:
    files = {"debian.img.sha256": text, "SHA256SUMS": text}
    with ImageServer(DATA, files=files) as server:
        assert known_digest(HttpSource(server.url, settings=FAST)) is None


def test_two_digests_on_a_server() -> None:
    files = {"SHA256SUMS": f"{HEX}  debian.img\n{OTHER}  debian.img\n".encode()}
    with ImageServer(DATA, files=files) as server:
        with pytest.raises(ImageRefused) as caught:
            known_digest(HttpSource(server.url, settings=FAST))
        assert str(caught.value) == "SHA256SUMS gives 2 different digests for debian.img"


def test_a_server_that_cannot_say_whether_there_is_a_digest() -> None:
    with ImageServer(DATA) as server:
        server.answers["/images/debian.img.sha256"] = Fault(status=502)
        with pytest.raises(ImageUnavailable) as caught:
            known_digest(HttpSource(server.url, settings=FAST))
        assert str(caught.value) == (
            f"{server.url_of('debian.img.sha256')} cannot be read: "
            "the server answered 502 Bad Gateway"
        )
