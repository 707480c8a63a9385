"""Machines that wait for their turn, where a server says how many are flashed at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_core.values import MacAddress
from bty_web.models.words import State
from bty_web.services import preferences
from bty_web.services.clock import now
from tests.agent.running import small_image
from tests.agent.server.fleet import Fleet, fleet
from tests.agent.unattended.conftest import Box
from tests.agent.unattended.link import Link
from tests.agent.unattended.machine import booted
from tests.agent.unattended.test_policies import untouched, written
from tests.conftest import MIB, MakeLoop
from tests.web.site import OPERATOR

pytestmark = [pytest.mark.root, pytest.mark.loop]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Fleet]:
    """A server for each test: what a killed machine had is its own for 90 seconds."""
    with fleet(tmp_path / "server") as made:
        made.add_image("small.img", small_image(tmp_path).read_bytes())
        yield made


def test_two_machines_take_turns_where_the_server_says_one_at_a_time(
    box: Box, network: Link, make_loop: MakeLoop
) -> None:
    other = Box(
        box.fleet, MacAddress.parse("52:54:02:00:00:01"), make_loop(16 * MIB), box.folder / "other"
    )
    other.folder.mkdir()
    box.assign()
    other.assign()
    limit(box, "1")
    network.image_bytes = 8 * MIB
    with booted(box.boot(network), box.folder / "run") as first:
        assert box.writes()
        with booted(other.boot(), other.folder / "run") as second:
            assert second.says("waits for its turn: place 1 in the queue")
            assert other.attempt().state is State.QUEUED
            assert untouched(other)
            network.image_bytes = None
            assert first.end().code is Exit.DONE
            assert second.end().code is Exit.DONE
    assert other.attempt().state is State.DONE
    assert written(other)
    began = other.attempt().heard_at
    assert began >= box.attempt().heard_at


def test_a_machine_that_waits_for_its_turn_can_be_cancelled(
    box: Box, network: Link, make_loop: MakeLoop
) -> None:
    other = Box(
        box.fleet, MacAddress.parse("52:54:02:00:00:02"), make_loop(16 * MIB), box.folder / "other"
    )
    other.folder.mkdir()
    box.assign()
    other.assign()
    limit(box, "1")
    network.image_bytes = 8 * MIB
    with booted(box.boot(network), box.folder / "run"):
        assert box.writes()
        with booted(other.boot(), other.folder / "run") as second:
            assert second.says("waits for its turn")
            box.fleet.cancel(other.mac)
            ended = second.end()
    assert ended.code is Exit.INTERRUPTED
    assert other.attempt().state is State.CANCELLED
    assert ended.lines[-1].endswith("the server knows")
    assert untouched(other)


def limit(box: Box, machines: str) -> None:
    """Set on the Settings page how many machines are flashed at once."""
    with box.fleet.site.session() as session:
        preferences.change(
            session, box.fleet.site.settings, {"flash_limit": machines}, by=OPERATOR, now=now()
        )
