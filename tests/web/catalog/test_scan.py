"""The catalog follows the folder: files appear, are measured, change and vanish."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from bty_web.models import Image, Job
from bty_web.models.words import ImageState, JobState
from bty_web.services import catalog, scanning
from tests.fakes.images import zstd
from tests.web.catalog.root import DISK, age, events, put, rows, scan, states, work
from tests.web.site import NOW, Site

SHA256 = hashlib.sha256(DISK).hexdigest()


def test_a_file_appears_and_is_measured(site: Site) -> None:
    packed = zstd(DISK)
    put(site, "a.img.zst", packed)
    (site.settings.image_root / "a.img.zst.yaml").write_text("description: Debian 13\n")

    numbers = scan(site)
    assert states(site) == {"a.img.zst": "measuring"}
    assert scan(site) == []  # its job is open
    work(site, numbers)

    image = rows(site)["a.img.zst"]
    assert (
        image.state,
        image.format,
        image.size_bytes,
        image.virtual_size_bytes,
        image.sha256,
        image.disk_sha256,
        image.description,
        image.warnings,
        image.message,
    ) == (
        ImageState.READY,
        "zstd",
        len(packed),
        len(DISK),
        hashlib.sha256(packed).hexdigest(),
        SHA256,
        "Debian 13",
        [],
        None,
    )
    assert events(site) == ["image.found a.img.zst", "image.ready a.img.zst"]
    assert scan(site) == []


def test_what_is_no_image_is_broken_and_says_why(site: Site) -> None:
    put(site, "a.zip", b"PK\x03\x04" + bytes(4096))
    work(site, scan(site))
    image = rows(site)["a.zip"]
    assert (image.state, image.message, image.hint) == (
        ImageState.BROKEN,
        "a.zip is a zip archive, not a disk image",
        "unpack it and flash the disk image that is inside",
    )
    assert scan(site) == []  # and is left alone


def test_what_is_still_copied_is_not_offered(site: Site) -> None:
    path = site.settings.image_root / "a.img"
    path.write_bytes(DISK[:1000])
    assert (scan(site), states(site)) == ([], {})  # just written
    with path.open("ab") as copying:
        age(path)  # the copy makes a pause
        assert (scan(site), states(site)) == ([], {})
        copying.write(DISK[1000:])
    age(path)
    assert len(scan(site)) == 1


def test_an_empty_file_is_not_offered(site: Site) -> None:
    put(site, "a.img", b"")
    assert (scan(site), states(site)) == ([], {})


def test_who_opens_a_file_while_it_is_looked_at_does_not_kill_the_server(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(b"image")
    code = """
    import fcntl, os, sys
    from pathlib import Path
    from bty_web.services import scanning
    real = fcntl.fcntl
    def slow(handle, what, value=0):
        answer = real(handle, what, value)
        if (what, value) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
            try:  # somebody else opens it now: the kernel breaks the lease
                os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
            except BlockingIOError:
                print("told to wait")
        return answer
    scanning.fcntl.fcntl = slow
    with open(sys.argv[1], "rb") as file:
        print(scanning._being_written(file.fileno()))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "a.img"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "told to wait\nFalse\n", "")


@pytest.mark.parametrize("what", ["link", "outside", "fifo", "folder", "hidden", "part", "control"])
def test_other_things_never_appear(site: Site, what: str) -> None:
    root = site.settings.image_root
    secret = root.parent / "secret.img"
    secret.write_bytes(DISK)
    age(secret)
    match what:
        case "link":
            (root / "b.img").symlink_to(put(site, ".real.img"))
        case "outside":
            (root / "b.img").symlink_to(secret)
        case "fifo":
            os.mkfifo(root / "b.img")
        case "folder":
            (root / "b.img").mkdir()
        case "hidden":
            put(site, ".b.img")
        case "part":
            put(site, "b.img.part")
        case "control":
            put(site, "b\x1b[2J\n.img")
        case _:
            raise AssertionError(what)
    assert (scan(site), states(site)) == ([], {})


def test_another_file_of_the_name_is_measured_again(site: Site) -> None:
    put(site)
    work(site, scan(site))
    assert rows(site)["a.img"].sha256 == SHA256

    put(site, "a.img", DISK[::-1])
    numbers = scan(site)
    image = rows(site)["a.img"]
    assert (image.state, image.sha256, image.format) == (ImageState.MEASURING, None, None)
    work(site, numbers)
    assert rows(site)["a.img"].sha256 == hashlib.sha256(DISK[::-1]).hexdigest()


def test_a_file_that_changes_after_it_was_found_keeps_no_digest_of_the_old_one(site: Site) -> None:
    put(site)
    numbers = scan(site)
    put(site, "a.img", DISK[::-1])
    work(site, numbers)
    image = rows(site)["a.img"]
    assert (image.state, image.sha256) == (ImageState.MEASURING, None)
    work(site, scan(site))
    assert rows(site)["a.img"].sha256 == hashlib.sha256(DISK[::-1]).hexdigest()


def test_a_file_that_is_gone_takes_its_row_and_leaves_the_assignment(site: Site) -> None:
    path = put(site)
    work(site, scan(site))
    site.add_machine(image="a.img")
    path.unlink()
    scan(site)
    assert states(site) == {}
    assert site.machine().image == "a.img"
    assert events(site)[-1] == "image.gone a.img"


def test_a_folder_that_is_gone_changes_no_row(site: Site) -> None:
    root = site.settings.image_root
    put(site)
    work(site, scan(site))
    away = root.rename(root.with_name("away"))
    assert (
        catalog.health(root) == f"the image root {root} cannot be read: no such file or directory"
    )
    scan(site)
    scan(site)
    assert states(site) == {"a.img": "ready"}
    assert events(site)[-1] == "images.trouble images"
    assert events(site).count("images.trouble images") == 1
    away.rename(root)
    assert catalog.health(root) is None
    assert (scan(site), states(site)) == ([], {"a.img": "ready"})


def test_an_empty_mount_point_changes_no_row(site: Site) -> None:
    path = put(site)
    work(site, scan(site))
    path.unlink()
    with site.session() as session:
        image = session.query(Image).one()
        image.stamp = "999:" + image.stamp.partition(":")[2]  # it was on a disk of its own
    scan(site)
    assert states(site) == {"a.img": "ready"}
    assert events(site)[-1] == "images.trouble images"


def test_a_digest_beside_an_image_is_held_against_it_whenever_it_comes(site: Site) -> None:
    beside = put(site).with_name("a.img.sha256")
    work(site, scan(site))
    assert states(site) == {"a.img": "ready"}

    beside.write_text(f"{'0' * 64}  a.img\n")
    scan(site)
    image = rows(site)["a.img"]
    assert (image.state, image.message, image.hint) == (
        ImageState.BROKEN,
        f"its SHA-256 is {SHA256}, and a.img.sha256 says {'0' * 64}",
        "copy it again, or correct a.img.sha256",
    )
    beside.write_text(f"{SHA256}  a.img\n")
    assert (scan(site), states(site)) == ([], {"a.img": "ready"})


def test_a_digest_that_was_there_first(site: Site) -> None:
    beside = put(site).with_name("a.img.sha256")
    beside.write_text(f"{'0' * 64}\n")
    work(site, scan(site))
    assert states(site) == {"a.img": "broken"}
    beside.unlink()
    assert (scan(site), states(site)) == ([], {"a.img": "ready"})


def test_an_image_whose_measuring_fails_by_itself_is_not_measured_for_ever(site: Site) -> None:
    put(site)
    (number,) = scan(site)
    with site.session() as session:
        job = session.get_one(Job, number)
        job.state, job.code = JobState.FAILED, "worker-died"
        job.message, job.hint, job.ended_at = "3 workers have died over this", "look", NOW
    assert scan(site) == []
    image = rows(site)["a.img"]
    assert (image.state, image.message, image.hint) == (
        ImageState.BROKEN,
        "3 workers have died over this",
        "look",
    )
    assert scan(site) == []


def test_a_half_written_table_of_rows_is_mended(site: Site) -> None:
    put(site)
    scan(site)
    with site.session() as session:
        session.query(Job).delete()  # the job is lost with a restored database
    (number,) = scan(site)
    work(site, [number])
    assert states(site) == {"a.img": "ready"}


def test_a_look_at_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (
        scanning.look(tmp_path / "file").trouble
        == f"the image root {tmp_path / 'file'} is not there"
    )


def test_locks_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(b"image")
    with path.open("rb") as file:
        assert not scanning._being_written(file.fileno())
        assert fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_UNLCK


def test_what_was_placed_whole_is_there_at_once(site: Site) -> None:
    (site.settings.image_root / "a.img").write_bytes(DISK)  # just now
    with site.session() as session:
        numbers = scanning.adopt(session, site.settings.image_root, "a.img", NOW)
    assert states(site) == {"a.img": "measuring"}
    work(site, numbers)
    assert states(site) == {"a.img": "ready"}
    with site.session() as session:
        found = scanning.look(site.settings.image_root)
        assert scanning.reconcile(session, replace(found), NOW) == []
