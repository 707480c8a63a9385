"""What a machine may be able to do for a test. Each capability is tried, not guessed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bty_core.errors import BtyError
from bty_core.proc import run
from bty_media.stick.device import mounted
from tests.loops import attach, detach
from tests.system.lab import firmware
from tests.web.postgres import programs


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that tests with `mark` need; `name` is what BTY_REQUIRE calls it."""

    mark: str
    name: str
    why_not: Callable[[], str | None]  # None, or the reason why it is not there


@cache
def _root() -> str | None:
    return None if os.geteuid() == 0 else "not root"


@cache
def _loop() -> str | None:
    if why := _root():
        return why
    with tempfile.TemporaryDirectory(prefix="bty-try-") as folder:
        backing = Path(folder) / "disk"
        backing.write_bytes(bytes(1 << 20))
        try:
            detach(attach(backing))
        except (BtyError, OSError) as error:
            return f"a loop device cannot be attached: {error}"
    return None


@cache
def _exfat() -> str | None:
    if why := _loop():
        return why
    with tempfile.TemporaryDirectory(prefix="bty-try-") as folder:
        backing, point = Path(folder) / "disk", Path(folder) / "point"
        point.mkdir()
        with backing.open("wb") as file:
            file.truncate(4 << 20)
        try:
            run(["mkfs.exfat", backing], timeout=60)
            disk = attach(backing)
            try:
                with mounted(disk, point):
                    (point / "file").touch()
            finally:
                detach(disk)
        except (BtyError, OSError) as error:
            return f"exFAT cannot be mounted: {error}"
    return None


@cache
def _efibootmgr() -> str | None:
    return _answers("efibootmgr", "--version") or _answers("mdir", "--version")


@cache
def _netns() -> str | None:
    return _root() or _answers("unshare", "--net", "ip", "link", "set", "lo", "up")


@cache
def _dnsmasq() -> str | None:
    return _answers("dnsmasq", "--version")


@cache
def _qemu() -> str | None:
    return _answers("qemu-img", "--version") or _answers("qemu-nbd", "--version")


@cache
def _vm() -> str | None:
    found = _answers("qemu-system-x86_64", "--version") or _netns() or _dnsmasq()
    return found or firmware.missing()


@cache
def _postgresql() -> str | None:
    found = programs()
    if found is None:
        return "the PostgreSQL server is not installed: apt install postgresql"
    return _answers(str(found / "postgres"), "--version") or _answers("setpriv", "--version")


@cache
def _redis() -> str | None:
    return _answers("redis-server", "--version")


@cache
def _browser() -> str | None:
    chromium = shutil.which("chromium")
    if chromium is None:
        return "chromium is not installed"
    from playwright.sync_api import Error, sync_playwright

    # Its sandbox wants a user that is not root.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    try:
        with sync_playwright() as playwright:
            playwright.chromium.launch(executable_path=chromium, args=words).close()
    except Error as error:
        return f"chromium does not start: {error.message.splitlines()[0]}"
    return None


def _answers(*argv: str) -> str | None:
    try:
        run(argv, timeout=30)
    except BtyError as error:
        return str(error)
    return None


CAPABILITIES = (
    Capability("root", "root", _root),
    Capability("loop", "loop", _loop),
    Capability("exfat", "exfat", _exfat),
    Capability("efibootmgr", "efibootmgr", _efibootmgr),
    Capability("netns", "netns", _netns),
    Capability("dnsmasq", "dnsmasq", _dnsmasq),
    Capability("postgresql", "postgresql", _postgresql),
    Capability("redis", "redis", _redis),
    Capability("qemu", "qemu-img", _qemu),
    Capability("vm", "vm", _vm),
    Capability("browser", "browser", _browser),
)

# The sessions look after these themselves.
PYTHONS = frozenset({"python3.11", "python3.13"})


def required() -> frozenset[str]:
    """Return what BTY_REQUIRE asks for; `ValueError` for a word that means nothing."""
    words = frozenset(filter(None, os.environ.get("BTY_REQUIRE", "").replace(" ", "").split(",")))
    known = PYTHONS | {capability.name for capability in CAPABILITIES}
    if unknown := sorted(words - known):
        raise ValueError(
            f"BTY_REQUIRE asks for {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return words
