"""Flashing from a server that breaks its word: the disk is right to the last byte, or dead, or was never touched."""

from __future__ import annotations

import hashlib
import threading
import time
from functools import cache
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest

from bty_core.disks.find import find_disk
from bty_core.disks.select import Selector
from bty_core.errors import (
    BtyError,
    Cancelled,
    ImageCorrupt,
    ImageRefused,
    ImageUnavailable,
)
from bty_core.events import Done, Event, Retrying
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashOptions, FlashPlan
from bty_core.images.address import HttpSettings
from bty_core.images.digest import KnownDigest
from bty_core.images.http import HttpSource
from bty_core.images.inspect import inspect
from bty_core.values import Digest
from tests.conftest import MakeLoop
from tests.core.flash.planning import is_dead, start_of
from tests.fakes.images import MIB, STREAMS, content, disk_image, qcow2
from tests.fakes.server import Fault, ImageChange, ImageServer

pytestmark = [pytest.mark.root, pytest.mark.loop]

DATA = content(9 * MIB + 4321, seed=11)
OTHER = content(9 * MIB + 4321, seed=12)
HASTY = HttpSettings(connect_seconds=2, stall_seconds=0.5, waits=(0.01,), pause_seconds=0.1)


@cache
def stored(kind: str) -> bytes:
    """Return `DATA` as a stream of this kind."""
    return STREAMS[kind][1](DATA)


def plan_of(server: ImageServer, disk: Path, sha256: str | None = None) -> FlashPlan:
    """Return the plan of a flash from the server, by somebody without patience."""
    return FlashPlan(
        image=inspect(HttpSource(server.url, settings=HASTY)),
        disk=find_disk(Selector.parse(str(disk))),
        digest=KnownDigest(Digest(sha256), "--sha256") if sha256 else None,
        options=FlashOptions(),
    )


# The look at the image opens a stream of its own.
LOOK = Fault()


def run(server: ImageServer, disk: Path, sha256: str | None = None) -> tuple[Done, list[Event]]:
    """Plan and flash."""
    events: list[Event] = []
    return flash(plan_of(server, disk, sha256), events.append), events


def assert_honest(error: BtyError, disk: Path) -> None:
    """The disk is what the failure says of it."""
    if error.aftermath == f"nothing was written to {disk}":
        assert set(disk.read_bytes()) == {0xFF}
    else:
        assert error.aftermath == f"{disk} does not boot now; flash it again"
        assert is_dead(disk)


SURVIVED = {
    "nothing": [],
    "FIN at several points": [Fault(drop_after=n) for n in (0, 1, 70_000, MIB, 3 * MIB + 7)],
    "RST at several points": [
        Fault(drop_after=n, reset=True) for n in (1, 500_000, 2 * MIB + 3, 100)
    ],
    "a stall": [Fault(stall_after=2 * MIB)],
    "a stall at the first byte": [Fault(stall_after=0)],
    "Range ignored after a drop": [Fault(drop_after=2 * MIB), Fault(ignore_range=True)],
    "chunks": [Fault(framing="chunked")],
    "chunks that break off": [Fault(framing="chunked", drop_after=MIB), Fault()],
    "no length": [Fault(framing="close")],
    "errors of the server": [Fault(drop_after=MIB), Fault(status=503), Fault(status=500)],
}


@pytest.mark.parametrize("kind", ["raw", "zstd"])
@pytest.mark.parametrize("case", SURVIVED)
def test_a_link_that_breaks_leaves_no_trace(case: str, kind: str, loop_disk: Path) -> None:
    data = stored(kind)
    digest = hashlib.sha256(data).hexdigest()
    with ImageServer(data, faults=[LOOK, *SURVIVED[case]]) as server:
        done, events = run(server, loop_disk, digest)
        told = [event for event in events if isinstance(event, Retrying)]
        assert bool(told) == any(fault != Fault(framing=fault.framing) for fault in SURVIVED[case])
    assert start_of(loop_disk, len(DATA)) == DATA
    assert done.sha256 == digest


def test_a_redirect_is_followed(loop_disk: Path) -> None:
    with ImageServer(DATA) as server:
        server.answers["/images/moved.img"] = Fault(
            status=302, headers={"Location": server.url, "Content-Length": "0"}
        )
        source = HttpSource(server.url_of("moved.img"), settings=HASTY)
        disk = find_disk(Selector.parse(str(loop_disk)))
        flash(FlashPlan(image=inspect(source), disk=disk))
    assert start_of(loop_disk, len(DATA)) == DATA


CHANGED = ImageChange(data=OTHER, etag='"other"')
LONGER = ImageChange(data=OTHER + bytes(5000), etag='"other"')
LYING = ImageChange(data=OTHER, etag=f'"{hashlib.sha256(DATA).hexdigest()[:16]}"', modified=None)
FATAL: dict[str, tuple[list[Fault], type[BtyError]]] = {
    "changed before the transfer": ([Fault(change=CHANGED)], ImageUnavailable),
    "changed after a drop": (
        [Fault(drop_after=5 * MIB), Fault(change=CHANGED)],
        ImageUnavailable,
    ),
    "longer after a drop": ([Fault(drop_after=5 * MIB), Fault(change=LONGER)], ImageUnavailable),
    "changed, and If-Range not looked at": (
        [Fault(drop_after=5 * MIB), Fault(change=CHANGED, ignore_condition=True)],
        ImageUnavailable,
    ),
    "gone after a drop": ([Fault(drop_after=5 * MIB), *[Fault(status=404)] * 9], ImageUnavailable),
    "gone at the transfer": ([Fault(status=404)] * 9, ImageUnavailable),
    "broken for good": ([Fault(drop_after=MIB), *[Fault(drop_after=0)] * 20], ImageUnavailable),
    "more than was announced": ([Fault(extra=b"more")], ImageCorrupt),
    "the wrong part": (
        [
            Fault(drop_after=5 * MIB),
            Fault(headers={"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}),
        ],
        ImageCorrupt,
    ),
    "a page instead of the image": (
        [Fault(change=ImageChange(data=b"<!doctype html>" + bytes(200), etag=None, modified=None))],
        ImageUnavailable,
    ),
}


@pytest.mark.parametrize("case", FATAL)
def test_a_server_that_breaks_its_word_never_makes_a_disk(case: str, loop_disk: Path) -> None:
    faults, kind = FATAL[case]
    with ImageServer(DATA, faults=[LOOK, *faults]) as server:
        planned = plan_of(server, loop_disk)
        with pytest.raises(kind) as caught:
            flash(planned)
    assert_honest(caught.value, loop_disk)


def test_other_bytes_under_the_same_tag_are_found_by_the_digest(loop_disk: Path) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    with ImageServer(DATA, faults=[LOOK, Fault(drop_after=5 * MIB), Fault(change=LYING)]) as server:
        planned = plan_of(server, loop_disk, digest)
        with pytest.raises(ImageCorrupt, match="has the digest sha256:") as caught:
            flash(planned)
    assert_honest(caught.value, loop_disk)
    assert is_dead(loop_disk)


@pytest.mark.parametrize("lie", [-MIB, -1, 1, MIB])
@pytest.mark.parametrize("kind", ["raw", "zstd"])
def test_a_length_that_lies_is_no_image(lie: int, kind: str, loop_disk: Path) -> None:
    with ImageServer(stored(kind), faults=[LOOK], then=Fault(length_lie=lie)) as server:
        planned = plan_of(server, loop_disk)
        with pytest.raises(BtyError) as caught:
            flash(planned)
    assert_honest(caught.value, loop_disk)


def test_partitions_behind_a_short_length_are_noticed(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(32 * MIB)
    short = disk_image(tmp_path / "disk.img").read_bytes()[: 9 * MIB]
    said = f"is cut short: it has {len(short)} bytes, and its partitions reach to byte "
    with ImageServer(short) as server, pytest.raises(ImageCorrupt, match=said):
        run(server, disk)
    # Where no length was said it shows at the end only.
    lost = Fault(framing="close", ignore_range=True)
    with ImageServer(short, then=lost, look_faults=[lost]) as server:
        planned = plan_of(server, disk)
        assert planned.image.virtual_size is None
        with pytest.raises(ImageCorrupt, match=said) as caught:
            flash(planned)
    assert is_dead(disk)
    assert_honest(caught.value, disk)


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_an_error_at_the_plan_touches_nothing(status: int, loop_disk: Path) -> None:
    sick = [Fault(status=status)] * 9
    with (
        ImageServer(DATA, faults=sick, look_faults=sick) as server,
        pytest.raises(ImageUnavailable, match="cannot be read: "),
    ):
        run(server, loop_disk)
    assert set(loop_disk.read_bytes()) == {0xFF}


def test_a_page_at_the_plan_is_refused(loop_disk: Path) -> None:
    page = b"<html><body>sign in</body></html>"
    with ImageServer(page) as server, pytest.raises(ImageRefused, match="is an HTML or XML page"):
        run(server, loop_disk)
    assert set(loop_disk.read_bytes()) == {0xFF}


@pytest.mark.qemu
def test_qcow2_over_http_is_refused(loop_disk: Path, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(DATA[: 2 * MIB])
    data = qcow2(raw, tmp_path / "disk.qcow2").read_bytes()
    with ImageServer(data) as server, pytest.raises(ImageRefused) as caught:
        run(server, loop_disk)
    assert caught.value.message == (
        f"{server.url} is qcow2, which cannot be read while it comes over the network"
    )
    assert set(loop_disk.read_bytes()) == {0xFF}


@pytest.mark.parametrize("stall_after", [None, 0, 5 * MIB])
def test_a_cancel_is_heard_while_the_server_is_silent(
    stall_after: int | None, make_loop: MakeLoop
) -> None:
    disk = make_loop(16 * MIB)
    patient = HttpSettings(stall_seconds=30, connect_seconds=30)
    cancel = Flag()
    held: list[Any] = []
    with ImageServer(DATA, faults=[LOOK], then=Fault(stall_after=stall_after)) as server:
        image = inspect(HttpSource(server.url, settings=patient))
        if stall_after is None:
            # The connection is made, and nobody ever answers.
            server._server.process_request = lambda one, _: held.append(one)  # type: ignore[method-assign, assignment]
        planned = FlashPlan(image=image, disk=find_disk(Selector.parse(str(disk))))
        timer = threading.Timer(0.7, cancel.set)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Cancelled) as caught:
            flash(planned, cancel=cancel)
        assert time.monotonic() - began < 2.5
        timer.join()
        for connection in held:
            connection.close()
    assert_honest(caught.value, disk)
    assert is_dead(disk) == (stall_after == 5 * MIB)
