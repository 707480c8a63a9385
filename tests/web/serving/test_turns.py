"""Turns to write, asked of a real server with several processes that is killed in between."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import requests
from sqlalchemy import update

from bty_core.wire.reports import TURN_SECONDS, ReportedPhase
from bty_web import database
from bty_web.models import Attempt
from bty_web.services import clock
from bty_web.settings import Settings
from tests.web.serving.server import PATIENCE, Server, serving

MACHINES = [f"52:54:00:00:01:{number:02x}" for number in range(6)]


def opened(server: Server, mac: str) -> str:
    """Open an attempt as a wizard does; return its token."""
    answer = requests.post(f"{server.url}/pxe/{mac}/attempts", timeout=PATIENCE)
    return str(answer.json()["token"])


def ask(server: Server, mac: str, token: str, phase: str = ReportedPhase.QUEUED) -> Any:
    answer = requests.post(
        f"{server.url}/pxe/{mac}/progress",
        json={"phase": phase},
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["queue_position"]


def test_turns_are_kept_over_a_restart_and_given_once(tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    with serving(tmp_path, BTY_FLASH_LIMIT="2") as server:
        tokens = {mac: opened(server, mac) for mac in MACHINES}

        def race(mac: str) -> None:
            found[mac] = ask(server, mac, tokens[mac])

        threads = [Thread(target=race, args=(mac,)) for mac in MACHINES]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        writing = [mac for mac in MACHINES if found[mac] is None]
        assert len(writing) == 2
        for mac in writing:
            ask(server, mac, tokens[mac], ReportedPhase.WRITING)
        places = {mac: ask(server, mac, tokens[mac]) for mac in MACHINES if found[mac]}
        assert sorted(places.values()) == [1, 2, 3, 4]

    # Nobody could report for longer than a turn lasts.
    engine = database.make_engine(Settings(state_dir=tmp_path / "state"))
    with database.working(engine) as session:
        gone = clock.now() - timedelta(seconds=TURN_SECONDS)
        session.execute(update(Attempt).values(lapses_at=gone, heard_at=gone))
    engine.dispose()

    with serving(tmp_path, BTY_FLASH_LIMIT="2") as server:
        last_first = sorted(places, key=lambda mac: -places[mac])
        assert [ask(server, mac, tokens[mac]) for mac in last_first] == [4, 3, 2, 1]
        first, token = last_first[-1], tokens[last_first[-1]]
        assert ask(server, writing[0], tokens[writing[0]], ReportedPhase.WAITING) is None
        assert ask(server, first, token) is None
