"""Reports of workflows: packed, shown, and no larger than they may be."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from bty_core.values import MIB
from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.services import run_reports
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, Site


def left(folder: Path, size: int) -> Path:
    output = folder / "output"
    output.mkdir()
    (output / "a-step.output").write_bytes(os.urandom(size))
    (output / "report.html").write_text("<p>what was done")
    return output


def test_what_was_left_is_packed_and_its_page_is_found(tmp_path: Path) -> None:
    packed = run_reports.of_run(tmp_path, 7)
    assert run_reports.pack(left(tmp_path, 1000), packed)
    assert run_reports.page(packed) == b"<p>what was done"


def test_what_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_reports, "MOST", 100_000)
    packed = run_reports.of_run(tmp_path, 7)
    assert not run_reports.pack(left(tmp_path, 200_000), packed)
    assert not packed.exists()


def test_a_page_behind_endless_zeros_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_reports, "_UNPACKED", MIB)
    packed = tmp_path / "report.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name, size in (("zeros", 2_000_000), ("report.html", 10)):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    with pytest.raises(NotFound):
        run_reports.page(packed)


def test_a_name_as_long_as_a_disk_is_no_report() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("x" * (64 * MIB)))
    tracemalloc.start()
    with pytest.raises(InvalidField, match=r"this is no tar\.gz"):
        run_reports.checked(made.getvalue())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


def test_what_a_machine_sends_is_a_report() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("report"))
    assert run_reports.checked(made.getvalue()) == made.getvalue()
    for broken in (b"", b"x", made.getvalue()[:-20]):
        with pytest.raises(InvalidField):
            run_reports.checked(broken)


class Unread(io.BytesIO):
    """A body that nobody should read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError(f"somebody reads {size}")

    read1 = read


def test_the_megabytes_of_somebody_else_are_not_read(site: Site) -> None:
    add_live_environment(site)
    site.add_image()
    site.add_machine(image="debian.img", target="only", boot_policy="flash")
    number = Boot.of(site).attempt
    said = site.client.post(
        f"/pxe/{MAC}/report",
        input_stream=Unread(bytes(MIB)),
        headers={"Authorization": f"Bearer {number}-{'0' * 32}"},
    )
    assert said.status_code == 401, said.text
