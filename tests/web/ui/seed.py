"""A room of machines in all states, for pages to show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from bty_core.wire.plan import ProvisioningMode
from bty_web.models import Attempt, Group, Image, Mac, Machine
from bty_web.models.words import AttemptMode, ImageState, Policy, State, Trigger
from bty_web.services.clock import change_stamp
from bty_web.services.history import Actor, record

IMAGES = (
    ("debian-13-ci.img.zst", ImageState.READY),
    ("debian-13-desktop.qcow2", ImageState.READY),
    ("ubuntu-24.04-server.img.gz", ImageState.READY),
    ("fedora-43.raw.xz", ImageState.MEASURING),
    ("nightly.img.zst", ImageState.BROKEN),
)
GROUPS = ("rack A", "rack B", "lab", "office")
STATES = (*State, State.DONE, State.DONE, State.DONE, State.DONE, State.DONE, State.DONE, None)
LOG = "\n".join(f"12:03:{second:02d} writing {second * 100} MB" for second in range(60))


def seed(session: Session, count: int = 2000, now: datetime | None = None) -> None:
    """Put `count` machines into an empty database, always the same ones."""
    chance, now = random.Random(1), now or datetime.now(UTC)
    session.add_all([_image(name, state, now) for name, state in IMAGES])
    groups = [Group(name=name, description=f"what stands in {name}") for name in GROUPS]
    session.add_all(groups)
    session.flush()
    made = [_machine(chance, number, groups, now) for number in range(count)]
    session.add_all(made)
    session.flush()
    attempts = [
        _attempt(chance, machine, state, now)
        for machine in made
        if (state := _state(chance)) is not None
    ]
    session.add_all(attempts)
    session.flush()
    for attempt in attempts:
        machine = made[attempt.machine_id - made[0].id]
        machine.attempt_id = attempt.id
        if attempt.state is State.DONE:
            machine.last_flashed_at = attempt.ended_at
    by = Actor("operator", "192.0.2.10")
    for machine, attempt in list(zip(made, attempts, strict=False))[:30]:
        record(
            session,
            "attempt.done",
            "debian-13-ci.img.zst is on /dev/nvme0n1, after 92 s",
            by=by,
            now=now - timedelta(minutes=chance.randrange(500)),
            machine=machine,
            attempt=attempt,
        )


def _state(chance: random.Random) -> State | None:
    usual = chance.random() < 0.9
    return chance.choice((State.DONE, None)) if usual else chance.choice(STATES)


def _image(name: str, state: ImageState, now: datetime) -> Image:
    ready = state is ImageState.READY
    return Image(
        name=name,
        state=state,
        size_bytes=1_400_000_000,
        stamp="1",
        format="zstd" if ready else None,
        virtual_size_bytes=6 * 2**30 if ready else None,
        sha256="a" * 64 if ready else None,
        warnings=[],
        message="the stream ends in the middle" if state is ImageState.BROKEN else None,
        added_at=now,
    )


def inventory(number: int) -> dict[str, Any]:
    """Return what machine `number` says it has."""
    return {
        "disks": [
            {
                "path": "/dev/nvme0n1",
                "size_bytes": 512_110_190_592,
                "serial": f"S5Y1NX0R{number:05d}",
                "wwn": f"eui.0025388b{number:08x}",
                "model": "Samsung SSD 980 PRO 500GB",
                "transport": "nvme",
                "removable": False,
            },
            {
                "path": "/dev/sda",
                "size_bytes": 4_000_787_030_016,
                "serial": f"ZW60{number:05d}",
                "model": "ST4000NM000A",
                "transport": "sata",
                "removable": False,
            },
        ],
        "nics": [{"name": "eno1", "mac": mac(number)}, {"name": "eno2", "mac": mac(number, 0x56)}],
        "cpu": "AMD EPYC 4344P 8-Core Processor",
        "memory_bytes": 64 * 2**30,
        "firmware": "uefi",
        "vendor": "Supermicro",
        "product": "AS-1015A-MT",
    }


def mac(number: int, first: int = 0x52) -> str:
    """Return the address of machine `number`."""
    return f"{first:02x}:54:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def _machine(chance: random.Random, number: int, groups: list[Group], now: datetime) -> Machine:
    new = chance.random() < 0.02
    policy = Policy.TUI if new else chance.choice([*Policy, Policy.LOCAL, Policy.LOCAL])
    flashed = policy not in (Policy.TUI, Policy.LOCAL)
    image = chance.choices(IMAGES, weights=(60, 30, 20, 1, 1))[0][0] if flashed else None
    return Machine(
        mac=mac(number),
        macs=[Mac(mac=mac(number), nic="eno1")],
        name=None if new else f"node-{number:04d}",
        group_id=None if new else chance.choice(groups).id,
        notes="",
        image=image,
        target=chance.choice(("smallest", f"serial:S5Y1NX0R{number:05d}")) if flashed else None,
        provisioning_mode=ProvisioningMode.NONE,
        boot_policy=policy,
        local_boot="auto",
        revision=1 if new else 2,
        discovered_at=now - timedelta(days=chance.randrange(1, 300)),
        discovered_from="10.0.0.7",
        last_seen_at=now - timedelta(seconds=chance.randrange(5, 900_000)),
        last_seen_ip=f"10.0.{number >> 8 & 255}.{number & 255}",
        platform="efi",
        product="AS-1015A-MT",
        serial=f"S{number:07d}",
        inventory=None if new else inventory(number),
        inventory_at=None if new else now - timedelta(days=1),
        reflash_armed_at=now if chance.random() < 0.005 else None,
        changed=change_stamp(),
    )


def _attempt(chance: random.Random, machine: Machine, state: State, now: datetime) -> Attempt:
    wizard = machine.boot_policy is Policy.TUI
    began = now - timedelta(seconds=chance.randrange(60, 86_000))
    moving = state in (State.RUNNING, State.VERIFYING, State.PROVISIONING)
    total = 6 * 2**30
    failed = state is State.FAILED
    return Attempt(
        machine_id=machine.id,
        revision=machine.revision,
        state=state,
        mode=AttemptMode.INTERACTIVE if wizard else AttemptMode.AUTO,
        trigger=Trigger.POLICY,
        nonce="0" * 16,
        client=machine.last_seen_ip,
        image=machine.image or "debian-13-ci.img.zst",
        target=machine.target,
        disk="/dev/nvme0n1" if state is State.DONE else None,
        phase="writing" if state is State.RUNNING else "verifying" if moving else None,
        source_bytes=0,
        disk_bytes=chance.randrange(total) if moving else total if state is State.DONE else 0,
        total_bytes=total,
        bytes_per_second=chance.randrange(80, 900) * 10**6 if moving else None,
        bottleneck=chance.choice(("network-bound", "disk-bound", "decode-bound"))
        if moving
        else None,
        seconds=92.4 if state is State.DONE else None,
        bytes_written=1_800_000_000 if state is State.DONE else None,
        started_at=began,
        heard_at=now - timedelta(seconds=2),
        ended_at=began + timedelta(seconds=92) if state.over else None,
        code="image-corrupt" if failed else None,
        message="the image ends in the middle: 1.2 GB of 1.4 GB came" if failed else None,
        hint="upload the image again and compare its digest" if failed else None,
        log=LOG if failed else None,
    )
