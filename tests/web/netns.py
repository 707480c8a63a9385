"""Networks of a test's own: namespaces on one bridge, with programs in them, all gone at the end."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class Network:
    """A bridge with namespaces on it, each with one interface, eth0. A context manager that leaves nothing behind."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.prefix = f"bty-{secrets.token_hex(3)}"
        self._namespaces: list[str] = []
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            lan = self._add("lan")
            # With spanning tree a port stays shut for half a minute, and firmware gives up.
            bridge = ["type", "bridge", "stp_state", "0", "forward_delay", "0"]
            ip("-n", lan, "link", "add", "br0", *bridge)
            ip("-n", lan, "link", "set", "br0", "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def host(self, name: str, address: str | None = None) -> str:
        """Add a namespace to the bridge, with `address` such as 10.0.0.2/24 or none; return its whole name."""
        namespace, lan = self._add(name), f"{self.prefix}-lan"
        port = f"to-{name}"
        peer = ["peer", "name", "eth0", "netns", namespace]
        ip("-n", lan, "link", "add", port, "type", "veth", *peer)
        ip("-n", lan, "link", "set", port, "master", "br0", "up")
        if address:
            ip("-n", namespace, "address", "add", address, "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        return namespace

    def start(self, namespace: str, *argv: str, until: str) -> Path:
        """Start a program that stays, wait until it has said `until`, and return what it says, as a file."""
        who = f"{namespace.rpartition('-')[2]}-{Path(argv[0]).name}"
        log = self._logs / f"{len(self._running)}-{who}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                inside(namespace, *argv), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        self._running.append(process)
        end = time.monotonic() + 20
        while until not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < end, log.read_text(errors="replace")
            time.sleep(0.05)
        return log

    def run(self, namespace: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            inside(namespace, *argv), capture_output=True, text=True, timeout=60, check=False
        )

    def _add(self, name: str) -> str:
        namespace = f"{self.prefix}-{name}"
        ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def _end(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        for namespace in reversed(self._namespaces):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", namespace)


def inside(namespace: str, *argv: str) -> list[str]:
    """Return the words that run `argv` in `namespace`; ip gives way to it, so that a signal finds the program."""
    return ["ip", "netns", "exec", namespace, *argv]


def ip(*words: str) -> None:
    """Call ip, and fail with its words."""
    environment = {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}
    subprocess.run(["ip", *words], check=True, env=environment, timeout=20)
