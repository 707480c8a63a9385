"""A machine that has booted the live environment: the real program in a process of its own, on loop devices."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bty_agent.exits import Exit
from bty_agent.unattended.failure import Failure, read_failure

PATIENCE = 60.0
PACE = "0.02"  # a minute of patience becomes 1.2 seconds


@dataclass
class Ended:
    """How the program ended, and what stood on its console."""

    code: Exit
    console: str
    failure: Failure | None
    log: str

    @property
    def lines(self) -> list[str]:
        return self.console.splitlines()


@dataclass
class Boot:
    """One run of the program."""

    process: subprocess.Popen[str]
    run_dir: Path

    def end(self) -> Ended:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert out == ""
        log = self.run_dir / "flash.log"
        return Ended(
            Exit(self.process.returncode),
            err,
            read_failure(self.run_dir),
            log.read_text() if log.exists() else "",
        )

    def says(self, pattern: str) -> bool:
        """Wait until a line on the console fits `pattern`."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            said = self.run_dir / "console.log"
            if said.exists() and re.search(pattern, said.read_text(), re.MULTILINE):
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        return False

    def interrupt(self) -> None:
        """Stop it as systemd does."""
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def booted(line: str, run_dir: Path, *options: str, pace: str = PACE) -> Iterator[Boot]:
    """Run the program with `line` as kernel command line until the block is left."""
    cmdline = run_dir.parent / f"{run_dir.name}-cmdline"
    cmdline.write_text(f"{line}\n")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bty_agent.unattended.main", "--no-reboot"),
            *("--cmdline", str(cmdline), "--run-dir", str(run_dir), *options),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BTY_TEST_PACE": pace},
    )
    try:
        yield Boot(process, run_dir)
    finally:
        process.kill()
        process.communicate()


def run(line: str, run_dir: Path, *options: str, pace: str = PACE) -> Ended:
    """Run the program to its end."""
    with booted(line, run_dir, *options, pace=pace) as boot:
        return boot.end()
