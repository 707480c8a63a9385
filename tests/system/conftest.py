"""Labs for tests: networks, servers and machines, all of which are gone at the end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.system.lab.firmware import TRIED, Firmware
from tests.system.lab.kept import keep_logs
from tests.system.lab.network import Lan
from tests.system.lab.server import LabServer, lab_server
from tests.system.lab.timings import Timings


@pytest.fixture(autouse=True)
def _no_disks_left(tmp_path: Path) -> Iterator[None]:
    """Remove the disks of a test, which are large: pytest keeps what lies beside them for a while."""
    yield
    for disk in tmp_path.rglob("*.raw"):
        disk.unlink()


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    """A network with a router."""
    with Lan(tmp_path / "lan") as made:
        made.build()
        yield made


@pytest.fixture
def server(lan: Lan) -> Iterator[LabServer]:
    """A server on that network, with proxy-DHCP."""
    with lab_server(lan) as made:
        yield made


@pytest.fixture(params=TRIED)
def firmware(request: pytest.FixtureRequest) -> Firmware:
    """What a machine starts with, where a test does not say it."""
    found: Firmware = request.param
    return found


@pytest.fixture
def timings(request: pytest.FixtureRequest) -> Timings:
    """How long the steps of this test took."""
    return Timings(request.node.user_properties)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what machines and programs said in a test that fails, and say where."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and report.when == "call" and folder is not None:
        kept = keep_logs(folder, report.nodeid)
        report.sections.append(("logs and screens", f"kept in {kept}"))
    return report
