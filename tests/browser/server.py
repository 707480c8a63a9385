"""A whole `bty-web serve` with its real worker, on loopback, for a browser and for machines."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.fakes.images import content, zstd
from tests.web.serving.server import descendants, wait_until

USER, PASSWORD = "operator", "correct horse battery"
IMAGE = "debian-13-ci.img.zst"
DISK = content(3 * 2**20)  # what IMAGE holds
VERSION = "1.4"


@dataclass(frozen=True)
class Server:
    """A server that answers; what it keeps lies in `state`."""

    url: str
    state: Path

    @property
    def dnsmasq(self) -> Path:
        """The only file that proxy-DHCP may write."""
        return self.state / "dnsmasq" / "bty-pxe.conf"

    def ready(self, name: str) -> None:
        """Wait until an image can be flashed."""

        def offered() -> bool:
            found = requests.get(f"{self.url}/images", timeout=30).json()
            return any(one["name"] == name and one["sha256"] for one in found)

        assert wait_until(offered), f"{name} was not measured"


def add_live_environment(boot: Path, kernel: int = 12_000, initrd: int = 54_000) -> None:
    """Place a kernel and an initrd of so many bytes, that nobody starts, with their manifest."""
    files = {"vmlinuz": bytes(kernel), "initrd.zst": bytes(initrd)}
    folder = boot / VERSION
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    described = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in files.items()
    }
    manifest = {
        "version": VERSION,
        "kernel": "vmlinuz",
        "initrd": "initrd.zst",
        "cmdline": "quiet",
        "files": described,
    }
    for place in (boot, folder):
        (place / "manifest.json").write_text(json.dumps(manifest))


def add_image(images: Path, name: str = IMAGE, data: bytes | None = None) -> None:
    """Copy an image into the catalog, as if it had lain there for a while."""
    images.mkdir(parents=True, exist_ok=True)
    path = images / name
    path.write_bytes(zstd(DISK, f"--stream-size={len(DISK)}") if data is None else data)
    before = time.time() - 3600
    os.utime(path, (before, before))


@contextmanager
def serving(state: Path, **environ: str) -> Iterator[Server]:
    """Set up a server in `state`, with a user, and run it until the block is left."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BTY_")}
    env |= {"BTY_STATE_DIR": str(state), "BTY_BIND": "127.0.0.1:0", "BTY_THREADS": "32", **environ}
    program = [sys.executable, "-m", "bty_web"]
    words = [*program, "init", "--user", USER, "--password-stdin"]
    subprocess.run(words, env=env, input=PASSWORD, text=True, capture_output=True, check=True)
    log = state.with_name(f"{state.name}.log")
    with log.open("wb") as talk:
        process = subprocess.Popen(
            [*program, "serve"], env=env, stdout=subprocess.PIPE, stderr=talk, text=True
        )
    family: set[int] = set()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving http://"), log.read_text()
        yield Server(line.split()[1].rstrip("/"), state)
        family = descendants(process.pid)
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        family |= descendants(process.pid)
        process.kill()
        process.communicate()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
