"""`doctor`: what this machine lacks, tried with the real apt, pip and kernel; the mirror is one of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bty_media.exits import Exit
from bty_media.host import debian, doctor
from bty_media.manifest import Kind
from tests.media.archive import archive, make_wheel
from tests.media.running import Ran, bty_media

WHAT = [
    *("root", "mounts", "mkosi", "programs", "keys", "mirror", "wheels", "cache", "output"),
    "sticks",
]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A mirror with mkosi on it, and the key that it is signed with."""
    with archive(tmp_path_factory.mktemp("mirror") / "archive") as made:
        yield made


@pytest.fixture
def mirror(signed: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """That mirror, trusted; an index with the wheel that is looked for; no mkosi on this machine."""
    address, key = signed
    monkeypatch.setattr(debian, "KEYRING", key)
    monkeypatch.setattr(doctor, "KEYRING", key)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(make_wheel(tmp_path / "wheels")))
    monkeypatch.setenv("BTY_MKOSI", str(tmp_path / "none"))
    # Builds want room, however full this computer's disk is.
    monkeypatch.setattr(doctor, "ROOM", dict.fromkeys(Kind, 1))
    monkeypatch.setattr(doctor, "_OUTPUT_ROOM", 1)
    return address


def look(tmp_path: Path, *more: str | Path) -> Ran:
    """Run `doctor` with folders of its own."""
    folders: list[str | Path] = ["--cache", tmp_path / "cache", "--output", tmp_path / "media"]
    return bty_media("doctor", *folders, *more)


def lacking(ran: Ran) -> dict[str, tuple[str, str]]:
    """Return code and message of what is missing."""
    return {
        one["what"]: (one["code"], one["message"])
        for one in ran.json["findings"]
        if not one["ready"]
    }


def test_everything_is_looked_at_and_nothing_is_made(mirror: str, tmp_path: Path) -> None:
    ran = look(tmp_path, "--mirror", mirror, "--json")
    assert [one["what"] for one in ran.json["findings"]] == WHAT
    assert ran.json["notes"] == [doctor.SECURE_BOOT]
    assert (ran.json["command"], ran.json["ready"]) == ("doctor", False)
    assert sorted(os.listdir(tmp_path)) == ["wheels"]
    said = {one["what"]: one["message"] for one in ran.json["findings"]}
    assert said["mirror"] == f"{mirror} has trixie, without updates for security"
    assert said["wheels"] == "pip finds packages for Python 3.13"


def test_a_mkosi_that_is_missing_says_how_to_get_it(mirror: str, tmp_path: Path) -> None:
    ran = look(tmp_path, "--mirror", mirror)
    lines = ran.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("missing mkosi"))
    assert lines[at : at + 2] == [
        f"missing mkosi     mkosi 25.3 or newer is not installed: {tmp_path}/none is not installed",
        "                  hint: bty-media doctor --fix fetches it; on Debian 13: apt install mkosi",
    ]
    assert lines[-1] == f"note    {doctor.SECURE_BOOT}"
    assert "mkosi" in ran.said[-1]


@pytest.mark.root
def test_fix_fetches_mkosi_into_the_cache_and_installs_nothing(mirror: str, tmp_path: Path) -> None:
    installed = Path("/var/lib/dpkg/status").read_bytes()
    ran = look(tmp_path, "--fix", "--mirror", mirror)
    assert (ran.code, ran.err) == (
        Exit.DONE,
        f"bty-media: fetched mkosi from {mirror} into {tmp_path}/cache\n",
    )
    assert "ok      mkosi     mkosi 99.1: env PYTHONPATH=" in ran.out
    assert Path("/var/lib/dpkg/status").read_bytes() == installed
    assert os.listdir(tmp_path / "cache") == ["mkosi"]
    again = look(tmp_path, "--fix", "--mirror", mirror)
    assert (again.code, again.err) == (Exit.DONE, "")


def test_a_mirror_that_is_signed_with_another_key_is_not_believed(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.gpg"
    other.write_bytes(b"")
    monkeypatch.setattr(debian, "KEYRING", other)
    ran = look(tmp_path, "--fix", "--mirror", mirror)
    assert ran.code == Exit.PROGRAM_MISSING
    assert ran.said[0].startswith("bty-media: mkosi of Debian trixie cannot be fetched: ")
    assert "sign" in ran.said[0]
    assert not (tmp_path / "cache/mkosi").exists()


def test_a_mirror_that_is_away(mirror: str, tmp_path: Path) -> None:
    away = "http://127.0.0.1:9/debian"
    ran = look(tmp_path, "--mirror", away, "--json")
    code, message = lacking(ran)["mirror"]
    assert code == "no-mirror"
    assert message.startswith(f"{away} cannot be asked for trixie: ")
    fixed = look(tmp_path, "--fix", "--mirror", away)
    assert fixed.code == Exit.PROGRAM_MISSING
    assert fixed.said[0].startswith("bty-media: mkosi of Debian trixie cannot be fetched: ")
    assert fixed.said[-1] == "bty-media: not ready to build: mkosi, mirror"


def test_an_index_without_the_packages(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    code, message = lacking(look(tmp_path, "--mirror", mirror, "--json"))["wheels"]
    assert code == "no-mirror"
    assert message.startswith("pip finds no packages for Python 3.13: ")


def test_programs_that_are_missing_are_named_with_their_packages(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_TO_BUILD", ("sh", "mount.exfat-no", "no-such-program"))
    monkeypatch.setattr(doctor, "_TO_WRITE", ("sh", "mcopy-no"))
    ran = look(tmp_path, "--mirror", mirror, "--json")
    assert lacking(ran)["programs"] == (
        "program-missing",
        "building needs what is not installed: mount.exfat-no, no-such-program",
    )
    assert lacking(ran)["sticks"][1] == "bty-media write needs what is not installed: mcopy-no"
    assert ran.said[-1].startswith("bty-media: not ready to build: ")
    assert "sticks" not in ran.said[-1]


def test_keys_that_are_missing(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "KEYRING", tmp_path / "none.gpg")
    ran = look(tmp_path, "--mirror", mirror, "--json")
    assert lacking(ran)["keys"] == (
        "program-missing",
        f"the keys of Debian are not installed: there is no {tmp_path}/none.gpg",
    )


def test_too_little_room(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM", dict.fromkeys(Kind, 10**18))
    monkeypatch.setattr(doctor, "_OUTPUT_ROOM", 10**18)
    ran = look(tmp_path, "--mirror", mirror, "--json")
    found = lacking(ran)
    assert found["cache"][0] == found["output"][0] == "cannot-build"
    assert "there is too little room for a build: " in found["cache"][1]


def test_who_is_not_root_is_told_first(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ran = look(tmp_path, "--mirror", mirror)
    assert ran.code == Exit.NEEDS_ROOT
    assert ran.out.startswith("missing root      building needs root: ")
