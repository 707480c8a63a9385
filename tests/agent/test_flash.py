"""`bty flash` onto a regular file: what it says, what it writes, how it ends."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_core.values import MIB
from tests.agent.running import Ran, bty, lines, small_image
from tests.fakes.images import quick_gzip, zstd
from tests.fakes.server import ImageServer

ZEROS = "0" * 64


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return small_image(tmp_path)


def flash(image: Path | str, disk: Path, *options: str, answer: str | None = None) -> Ran:
    return bty("flash", "--image", image, "--target", f"file:{disk}", *options, answer=answer)


def plan(image: Path, disk: Path, *, now: str = "0 B", digest: tuple[str, ...] = ()) -> list[str]:
    known = digest or ("digest   not known",)
    warned = "no digest of small.img is known: only damage that its format shows will be found"
    return [
        f"image    {image}",
        "         raw, 12.6 MB, 12.6 MB on the disk, gpt with 2 partitions, boots on UEFI",
        *known,
        f"disk     {disk}",
        f"         a regular file, {now} now",
        "plan     erase all that is on it, write the image, read it back and compare",
        *([] if digest else [f"warning  {warned}"]),
    ]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_done(image: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    ran = flash(image, disk, "--yes", "--progress", "none")
    said = re.sub(r"[\d.]+ s, \S+ [kMG]B/s", "SECONDS, RATE", ran.err)
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert lines(said) == [
        *plan(image, disk),
        f"done: small.img is on {disk}, read back and equal",
        "      2.16 MB written, 10.4 MB of zeros skipped, SECONDS, RATE",
        f"      sha256:{sha256(image)}",
    ]
    assert disk.read_bytes() == image.read_bytes()


def test_without_the_read_back(image: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    ran = flash(image, disk, "--yes", "--no-verify", "--progress", "none")
    assert ran.code == Exit.DONE
    assert "plan     erase all that is on it, write the image\n" in ran.err
    assert f"done: small.img is on {disk}, not read back\n" in ran.err
    assert ran.err.endswith("      digest not computed\n")
    assert disk.read_bytes() == image.read_bytes()


def test_a_dry_run_shows_the_plan_and_writes_nothing(image: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    ran = flash(image, disk, "--dry-run")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert lines(ran.out) == plan(image, disk)
    assert not disk.exists()


def test_a_dry_run_as_json(image: Path, tmp_path: Path) -> None:
    ran = flash(image, tmp_path / "disk", "--dry-run", "--json")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert list(ran.json) == [
        *("schema_version", "command", "image", "disk", "options", "provisioning"),
        *("refusals", "warnings"),
    ]
    assert ran.json["schema_version"] == "1"
    assert ran.json["command"] == "plan-flash"
    assert ran.json["image"]["source"] == str(image)
    assert ran.json["image"]["virtual_size_bytes"] == 12 * MIB
    assert ran.json["disk"]["path"] == str(tmp_path / "disk")
    assert ran.json["options"] == {"verify": True, "fix_gpt": False}
    assert ran.json["provisioning"] == {"mode": "none", "steps": []}
    assert ran.json["refusals"] == []


def test_a_refused_dry_run_as_json_lists_the_reasons(image: Path) -> None:
    ran = flash(image, image, "--dry-run", "--json")
    assert ran.code == Exit.REFUSED
    assert ran.json["refusals"] == [
        {
            "code": "image-is-target",
            "message": f"{image} is the image itself, and would be erased before it is read",
            "hint": "choose another target, or copy the image first",
        }
    ]


def test_refused(image: Path) -> None:
    before = image.read_bytes()
    ran = flash(image, image, "--yes")
    assert ran.code == Exit.REFUSED
    assert lines(ran.err) == [
        *plan(image, image, now="12.6 MB"),
        f"bty: {image} is the image itself, and would be erased before it is read",
        "     hint: choose another target, or copy the image first",
        f"     nothing was written to {image}",
    ]
    assert image.read_bytes() == before


def test_a_wrong_digest_leaves_a_disk_that_does_not_boot(image: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    ran = flash(image, disk, "--yes", "--sha256", ZEROS, "--progress", "none")
    assert (ran.code, ran.out) == (Exit.INTEGRITY, "")
    assert lines(ran.err) == [
        *plan(image, disk, digest=(f"digest   sha256:{ZEROS}", "         from --sha256")),
        f"bty: small.img has the digest sha256:{sha256(image)}, and --sha256 says sha256:{ZEROS}",
        "     hint: fetch the image again, or correct the digest",
        f"     {disk} does not boot now; flash it again",
    ]
    assert not any(disk.read_bytes()[:MIB])


@pytest.mark.parametrize("right", [True, False])
def test_the_digest_in_a_file_beside_the_image(image: Path, tmp_path: Path, right: bool) -> None:
    digest = sha256(image) if right else ZEROS
    (tmp_path / "small.img.sha256").write_text(f"{digest}  small.img\n")
    ran = flash(image, tmp_path / "disk", "--yes")
    known = ("digest   sha256:" + digest, "         from small.img.sha256")
    assert lines(ran.err)[:6] == plan(image, tmp_path / "disk", digest=known)[:6]
    assert ran.code == (Exit.DONE if right else Exit.INTEGRITY)


def test_a_digest_that_is_none(image: Path, tmp_path: Path) -> None:
    ran = flash(image, tmp_path / "disk", "--yes", "--sha256", "abc")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert lines(ran.err) == [
        "bty: 'abc' is not a SHA-256 digest",
        "     hint: give the 64 hexadecimal digits",
    ]


def test_the_backup_of_the_gpt_goes_to_the_end_of_a_larger_disk(
    image: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(20 * MIB))
    ran = flash(image, disk, "--yes", "--fix-gpt")
    assert ran.code == Exit.DONE
    assert "read it back and compare, move the GPT backup to its end\n" in ran.err
    assert disk.read_bytes()[-512:][:8] == b"EFI PART"


def test_nobody_to_ask_is_found_before_anything_is_read(tmp_path: Path) -> None:
    ran = flash(tmp_path / "no image", tmp_path / "disk")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert lines(ran.err) == [
        "bty: nobody is there to confirm the flash",
        "     hint: look at the plan with --dry-run, then say --yes",
    ]


def test_json_belongs_to_a_dry_run(tmp_path: Path) -> None:
    ran = flash(tmp_path / "no image", tmp_path / "disk", "--yes", "--json")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert lines(ran.err) == [
        "bty: --json belongs to --dry-run",
        "     hint: --progress ndjson reports a flash as JSON lines",
    ]
    both = flash(tmp_path / "no", tmp_path / "d", "--dry-run", "--json", "--progress", "ndjson")
    assert (both.code, len(both.events)) == (Exit.USAGE, 1)


@pytest.mark.parametrize("answer", ["y\n", "Y\n", "yes\n"])
def test_a_yes(image: Path, tmp_path: Path, answer: str) -> None:
    ran = flash(image, tmp_path / "disk", "--progress", "none", answer=answer)
    assert ran.code == Exit.DONE
    assert f"Erase {tmp_path / 'disk'} and write small.img? [y/N] " in ran.err


@pytest.mark.parametrize("answer", ["n\n", "\n", "yeah\n", "", "yes please\n"])
def test_everything_else_is_a_no(image: Path, tmp_path: Path, answer: str) -> None:
    ran = flash(image, tmp_path / "disk", answer=answer)
    assert ran.code == Exit.USAGE
    said = " ".join(ran.err.split())
    assert said.endswith(f"[y/N] bty: nothing was written to {tmp_path / 'disk'}")
    assert not (tmp_path / "disk").exists()


def test_a_plan_on_a_terminal_is_wrapped_between_words(image: Path, tmp_path: Path) -> None:
    ran = flash(image, tmp_path / "disk", answer="n\n")
    assert (
        "warning  no digest of small.img is known: only damage that its format shows will\n"
        "         be found\n"
    ) in ran.err


def test_lines_at_each_tenth_where_there_is_no_terminal(tmp_path: Path) -> None:
    data = small_image(tmp_path).read_bytes()
    with ImageServer(data, name="small.img") as server:
        ran = flash(server.url, tmp_path / "disk", "--yes")
    assert ran.code == Exit.DONE
    assert f"bty: writing {server.url} onto {tmp_path / 'disk'}\n" in ran.err
    told = re.findall(r"^bty: (writing|verifying) (\d+) %, .*$", ran.err, re.MULTILINE)
    tenths = [(phase, int(percent) // 10) for phase, percent in told]
    assert tenths == sorted(set(tenths), key=lambda one: (one[0] == "verifying", one[1]))
    assert ("writing", 10) in tenths


@pytest.mark.parametrize("pack", [zstd, quick_gzip])
def test_a_packed_image(tmp_path: Path, pack: object) -> None:
    image = small_image(tmp_path)
    packed = tmp_path / "small.packed"
    assert callable(pack)
    packed.write_bytes(pack(image.read_bytes()))
    assert flash(packed, tmp_path / "disk", "--yes").code == Exit.DONE
    assert (tmp_path / "disk").read_bytes() == image.read_bytes()
