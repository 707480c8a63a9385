"""What ends an unattended flash badly: exit code, console, what is left for the wizard, and server agree."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_agent.server.client import ServerClient
from bty_core.wire.plan import ProvisioningMode
from bty_core.wire.reports import ProgressReport, ReportedPhase
from bty_web.models.words import State
from bty_web.services import machines
from tests.agent.test_disk_safety import mounted
from tests.agent.unattended.conftest import Box
from tests.agent.unattended.link import Link
from tests.agent.unattended.machine import Ended, booted
from tests.conftest import MIB
from tests.loops import attach, detach
from tests.web.serving.server import wait_until

pytestmark = [pytest.mark.root, pytest.mark.loop]


def untouched(box: Box) -> bool:
    """Whether nothing was written."""
    return box.disk.read_bytes() == b"\xff" * (16 * MIB)


def agrees(box: Box, ended: Ended, code: Exit, state: State, failed: str, sentence: str) -> None:
    """Compare all that was said of one failure."""
    found, failure = box.attempt(), ended.failure
    assert failure is not None, ended.console
    assert (ended.code, found.state, found.code, failure.code) == (code, state, failed, failed)
    assert failure.exit_code == code
    assert failure.attempt == found.id
    assert failure.reported
    assert found.message == failure.message
    assert sentence in failure.message
    assert f"bty: attempt {found.id} failed: {failure.message}" in ended.console
    assert failure.hint is None or f"hint: {failure.hint}" in ended.console
    assert failure.aftermath is None or failure.aftermath in ended.console
    assert ended.lines[-1] == f"bty: attempt {found.id} the server knows"
    assert "reboot now" not in ended.console
    assert found.log is not None
    assert failure.message in found.log
    assert "bty.token" not in found.log


@pytest.mark.parametrize(
    ("target", "failed", "sentence"),
    [
        ("serial:NONE", "disk-not-found", "NONE"),
        ("/dev/none", "disk-not-found", "/dev/none"),
        ("size>=1K,transport:usb", "disk-not-found", "usb"),
    ],
)
def test_a_target_that_matches_nothing_is_refused(
    box: Box, target: str, failed: str, sentence: str
) -> None:
    box.assign(target=target)
    ended = box.run()
    agrees(box, ended, Exit.REFUSED, State.FAILED, failed, sentence)
    assert box.attempt().try_number is None
    assert untouched(box)


def test_an_image_that_is_too_large_is_refused(box: Box, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(32 * MIB)
    box.fleet.add_image("large.img", (tmp_path / "large").read_bytes())
    box.assign("large.img")
    ended = box.run()
    agrees(box, ended, Exit.REFUSED, State.FAILED, "disk-too-small", "too few for large.img")
    assert untouched(box)


def test_an_image_that_does_not_say_its_size_is_refused_by_what_the_server_measured(
    box: Box,
) -> None:
    content = gzip.compress(bytes(32 * MIB), 1)
    box.fleet.add_image("large.img.gz", content, format="gzip", virtual_size_bytes=32 * MIB)
    box.assign("large.img.gz")
    ended = box.run()
    agrees(box, ended, Exit.REFUSED, State.FAILED, "disk-too-small", "too few for large.img.gz")
    assert untouched(box)


def test_a_wrong_digest_leaves_a_disk_that_does_not_boot(box: Box) -> None:
    small = (box.fleet.site.settings.image_root / "small.img").read_bytes()
    box.fleet.add_image("wrong.img", small, sha256="0" * 64)
    box.assign("wrong.img")
    ended = box.run()
    agrees(box, ended, Exit.INTEGRITY, State.FAILED, "digest-mismatch", "wrong.img")
    assert ended.failure is not None
    assert ended.failure.aftermath == f"{box.disk} does not boot now; flash it again"
    assert box.disk.read_bytes()[:MIB] == bytes(MIB)
    assert "try 2" not in ended.console


def test_a_truncated_image_is_an_error(box: Box) -> None:
    small = (box.fleet.site.settings.image_root / "small.img").read_bytes()
    box.fleet.add_image("cut.img.gz", gzip.compress(small, 1)[:-50_000], format="gzip")
    box.assign("cut.img.gz")
    ended = box.run()
    agrees(box, ended, Exit.INTEGRITY, State.FAILED, "image-corrupt", "cut.img.gz")
    assert box.disk.read_bytes()[:MIB] == bytes(MIB)


def test_a_disk_in_use_is_refused(box: Box) -> None:
    claimed = os.open(box.disk, os.O_RDONLY | os.O_EXCL)
    try:
        box.assign()
        ended = box.run()
    finally:
        os.close(claimed)
    agrees(box, ended, Exit.REFUSED, State.FAILED, "disk-busy", str(box.disk))
    assert untouched(box)


@pytest.mark.parametrize("mode", [ProvisioningMode.CIJOE, ProvisioningMode.CIJOE_ONLINE])
def test_without_a_workflow_nobody_flashes_but_a_person(box: Box, mode: ProvisioningMode) -> None:
    box.assign()
    line = box.boot()
    with box.fleet.site.session() as session:
        machines.get(session, box.mac).provisioning_mode = mode
    ended = box.run(line)
    assert ended.failure is not None
    assert (ended.code, ended.failure.code) == (Exit.DONE, "wizard-wanted")
    assert "the server wants a person here: no workflow is assigned" in ended.console
    assert untouched(box)


@pytest.fixture
def dying(box: Box, tmp_path: Path) -> Iterator[Path]:
    """Let the disk of the machine refuse writes after the first MiB; return the store to mend it."""
    store = tmp_path / "store"
    with mounted("bty-test", store, "-t", "tmpfs", "-o", "size=1m"):
        with (store / "disk").open("wb") as file:
            file.truncate(16 * MIB)
        box.disk = attach(store / "disk")
        try:
            yield store
        finally:
            detach(box.disk)


def test_a_disk_that_fails_is_tried_again_and_given_up(box: Box, dying: Path) -> None:
    box.assign()
    ended = box.run()
    agrees(box, ended, Exit.WRITE_FAILED, State.FAILED, "write-failed", str(box.disk))
    assert "(try 2 of 3)" in ended.console
    assert "(try 3 of 3)" in ended.console
    assert box.attempt().try_number == 3


def test_a_disk_that_fails_once_is_flashed_by_the_next_try(box: Box, dying: Path) -> None:
    box.assign()
    with booted(box.boot(), box.folder / "run", pace="0.1") as boot:
        assert boot.says("trying again in 1 s \\(try 2 of 3\\)")
        assert wait_until(lambda: box.attempt().phase == "retrying")
        assert box.attempt().try_number == 2
        subprocess.run(["mount", "-o", "remount,size=32m", dying], check=True)
        ended = boot.end()
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert box.attempt().state is State.DONE


def test_a_forged_token_writes_nothing_and_changes_nothing(box: Box) -> None:
    box.assign()
    line = box.boot()
    number, _, rest = line.partition("bty.token=")[2].partition("-")
    ended = box.run(line.replace(rest.split()[0], "0" * 32))
    assert ended.code is Exit.REFUSED
    assert ended.failure is not None
    assert ended.failure.code == "token-refused"
    assert f"bty: attempt {number} failed: this token belongs to no attempt" in ended.console
    assert box.attempt().state is State.OFFERED
    assert untouched(box)


def test_an_attempt_that_was_superseded_writes_nothing(box: Box) -> None:
    box.assign()
    line = box.boot()
    first = box.attempt().id
    supersede(box)
    ended = box.run(line)
    assert ended.code is Exit.REFUSED, ended.console
    assert ended.failure is not None
    assert ended.failure.code == "attempt-over"
    assert f"attempt {first} was superseded" in ended.failure.message
    assert untouched(box)


def test_an_attempt_that_is_superseded_stops_writing(box: Box, network: Link) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run") as boot:
        assert box.writes()
        first = box.attempt().id
        supersede(box)
        ended = boot.end()
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.attempt) == ("attempt-over", first)
    assert ended.failure.aftermath == f"{box.disk} does not boot now; flash it again"
    assert ended.code is Exit.INTERRUPTED
    assert box.attempt().state is State.QUEUED


def test_a_report_that_is_refused_is_no_reason_to_reboot(box: Box, network: Link) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run", pace="0.1") as boot:
        assert box.writes()
        first = box.attempt().id
        network.deaf_to = b"POST "
        network.image_bytes = None
        assert boot.says("is done, and cannot say so")
        supersede(box)
        network.deaf_to = None
        ended = boot.end()
    assert ended.code is Exit.UNREACHABLE
    assert ended.failure is not None
    assert ended.failure.code == "unreported"
    assert f"attempt {first} was superseded" in ended.failure.message
    assert ended.failure.aftermath == f"{box.disk} holds the image and can be booted"
    assert "would reboot" not in ended.console


def supersede(box: Box) -> None:
    """Open an attempt by hand, and use its token."""
    client = ServerClient(box.fleet.url, box.mac)
    client.open_attempt("tty1")
    client.progress(ProgressReport(phase=ReportedPhase.WAITING))


def test_a_boot_that_has_failed_is_not_tried_again(box: Box) -> None:
    box.assign(target="serial:NONE")
    line = box.boot()
    first = box.run(line)
    again = box.run(line)
    assert (again.code, again.failure) == (first.code, first.failure)
    assert again.lines[-1] == "     it is not tried again in this boot"


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("bty.mode=auto bty.server=http://10.0.0.1", Exit.USAGE, "bty.mac, bty.attempt, bty.token"),
        ("bty.mode=dance", Exit.USAGE, "bty.mode=dance is not interactive or auto"),
    ],
)
def test_a_line_that_cannot_be_is_named(box: Box, line: str, code: Exit, sentence: str) -> None:
    ended = box.run(line)
    assert ended.code is code
    assert sentence in ended.console
