"""Who presses Ctrl-C again does not leave while something still writes to the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fakes.images import disk_image

SCRIPT = """
import os, signal, sys, threading, time
from dataclasses import replace
from bty_core.errors import Cancelled
from bty_core.flash.engine import THIS_COMPUTER, flash
from bty_core.flash.target import Target
from tests.core.flash.planning import plan

working = True

class Slow(Target):
    def flush(self):
        global working
        for wait in (0.3, 0.6):
            threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(2)
        super().flush()

    def __exit__(self, *how):
        global working
        working = False
        return super().__exit__(*how)

try:
    flash(plan(sys.argv[1], sys.argv[2]), disks=replace(THIS_COMPUTER, open=Slow))
except Cancelled:
    print("cancelled, still working:", working)
"""


def test_a_second_interrupt_waits_too(tmp_path: Path) -> None:
    image = disk_image(tmp_path / "disk.img")
    words = [sys.executable, "-c", SCRIPT, str(image), f"file:{tmp_path / 'disk'}"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.returncode) == ("cancelled, still working: False\n", 0), ran.stderr
