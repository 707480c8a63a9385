"""bty-web names an interface, the helper asks there, and the answer finds its question."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bty_core.errors import InvalidValue, NeedsRoot
from bty_web.appliance import probe
from bty_web.dhcp.clients import BIOS
from bty_web.dhcp.matrix import Result
from bty_web.services.appliance import (
    PROBE,
    PROBE_REQUEST,
    HelperSilent,
    ProbeRefused,
    ask_probe,
)
from bty_web.settings import Settings

NUMBER = "0123456789abcdef" * 2


def nobody(_interface: str) -> Sequence[Result]:
    return [Result(client=BIOS, answers=())]


def refused(interface: str) -> Sequence[Result]:
    raise NeedsRoot(f"asking on {interface} sends raw packets", hint="run this as root")


def request(state_dir: Path, **values: object) -> None:
    path = state_dir.joinpath(*PROBE_REQUEST)
    path.parent.mkdir(exist_ok=True)
    wish = {"schema_version": "1", "number": NUMBER, "interface": "eth0", **values}
    path.write_text(json.dumps(wish))


def test_the_answer_carries_the_number_of_its_question(appliance: Settings) -> None:
    folder = appliance.appliance_dir
    assert folder is not None
    request(appliance.state_dir)
    assert probe.answer(appliance.state_dir, folder, nobody) == "asked on eth0"
    told = json.loads((folder / PROBE).read_text())
    assert told["number"] == NUMBER
    assert told["result"]["verdicts"][0] == "nobody answered BIOS"


def test_a_failure_is_an_answer_too(appliance: Settings, run_folder: Path) -> None:
    request(appliance.state_dir)
    assert probe.answer(appliance.state_dir, run_folder, refused) == (
        "could not ask on eth0: asking on eth0 sends raw packets"
    )
    assert json.loads((run_folder / PROBE).read_text())["error"] == {
        "code": "needs-root",
        "message": "asking on eth0 sends raw packets",
        "hint": "run this as root",
    }


@pytest.mark.parametrize(
    "values",
    [
        {"interface": "eth0; reboot"},
        {"interface": "../eth0"},
        {"interface": "lo"},
        {"interface": "x" * 16},
        {"interface": None},
        {"number": "1"},
        {"number": "../../../../etc/passwd"},
        {"number": 7},
        {"schema_version": "2"},
    ],
)
def test_a_request_that_cannot_be_is_refused(
    appliance: Settings, run_folder: Path, values: dict[str, object]
) -> None:
    request(appliance.state_dir, **values)
    with pytest.raises(InvalidValue):
        probe.answer(appliance.state_dir, run_folder, nobody)
    assert not (run_folder / PROBE).exists()


def test_no_request_is_nothing_to_do(appliance: Settings, run_folder: Path) -> None:
    assert probe.answer(appliance.state_dir, run_folder, nobody) is None


@pytest.mark.parametrize("works", [True, False])
def test_bty_web_gets_its_answer_and_no_older_one(
    appliance: Settings, run_folder: Path, works: bool
) -> None:
    request(appliance.state_dir)
    probe.answer(appliance.state_dir, run_folder, refused if works else nobody)
    over = threading.Event()
    first = appliance.state_dir.joinpath(*PROBE_REQUEST).read_bytes()

    def helper() -> None:
        path = appliance.state_dir.joinpath(*PROBE_REQUEST)
        while path.read_bytes() == first and not over.is_set():
            time.sleep(0.02)
        probe.answer(appliance.state_dir, run_folder, nobody if works else refused)

    thread = threading.Thread(target=helper)
    thread.start()
    try:
        if works:
            found = ask_probe(run_folder, appliance.state_dir, "eth1", 10)
            assert found["interface"] == "eth1"
        else:
            with pytest.raises(ProbeRefused) as failure:
                ask_probe(run_folder, appliance.state_dir, "eth1", 10)
            assert failure.value.message == "asking on eth1 sends raw packets"
            assert failure.value.hint == "run this as root"
    finally:
        over.set()
        thread.join()


def test_a_helper_that_does_not_come_is_told(appliance: Settings, run_folder: Path) -> None:
    with pytest.raises(HelperSilent, match="nobody has asked on eth0 within 0 s"):
        ask_probe(run_folder, appliance.state_dir, "eth0", 0.3)
