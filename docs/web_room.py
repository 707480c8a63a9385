"""A small room of machines for the pictures of the server's pages: names, states and figures as they are in use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from bty_web.models import Attempt, Group, Image, Mac, Machine
from bty_web.models.words import AttemptMode, ImageState, Policy, State, Trigger
from bty_web.services.catalog import stamp
from bty_web.services.clock import change_stamp
from bty_web.services.history import BTY, Actor, record
from tests.browser.machine import INVENTORY

OPERATOR = Actor("operator", "192.168.1.20")
GIB = 2**30
SERVER_IMAGE, DESKTOP_IMAGE = "debian-13-server.img.zst", "debian-13-desktop.img.zst"
# name, stored, on the disk, format
IMAGES = (
    (SERVER_IMAGE, 486_000_000, 4 * GIB, "zstd"),
    (DESKTOP_IMAGE, 1_930_000_000, 12 * GIB, "zstd"),
    ("ubuntu-24.04-server.img.gz", 1_120_000_000, 5 * GIB, "gzip"),
    ("memtest86plus.img", 6_300_000, 6_300_000, "raw"),
)


@dataclass(frozen=True)
class Place:
    """One machine; `state` is that of its newest attempt, `share` how much of it is written."""

    name: str | None
    group: str | None
    state: State | None
    policy: Policy
    image: str | None = SERVER_IMAGE
    share: float = 1.0
    rate: int = 0  # MB/s
    hours: float = 2.0  # since it was last seen


PLACES = (
    Place("ci-01", "rack A", State.RUNNING, Policy.FLASH_ONCE, share=0.62, rate=418, hours=0),
    Place("ci-02", "rack A", State.RUNNING, Policy.FLASH_ONCE, share=0.35, rate=402, hours=0),
    Place("ci-03", "rack A", State.VERIFYING, Policy.FLASH_ONCE, share=0.8, rate=1210, hours=0),
    Place("ci-04", "rack A", State.DONE, Policy.FLASH_ONCE, hours=0.1),
    Place("ci-05", "rack A", State.FAILED, Policy.FLASH_ONCE, share=0.2, hours=0.4),
    Place("ci-06", "rack A", State.DONE, Policy.FLASH_CYCLE, hours=1.2),
    Place("bench-1", "lab", State.DONE, Policy.FLASH_ONCE, DESKTOP_IMAGE, hours=20),
    Place("bench-2", "lab", State.DONE, Policy.FLASH_ONCE, DESKTOP_IMAGE, hours=21),
    Place("bench-3", "lab", None, Policy.LOCAL, None, hours=49),
    Place(None, None, None, Policy.TUI, None, hours=0.05),
)


def seed(session: Session, images: Path, now: datetime) -> None:
    """Put the room into an empty database, and files that take no room into the catalog."""
    for name, stored, virtual, format_ in IMAGES:
        with (images / name).open("wb") as file:
            file.truncate(stored)
        session.add(
            Image(
                name=name,
                state=ImageState.READY,
                size_bytes=stored,
                stamp=stamp((images / name).stat()),
                format=format_,
                virtual_size_bytes=virtual,
                sha256=hashlib.sha256(name.encode()).hexdigest(),
                disk_sha256=hashlib.sha256(format_.encode()).hexdigest(),
                warnings=[],
                added_at=now - timedelta(days=6),
                measured_at=now - timedelta(days=6),
            )
        )
    groups = {name: Group(name=name, description="") for name in ("rack A", "lab")}
    session.add_all(groups.values())
    session.flush()
    for number, place in enumerate(PLACES, 1):
        machine = _machine(number, place, groups, now)
        session.add(machine)
        session.flush()
        if place.state is not None:
            attempt = _attempt(place, machine, now)
            session.add(attempt)
            session.flush()
            machine.attempt_id = attempt.id
            machine.last_flashed_at = attempt.ended_at if place.state is State.DONE else None
            _tell(session, place, machine, attempt, now)
        elif place.name is None:
            at = now - timedelta(hours=place.hours)
            record(session, "machine.discovered", "seen first", by=BTY, now=at, machine=machine)


def _machine(number: int, place: Place, groups: dict[str, Group], now: datetime) -> Machine:
    mac = f"3c:ec:ef:7a:10:{number:02x}"
    serial = f"S5Y1NX0R4001{number:02d}"
    disks: list[dict[str, Any]] = [{**INVENTORY["disks"][0], "serial": serial, "wwn": None}]
    disks.append(INVENTORY["disks"][1])
    nics = [{"name": "eno1", "mac": mac}, {"name": "eno2", "mac": mac.replace("3c", "3e")}]
    known = place.name is not None
    seen = now - timedelta(hours=place.hours)
    return Machine(
        mac=mac,
        macs=[Mac(mac=mac, nic="eno1" if known else None)],
        name=place.name,
        group_id=groups[place.group].id if place.group else None,
        image=place.image,
        target=f"serial:{serial}" if place.image else None,
        boot_policy=place.policy,
        local_boot="auto",
        revision=2 if known else 1,
        discovered_at=now - timedelta(days=31) if known else seen,
        discovered_from=f"192.168.1.{100 + number}",
        last_seen_at=seen,
        last_seen_ip=f"192.168.1.{100 + number}",
        platform="efi",
        product=INVENTORY["product"],
        serial=f"A31742{number:03d}",
        inventory={**INVENTORY, "disks": disks, "nics": nics} if known else None,
        inventory_at=seen if known else None,
        changed=change_stamp(),
    )


def _attempt(place: Place, machine: Machine, now: datetime) -> Attempt:
    assert place.state is not None
    total = next(virtual for name, _, virtual, _ in IMAGES if name == place.image)
    moving, over = not place.state.over, place.state.over
    end = now - timedelta(hours=place.hours)
    failed, done = place.state is State.FAILED, place.state is State.DONE
    phase = {State.RUNNING: "writing", State.VERIFYING: "verifying"}.get(place.state)
    seconds = total / 400e6
    return Attempt(
        machine_id=machine.id,
        revision=machine.revision,
        state=place.state,
        mode=AttemptMode.AUTO,
        trigger=Trigger.POLICY,
        nonce="0" * 16,
        client=machine.last_seen_ip,
        image=place.image,
        target=machine.target,
        disk=None if place.share < 0.3 else "/dev/nvme0n1",
        phase=phase,
        source_bytes=0,
        disk_bytes=int(total * place.share),
        total_bytes=total,
        bytes_per_second=place.rate * 10**6 if moving else None,
        bottleneck="network-bound" if phase == "writing" else None,
        seconds=seconds if done else None,
        bytes_written=total // 3 if done else None,
        started_at=end - timedelta(seconds=seconds),
        heard_at=now,
        ended_at=end if over else None,
        code="disk-write-failed" if failed else None,
        message="/dev/nvme0n1 refused a write at 812 MB" if failed else None,
        hint="look at the disk's health: smartctl -a /dev/nvme0n1" if failed else None,
        log="nvme nvme0: I/O timeout, aborting\n" * 3 if failed else None,
    )


def _tell(
    session: Session, place: Place, machine: Machine, attempt: Attempt, now: datetime
) -> None:
    def told(kind: str, text: str, by: Actor, at: datetime) -> None:
        record(session, kind, text, by=by, now=at, machine=machine, attempt=attempt)

    before = attempt.started_at - timedelta(minutes=4)
    assigned = f"{place.image} to {machine.target}, {place.policy}"
    told("machine.changed", assigned, OPERATOR, min(before, now))
    by = Actor("machine", machine.last_seen_ip)
    told("attempt.started", f"attempt {attempt.id} writes {place.image}", by, attempt.started_at)
    if attempt.ended_at and place.state is State.DONE:
        text = f"{place.image} is on /dev/nvme0n1, after {attempt.seconds:.0f} s"
        told("attempt.done", text, by, attempt.ended_at)
    elif attempt.ended_at:
        told("attempt.failed", str(attempt.message), by, attempt.ended_at)
