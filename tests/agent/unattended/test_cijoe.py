"""A machine that is flashed unattended runs the workflow that its server keeps, and hands its report over."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_web.models.words import State
from bty_web.services import run_reports, workflows
from tests.agent.server.fleet import Fleet
from tests.agent.unattended.conftest import Box
from tests.agent.unattended.test_failures import agrees
from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import CLOUD, inside, make_image

pytestmark = [pytest.mark.root, pytest.mark.loop]

TASK = """\
doc: |
  Works on the disk that was written.
steps:
- name: place
  run: |
    cp said.txt $BTY_ROOTFS/placed; echo $BTY_MAC $BTY_IMAGE >>$BTY_ROOTFS/placed
- name: second
  run: |
    {second}
"""


@pytest.fixture(scope="module")
def stocked(server: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The server, with an image that has a root filesystem, and two workflows."""
    script = f"{CLOUD}; touch etc/os-release"
    image = make_image(tmp_path_factory.mktemp("image") / "root.img", script=script)
    server.add_image("root.img", image.read_bytes())
    for name, second in (("good", "sync"), ("bad", "echo no room here; exit 7")):
        files = {"task.yaml": TASK.format(second=second), "said.txt": "hello\n"}
        server.site.add_workflow(name, files)
    return server


@pytest.fixture
def rooted(stocked: Fleet, box: Box, make_loop: MakeLoop) -> Box:
    """A machine with room for that image."""
    assert box.fleet is stocked
    box.disk = make_loop(64 * MIB)
    return box


def page(box: Box) -> str:
    """Return the page of the report that the server has."""
    return run_reports.page(
        run_reports.of_attempt(box.fleet.site.settings.state_dir, box.attempt().id)
    ).decode()


def test_the_workflow_works_on_the_disk_and_the_server_has_its_report(rooted: Box) -> None:
    rooted.assign("root.img", provisioning_mode="cijoe", workflow="good")
    ended = rooted.run()
    attempt = rooted.attempt()
    assert (ended.code, attempt.state) == (Exit.DONE, State.DONE), ended.console
    assert inside(rooted.disk, "cat placed") == f"hello\n{rooted.mac} root.img\n"
    assert attempt.workflow == "good@1"
    assert attempt.report_at is not None, ended.console
    assert "place" in page(rooted)
    assert f"bty: attempt {attempt.id} the server has the report of the workflow" in ended.lines


def test_a_step_that_fails_is_named_and_the_report_is_there(rooted: Box) -> None:
    rooted.assign("root.img", provisioning_mode="cijoe", workflow="bad@1")
    ended = rooted.run()
    agrees(
        rooted,
        ended,
        Exit.PROVISIONING_FAILED,
        State.FAILED,
        "workflow-failed",
        "step 2 of 2, 'second', of the workflow task.yaml failed",
    )
    assert ended.failure is not None
    assert ended.failure.aftermath is not None
    assert f"the image is on {rooted.disk}, but it is not provisioned" in ended.failure.aftermath
    assert inside(rooted.disk, "head -n 1 placed") == "hello\n"
    assert "second" in page(rooted)


def test_an_archive_that_was_damaged_fails_before_anything_is_written(rooted: Box) -> None:
    rooted.assign("root.img", provisioning_mode="cijoe", workflow="good")
    folder = rooted.fleet.site.settings.state_dir / workflows.FOLDER
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    line = rooted.boot()
    try:
        for path in kept:
            path.write_bytes(b"rubbish")
        ended = rooted.run(line)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    assert ended.code is not Exit.DONE
    assert rooted.attempt().state is State.FAILED
    assert "another digest" in str(rooted.attempt().message)
    assert untouched(rooted.disk)


def untouched(disk: Path) -> bool:
    """Whether nothing was written."""
    return disk.read_bytes()[:MIB] == b"\xff" * MIB
