"""What the appliance's image brings is put in place, and never over what an operator chose."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from bty_core.errors import ImageCorrupt
from bty_web.appliance import shipped
from bty_web.services import live
from bty_web.services.live_install import install_tar
from bty_web.settings import Settings
from tests.web.services.test_live_install import FILES, manifest, whole

FIRST, SECOND, MINE = (b"\xea UNDI " + word for word in (b"first", b"second", b"mine"))
OLD, NEW = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"


def ship(folder: Path, version: str, created: str, files: dict[str, bytes] = FILES) -> None:
    """Let the image have a live environment, with all that bty-media writes into its manifest."""
    folder.mkdir(exist_ok=True)
    more: dict[str, Any] = {"schema_version": "1", "kind": "pxe", "created": created}
    text = json.dumps(manifest(version, files, **more, packages=[{"name": "a", "version": "1"}]))
    (folder / "manifest.json").write_text(text)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "live"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/usr/lib/ipxe").mkdir(parents=True)
    (tmp_path / "root/usr/lib/ipxe/undionly.kpxe").write_bytes(FIRST)
    return tmp_path / "root"


def active(settings: Settings) -> str | None:
    found = live.active(settings.boot_dir)
    return found.version if found else None


def test_a_fresh_server_gets_all_of_it(appliance: Settings, folder: Path, root: Path) -> None:
    ship(folder, "1.0", OLD)
    assert shipped.install(appliance, folder, root=root) == [
        "undionly.kpxe of the package ipxe is in place",
        "the live environment 1.0 is in place",
    ]
    assert {path.name for path in (appliance.boot_dir / "1.0").iterdir()} == {
        "manifest.json",
        *FILES,
    }
    assert (appliance.boot_dir / "1.0/vmlinuz").read_bytes() == FILES["vmlinuz"]
    assert (appliance.tftp_root / "undionly.kpxe").read_bytes() == FIRST


def test_the_next_start_changes_nothing(appliance: Settings, folder: Path, root: Path) -> None:
    ship(folder, "1.0", OLD)
    shipped.install(appliance, folder, root=root)
    before = (appliance.boot_dir / "manifest.json").stat().st_ino
    shipped.install(appliance, folder, root=root)
    assert (appliance.boot_dir / "manifest.json").stat().st_ino == before


def test_a_newer_image_brings_its_own(appliance: Settings, folder: Path, root: Path) -> None:
    ship(folder, "1.0", OLD)
    shipped.install(appliance, folder, root=root)
    ship(folder, "1.1", NEW, {**FILES, "vmlinuz": b"newer"})
    assert shipped.install(appliance, folder, root=root)[-1] == (
        "the live environment 1.1 is in place"
    )
    assert active(appliance) == "1.1"


def test_an_older_image_does_not(appliance: Settings, folder: Path, root: Path) -> None:
    ship(folder, "1.1", NEW)
    shipped.install(appliance, folder, root=root)
    ship(folder, "1.0", OLD)
    assert shipped.install(appliance, folder, root=root)[-1] == (
        "the live environment 1.1 stays: the image has none that is newer"
    )
    assert active(appliance) == "1.1"


def test_what_an_operator_uploaded_stays(appliance: Settings, folder: Path, root: Path) -> None:
    ship(folder, "1.0", OLD)
    shipped.install(appliance, folder, root=root)
    install_tar(appliance, io.BytesIO(whole("mine")), None)
    ship(folder, "1.1", NEW)
    assert shipped.install(appliance, folder, root=root)[-1] == (
        "the live environment mine was chosen by an operator and stays"
    )
    assert active(appliance) == "mine"


def test_an_image_without_one_is_no_failure(appliance: Settings, folder: Path, root: Path) -> None:
    assert shipped.install(appliance, folder, root=root)[-1] == (
        f"{folder} holds no live environment"
    )
    assert active(appliance) is None


def test_a_damaged_one_is_not_put_in_place(appliance: Settings, folder: Path, root: Path) -> None:
    ship(folder, "1.0", OLD)
    (folder / "vmlinuz").write_bytes(FILES["vmlinuz"].replace(b"k", b"x", 1))
    with pytest.raises(ImageCorrupt):
        shipped.install(appliance, folder, root=root)
    assert active(appliance) is None
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ImageCorrupt, match=r"manifest\.json cannot be read"):
        shipped.install(appliance, folder, root=root)


def test_programs_follow_their_package(appliance: Settings, folder: Path, root: Path) -> None:
    packaged, placed = root / "usr/lib/ipxe/undionly.kpxe", appliance.tftp_root / "undionly.kpxe"
    shipped.install(appliance, folder, root=root)
    packaged.write_bytes(SECOND)
    shipped.install(appliance, folder, root=root)
    assert placed.read_bytes() == SECOND


def test_a_program_that_was_uploaded_stays(appliance: Settings, folder: Path, root: Path) -> None:
    packaged, placed = root / "usr/lib/ipxe/undionly.kpxe", appliance.tftp_root / "undionly.kpxe"
    shipped.install(appliance, folder, root=root)
    placed.write_bytes(MINE)
    packaged.write_bytes(SECOND)
    shipped.install(appliance, folder, root=root)
    assert placed.read_bytes() == MINE
    # Also when the package becomes what was placed once.
    packaged.write_bytes(FIRST)
    shipped.install(appliance, folder, root=root)
    assert placed.read_bytes() == MINE
