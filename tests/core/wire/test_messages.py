"""Messages survive the way to the other side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bty_core.disks.model import Transport
from bty_core.disks.select import Selector, choose
from bty_core.machine.model import Firmware, Identity, Inventory, Nic
from bty_core.wire.fields import InvalidField
from bty_core.wire.plan import ImageOffer, Mode, Options, Plan, Provisioning
from bty_core.wire.reports import (
    MOST_CONSOLE,
    MOST_LOG,
    DiskReport,
    DoneReport,
    FailedReport,
    InventoryReport,
    Opened,
    OpenRequest,
    ProgressAnswer,
    ProgressReport,
    ReportedPhase,
)

DISK = DiskReport(
    path=Path("/dev/nvme0n1"),
    size=512 * 10**9,
    serial="S5Y1",
    wwn=None,
    model="Samsung SSD 980",
    transport=Transport.NVME,
    removable=False,
)
OFFER = ImageOffer(
    name="debian.img.zst",
    url="http://10.0.0.2:8080/images/debian.img.zst",
    format="zstd",
    sha256="a" * 64,
    size_bytes=10,
    virtual_size_bytes=20,
)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(mode=Mode.LOCAL, reason="its boot policy is local"),
        Plan(mode=Mode.INTERACTIVE, attempt=4),
        Plan(
            mode=Mode.AUTO,
            attempt=7,
            image=OFFER,
            target="serial:S5Y1",
            options=Options(verify=False, fix_gpt=True, uefi_entry=True),
            provisioning=Provisioning(),
        ),
    ],
)
def test_plans(plan: Plan) -> None:
    assert Plan.from_wire(json.loads(json.dumps(plan.wire()))) == plan


def test_reports() -> None:
    progress = ProgressReport(
        phase=ReportedPhase.WRITING, source_bytes=1, disk_bytes=2, total_bytes=3
    )
    assert ProgressReport.from_wire(progress.wire()) == progress
    chosen = replace(progress, phase=ReportedPhase.QUEUED, image="x", disk=DISK, console="ttyS0")
    assert ProgressReport.from_wire(json.loads(json.dumps(chosen.wire()))) == chosen
    opening = OpenRequest(console="tty1")
    assert OpenRequest.from_wire(opening.wire()) == opening
    assert OpenRequest.from_wire({}) == OpenRequest()
    done = DoneReport(image="x", disk="/dev/sda", bytes_written=3, seconds=1.5)
    assert DoneReport.from_wire(done.wire()) == done
    failed = FailedReport(code="write-failed", message="no", hint="yes", log="l")
    assert FailedReport.from_wire(failed.wire()) == failed
    assert Opened.from_wire(Opened(attempt=1, token="t").wire()) == Opened(attempt=1, token="t")
    answer = ProgressAnswer(cancel=True, queue_position=3, ask_again_seconds=5)
    assert ProgressAnswer.from_wire(answer.wire()) == answer


def test_what_a_person_chose_is_cut_by_who_says_it_and_refused_where_it_was_not() -> None:
    long = ProgressReport(phase=ReportedPhase.WAITING, image="i" * 300, console="c" * 90).wire()
    assert ProgressReport.from_wire(long).console == "c" * MOST_CONSOLE
    assert OpenRequest.from_wire(OpenRequest(console="c" * 90).wire()).console == "c" * 80
    wrong = {
        "image": {**long, "image": "i" * 256},
        "console": {**long, "console": "c" * 81},
        "disk.size_bytes": {**long, "disk": {"path": "/dev/sda"}},
        "disk": {**long, "disk": "/dev/sda"},
    }
    for field, message in wrong.items():
        with pytest.raises(InvalidField) as caught:
            ProgressReport.from_wire(message)
        assert caught.value.field == field
    with pytest.raises(InvalidField):
        OpenRequest.from_wire({"console": 5})


def test_of_a_long_log_the_end_is_sent() -> None:
    log = "x" * MOST_LOG + "the end"
    wire = FailedReport(code="c", message="m", log=log).wire()
    sent = FailedReport.from_wire(wire)
    assert sent.log is not None
    assert len(sent.log) == MOST_LOG
    assert sent.log.endswith("the end")


def test_an_inventory_is_what_selectors_look_at() -> None:
    nics = (Nic(name="eno1", mac="52:54:00:12:34:56"),)
    identity = Identity(vendor="A", product="B", serial="C", uuid=None)
    wire = Inventory(
        identity=identity, firmware=Firmware.UEFI, cpu="x", memory_bytes=5, disks=(), nics=nics
    ).wire()
    disk = {"path": "/dev/sda", "size_bytes": 10, "serial": "0xAB ", "transport": "sata"}
    stick = {"path": "/dev/sdb", "size_bytes": 5, "transport": "usb", "removable": True}
    report = InventoryReport.from_wire({**wire, "disks": [disk, stick]})
    assert (report.product, report.serial, report.firmware) == ("B", "C", "uefi")
    assert str(report.nics[0].mac) == "52:54:00:12:34:56"
    found = choose(report.disks, Selector.parse("smallest"))
    assert (found.path, found.transport) == (Path("/dev/sda"), Transport.SATA)
    assert choose(report.disks, Selector.parse("serial:ab")) is found


@pytest.mark.parametrize("mac", ["", "x", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", 5])
def test_a_wrong_address_is_named(mac: object) -> None:
    with pytest.raises(InvalidField) as caught:
        InventoryReport.from_wire({"disks": [], "nics": [{"name": "eno1", "mac": mac}]})
    assert caught.value.field == "nics[0].mac"
