"""Capabilities that are tried, skips that are said, and a guard against real disks."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings

from tests.capabilities import CAPABILITIES, required
from tests.guard import GUARD, stand_guard
from tests.loops import attach, detach
from tests.system.lab import timings

MIB = 1 << 20
USUAL_SIGNALS: dict[signal.Signals, Any] = {
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
COUNTED = ("passed", "failed", "error", "skipped", "xfailed")

stand_guard()

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("bty", deadline=None, print_blob=True)
settings.load_profile("bty")


class MakeLoop(Protocol):
    """Attach one more loop device; it is detached when the test ends."""

    def __call__(
        self, size: int, sector: int = 512, read_only: bool = False, *, blank: bool = False
    ) -> Path:
        """Return a disk of `size` bytes, full of 0xFF, or of zeros that take no room if `blank`."""


@pytest.fixture
def make_loop(tmp_path: Path) -> Iterator[MakeLoop]:
    """Make loop devices of any size and sector size."""
    disks: list[Path] = []

    def make(size: int, sector: int = 512, read_only: bool = False, *, blank: bool = False) -> Path:
        backing = tmp_path / f"loop-{len(disks)}.img"
        with backing.open("wb") as file:
            file.truncate(size)
            for start in range(0, 0 if blank else size, MIB):
                file.write(b"\xff" * min(MIB, size - start))
        disks.append(attach(backing, sector=sector, read_only=read_only))
        return disks[-1]

    yield make
    for disk in reversed(disks):
        detach(disk)


@pytest.fixture(params=[512, 4096], ids="sector{}".format)
def loop_disk(request: pytest.FixtureRequest, make_loop: MakeLoop) -> Path:
    """A disk of 16 MiB, full of 0xFF, in both sector sizes."""
    return make_loop(16 * MIB, sector=request.param)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a BTY_REQUIRE that promises what nobody knows, and listen to signals again."""
    # Started in the background or under nohup, pytest ignores these, and so would all that it starts.
    for one, usual in USUAL_SIGNALS.items():
        if signal.getsignal(one) is signal.SIG_IGN:
            signal.signal(one, usual)
    try:
        required()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test with the loop mark write to loop devices."""
    GUARD.loops = item.get_closest_marker("loop") is not None
    try:
        return (yield)
    finally:
        GUARD.loops = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Try what the test needs before anything of it runs."""
    needed = [known for known in CAPABILITIES if item.get_closest_marker(known.mark)]
    missing = {known.name: why for known in needed if (why := known.why_not())}
    # A promise that is broken weighs more than one that was never made.
    for name, why in missing.items():
        if name in required():
            pytest.fail(f"BTY_REQUIRE asks for {name}: {why}", pytrace=False)
    for name, why in missing.items():
        pytest.skip(f"{name}: {why}")
    yield
    GUARD.settle()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Fail a test that tried to write to a real disk."""
    try:
        yield
    finally:
        GUARD.settle()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """Fail a test whose end, or whose thread, tried to write to a real disk."""
    try:
        yield
    finally:
        GUARD.settle()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this run has not shown, and leave the counts for the session's closing lines."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[told.removeprefix("Skipped: ")] += 1
    for reason, number in sorted(reasons.items()):
        tests = "1 test" if number == 1 else f"{number} tests"
        terminalreporter.write_line(f"NOT PROVEN in this run: {reason} ({tests})", yellow=True)
    every = [one for found in terminalreporter.stats.values() for one in found]
    if timed := timings.rows(every):
        terminalreporter.section("machines: what was tried, and seconds since power-on")
        for line in timings.table(timed):
            terminalreporter.write_line(line)
        timings.keep(timed)
    if counts := os.environ.get("BTY_COUNTS"):
        stats = {what: len(terminalreporter.stats.get(what, [])) for what in COUNTED}
        Path(counts).write_text(json.dumps(stats))
