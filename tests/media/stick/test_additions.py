"""How much of a stick images take, compared with what mkfs.exfat really makes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bty_core.proc import run
from bty_core.values import GIB, MIB
from bty_media.stick.additions import cluster_of, read_additions, room_of
from bty_media.stick.device import mounted
from tests.conftest import MakeLoop
from tests.fakes.images import disk_image


@pytest.mark.parametrize(
    "size", [64 * MIB, 256 * MIB, 257 * MIB, 7 * GIB + MIB, 32 * GIB, 33 * GIB, 2048 * GIB]
)
def test_a_new_filesystem_has_at_least_the_room_that_is_promised(tmp_path: Path, size: int) -> None:
    image = tmp_path / "exfat"
    with image.open("wb") as file:
        file.truncate(size)
    run(["mkfs.exfat", image], timeout=60)
    said = run(["dump.exfat", image], timeout=60)
    facts = dict(re.findall(r"^([A-Z][^:\n]*):\s+(\d+)$", said, re.MULTILINE))
    assert int(facts["Cluster size"]) == cluster_of(size)
    free = int(facts["Free Clusters"]) * cluster_of(size)
    # And not so little that a stick looks full before it is.
    assert size * 0.95 - 5 * MIB < room_of(size) <= free


@pytest.mark.root
@pytest.mark.loop
@pytest.mark.exfat
def test_images_take_no_more_than_is_reckoned(make_loop: MakeLoop, tmp_path: Path) -> None:
    images = []
    for number in range(12):
        image = disk_image(tmp_path / f"an-image-with-quite-a-long-name-{number}.img", 12 * MIB)
        image.with_name(f"{image.name}.yaml").write_text("description: one\n")
        images.append(image)
    found = read_additions(images)
    disk = make_loop(200 * MIB, blank=True)
    run(["mkfs.exfat", disk], timeout=60)
    folder = tmp_path / "stick"
    folder.mkdir()
    with mounted(disk, folder):
        before = _free(folder)
        for one in found:
            (folder / one.name).write_bytes(one.source.path.read_bytes())
            for beside in one.beside:
                (folder / beside.name).write_bytes(beside.read_bytes())
            assert one.sums is not None
            (folder / one.sums).write_text("sum")
        used = before - _free(folder)
    assert 0 < used <= sum(one.room(cluster_of(200 * MIB)) for one in found)


def _free(folder: Path) -> int:

    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
