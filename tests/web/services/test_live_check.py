"""What lies in the folder of the live environment, compared with its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bty_web.services.live import LiveFile, Manifest
from bty_web.services.live_check import FileCheck, check, glance


@pytest.fixture
def boot_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "vmlinuz").write_bytes(b"kernel")
    (folder / "initrd").write_bytes(b"initrd")
    return tmp_path


def manifest(**contents: bytes) -> Manifest:
    files = tuple(
        LiveFile(name=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        for name, content in contents.items()
    )
    return Manifest(version="1", kernel="vmlinuz", initrd="initrd", cmdline="", files=files)


def test_a_whole_one_has_no_fault(boot_dir: Path) -> None:
    good = manifest(vmlinuz=b"kernel", initrd=b"initrd")
    assert [one.fault for one in glance(boot_dir, good)] == [None, None]
    assert [one.fault for one in check(boot_dir, good)] == [None, None]


def test_only_a_whole_look_finds_bytes_that_changed(boot_dir: Path) -> None:
    other = manifest(vmlinuz=b"kernel", initrd=b"Initrd")
    assert [one.fault for one in glance(boot_dir, other)] == [None, None]
    found, wanted = (hashlib.sha256(one).hexdigest()[:12] for one in (b"initrd", b"Initrd"))
    assert [one.fault for one in check(boot_dir, other)] == [
        None,
        f"its digest is {found}… instead of {wanted}…",
    ]


@pytest.mark.parametrize("look", [check, glance])
def test_what_is_missing_or_cut_is_said(
    boot_dir: Path, look: Callable[[Path, Manifest], list[FileCheck]]
) -> None:
    wanted = manifest(vmlinuz=b"kernel, whole", root=b"root")
    assert [one.fault for one in look(boot_dir, wanted)] == [
        "it has 6 bytes instead of 13",
        "it is missing",
    ]
